//! The names of remote services, by URL for clients and by address for servers.

use std::net::IpAddr;
use std::sync::Arc;

use opentelemetry::StringValue;

use super::pattern::{self, UrlPattern};
use super::target::Target;

/// The accepted items, for messages.
pub(crate) const ACCEPTED: &str = "`pattern=name`";

/// The accepted items of servers, for messages.
pub(crate) const ACCEPTED_ADDRESSES: &str = "`address=name`, with an IP address or `*`";

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

    /// Adds the name of an address. On failure, returns the accepted items.
    pub(crate) fn add_address(&mut self, address: &str, name: &str) -> Result<(), &'static str> {
        let address = address.trim();
        let in_brackets = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let pattern = match address {
            "*" => address.to_owned(),
            // Compared with the canonical form of a client's address.
            _ => match in_brackets.unwrap_or(address).parse::<IpAddr>() {
                Ok(ip) => ip.to_canonical().to_string(),
                Err(_) => return Err(ACCEPTED_ADDRESSES),
            },
        };
        self.add(&pattern, name).map_err(|_| ACCEPTED_ADDRESSES)
    }

    /// Adds `address=name`.
    pub(crate) fn add_address_item(&mut self, item: &str) -> Result<(), &'static str> {
        let (address, name) = item.split_once('=').ok_or(ACCEPTED_ADDRESSES)?;
        self.add_address(address.trim(), name.trim())
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

    #[test]
    fn addresses_are_compared_in_their_canonical_form() {
        let mut names = ServiceNames::default();
        for item in ["10.0.0.7=a", " 2001:DB8:0::7 = b", "[2001:db8::8]=c", "::ffff:10.0.0.8=d", "*=e"] {
            names.add_address_item(item).unwrap();
        }
        let find = |address| names.find(&Target::of_address(address)).unwrap().as_str().to_owned();
        let found = ["10.0.0.7", "2001:db8::7", "2001:db8::8", "10.0.0.8", "10.0.0.9"].map(find);
        assert_eq!(found, ["a", "b", "c", "d", "e"]);
        let mut fails = |item| names.add_address_item(item) == Err(ACCEPTED_ADDRESSES);
        assert!(
            ["", "10.0.0.7", "10.0.0.7=", "10.0.0.7:80=a", "*.7=a", "host=a", "[10.0.0.7=a"]
                .iter()
                .all(|item| fails(item))
        );
    }
}
