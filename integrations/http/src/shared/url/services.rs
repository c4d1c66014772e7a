//! The names of remote services, by URL for clients and by address for servers.

use std::sync::Arc;

use opentelemetry::StringValue;

use super::pattern::{self, UrlPattern};
use super::target::Target;

/// The accepted items, for messages.
pub(crate) const ACCEPTED: &str = "`pattern=name`";

/// Names of remote services. The most specific pattern wins.
///
/// spec: registry/attributes/server, server.service.name: should equal the other side's service.name; the conventions
/// leave the mapping to the instrumentation
#[derive(Clone, Debug, Default)]
pub(crate) struct ServiceNames(Vec<(UrlPattern, Arc<str>)>);

impl ServiceNames {
    /// Adds a name. On failure, returns the accepted patterns.
    pub(crate) fn add(&mut self, pattern: &str, name: &str) -> Result<(), &'static str> {
        let pattern = UrlPattern::parse(pattern).ok_or(pattern::ACCEPTED)?;
        if name.is_empty() {
            return Err(ACCEPTED);
        }
        // Sorted from the most specific pattern to the least; a later equal pattern replaces an earlier one.
        self.0.retain(|(known, _)| *known != pattern);
        let place = self.0.partition_point(|(known, _)| known.specificity() >= pattern.specificity());
        self.0.insert(place, (pattern, name.into()));
        Ok(())
    }

    /// Adds `pattern=name`.
    pub(crate) fn add_item(&mut self, item: &str) -> Result<(), &'static str> {
        let (pattern, name) = item.split_once('=').ok_or(ACCEPTED)?;
        self.add(pattern.trim(), name.trim())
    }

    #[inline]
    pub(crate) fn find(&self, target: &Target<'_>) -> Option<StringValue> {
        let (_, name) = self.0.iter().find(|(pattern, _)| pattern.matches(target))?;
        Some(name.clone().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_pattern_wins_whatever_the_order() {
        let mut items =
            vec!["*=any", "*.shop=shop", "pay.shop=pay", "pay.shop:81=other", "pay.shop:81/refunds*=refunds"];
        for _ in 0..2 {
            let mut names = ServiceNames::default();
            for item in &items {
                names.add_item(item).unwrap();
            }
            let check = |url: &str, expected: &str| {
                assert_eq!(names.find(&Target::parse(url)).unwrap().as_str(), expected, "{url}");
            };
            check("http://elsewhere/", "any");
            check("http://a.shop/", "shop");
            check("http://pay.shop/refunds", "pay");
            check("http://pay.shop:81/orders", "other");
            check("http://pay.shop:81/refunds/7", "refunds");
            items.reverse();
        }
        let mut names = ServiceNames::default();
        assert_eq!(names.find(&Target::parse("http://h/")), None);
        names.add("h", "first").unwrap();
        names.add("h", "second").unwrap();
        assert_eq!(names.find(&Target::parse("http://h/")).unwrap().as_str(), "second");
        assert!(["", "h", "h=", "=", "a b=c"].iter().all(|item| names.add_item(item).is_err()));
    }
}
