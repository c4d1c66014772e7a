//! Parsing of settings, from code or from variables, and the values that were ignored.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use http::{HeaderName, Method};

use super::headers::CapturedHeader;
use super::methods::KnownMethods;
use super::url::paths::PathPattern;

/// An ignored value. Its `Display` names the variable or method, the value, and the accepted values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigProblem {
    source: &'static str,
    value: String,
    accepted: Cow<'static, str>,
}

impl ConfigProblem {
    /// Returns the name of the environment variable, or of the method of the config.
    pub fn source(&self) -> &'static str {
        self.source
    }
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ConfigProblem { source, value, accepted } = self;
        write!(f, "{source}: ignored {value:?}, expected {accepted}")
    }
}

/// The ignored values of a config. Its parsers return the valid values and collect the others.
#[derive(Clone, Debug, Default)]
pub(crate) struct Problems(Vec<ConfigProblem>);

impl Problems {
    pub(crate) fn list(&self) -> &[ConfigProblem] {
        &self.0
    }

    pub(crate) fn add(&mut self, source: &'static str, value: &str, accepted: impl Into<Cow<'static, str>>) {
        self.0.push(ConfigProblem { source, value: value.to_owned(), accepted: accepted.into() });
    }

    /// Returns the value, or `None` after noting that `text` was ignored.
    pub(crate) fn noted<T>(
        &mut self,
        source: &'static str,
        text: &str,
        value: Option<T>,
        accepted: &'static str,
    ) -> Option<T> {
        if value.is_none() {
            self.add(source, text, accepted);
        }
        value
    }

    /// Returns the methods, or `None` for a list without a valid method, with which every method would become `_OTHER`.
    /// An empty list is valid.
    pub(crate) fn known_methods<I: IntoIterator<Item: AsRef<str>>>(
        &mut self,
        source: &'static str,
        methods: I,
    ) -> Option<KnownMethods> {
        let (mut known, mut is_invalid) = (Vec::new(), false);
        for method in methods {
            match Method::from_bytes(method.as_ref().as_bytes()) {
                Ok(_) => known.push(Arc::from(method.as_ref())),
                Err(_) => {
                    is_invalid = true;
                    self.add(source, method.as_ref(), "an HTTP method");
                }
            }
        }
        (!(known.is_empty() && is_invalid)).then(|| KnownMethods::only(known))
    }

    pub(crate) fn paths<I: IntoIterator<Item: AsRef<str>>>(
        &mut self,
        source: &'static str,
        patterns: I,
    ) -> Vec<PathPattern> {
        let parse = |pattern: I::Item| {
            let text = pattern.as_ref();
            self.noted(source, text, PathPattern::parse(text), "a path, or a path prefix followed by `*`")
        };
        patterns.into_iter().filter_map(parse).collect()
    }

    /// Adds the headers to `chosen`, each once.
    pub(crate) fn captured<I: IntoIterator<Item: AsRef<str>>>(
        &mut self,
        source: &'static str,
        names: I,
        new: fn(HeaderName) -> CapturedHeader,
        chosen: &mut Vec<CapturedHeader>,
    ) {
        for name in names {
            let text = name.as_ref();
            let parsed = HeaderName::from_bytes(text.as_bytes()).ok();
            let Some(name) = self.noted(source, text, parsed, "the name of an HTTP header") else { continue };
            if !chosen.iter().any(|known| known.is(&name)) {
                chosen.push(new(name));
            }
        }
    }

    /// Sets the flags with these names in `chosen`. Returns true if at least one name is valid.
    pub(crate) fn flags<C, I>(&mut self, source: &'static str, names: I, flags: &Flags<C>, chosen: &mut C) -> bool
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        let mut is_understood = false;
        for name in names {
            match flags.find(name.as_ref()) {
                Some(flag) => {
                    *flag(chosen) = true;
                    is_understood = true;
                }
                None => self.add(source, name.as_ref(), flags.accepted()),
            }
        }
        is_understood
    }

    /// Returns the choice that replaces the entire default, or `None` if no item is valid.
    pub(crate) fn metrics(
        &mut self,
        source: &'static str,
        value: &str,
        metrics: &Flags<MetricChoice>,
    ) -> Option<MetricChoice> {
        let mut chosen = MetricChoice::NONE;
        let is_understood = self.flags(source, list(value), metrics, &mut chosen);
        // Beside the name of a metric, `none` has no effect.
        chosen.is_off = chosen == MetricChoice { is_off: true, ..MetricChoice::NONE };
        is_understood.then_some(chosen)
    }

    // spec: configuration/common.md: only "true", in any case, is true; any value but "false" causes a warning
    pub(crate) fn boolean(&mut self, source: &'static str, value: Option<String>) -> bool {
        let Some(value) = value else { return false };
        let value = value.trim();
        if value.eq_ignore_ascii_case("true") {
            return true;
        }
        if !value.eq_ignore_ascii_case("false") {
            self.add(source, value, "`true` or `false`");
        }
        false
    }
}

/// A name, and the field that it sets.
pub(crate) type Flag<C> = (&'static str, fn(&mut C) -> &mut bool);

/// The names that a list may contain, each with the field of `C` that it sets.
pub(crate) struct Flags<C: 'static>(pub(crate) &'static [Flag<C>]);

impl<C> Flags<C> {
    fn find(&self, name: &str) -> Option<fn(&mut C) -> &mut bool> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, flag)| *flag)
    }

    /// Returns the names, for messages.
    fn accepted(&self) -> String {
        let names: Vec<_> = self.0.iter().map(|(name, _)| format!("`{name}`")).collect();
        match &*names {
            [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
            names => names.concat(),
        }
    }
}

const DURATION: Flag<MetricChoice> = ("duration", |choice| &mut choice.duration);
const ACTIVE_REQUESTS: Flag<MetricChoice> = ("active_requests", |choice| &mut choice.active_requests);
const BODY_SIZES: Flag<MetricChoice> = ("body_sizes", |choice| &mut choice.body_sizes);
const ORPHANS: Flag<MetricChoice> = ("orphans", |choice| &mut choice.orphans);
const CONNECTIONS: Flag<MetricChoice> = ("connections", |choice| &mut choice.connections);
const NONE: Flag<MetricChoice> = ("none", |choice| &mut choice.is_off);

/// The metrics of servers.
pub(crate) const SERVER_METRICS: Flags<MetricChoice> = Flags(&[DURATION, ACTIVE_REQUESTS, BODY_SIZES, ORPHANS, NONE]);
/// The metrics of clients.
pub(crate) const CLIENT_METRICS: Flags<MetricChoice> =
    Flags(&[DURATION, ACTIVE_REQUESTS, BODY_SIZES, CONNECTIONS, NONE]);

/// The metrics to record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MetricChoice {
    /// Disables all metrics, regardless of the other fields.
    pub(crate) is_off: bool,
    pub(crate) duration: bool,
    pub(crate) active_requests: bool,
    pub(crate) body_sizes: bool,
    /// Only for servers.
    pub(crate) orphans: bool,
    /// Only for clients.
    pub(crate) connections: bool,
}

impl MetricChoice {
    const NONE: Self = MetricChoice {
        is_off: false,
        duration: false,
        active_requests: false,
        body_sizes: false,
        orphans: false,
        connections: false,
    };
    // spec: http/http-metrics.md: the others are opt-in
    pub(crate) const DEFAULT: Self = MetricChoice { duration: true, ..MetricChoice::NONE };

    /// Returns true if a metric of requests is recorded.
    #[inline]
    pub(crate) fn is_any(self) -> bool {
        !self.is_off && (self.duration || self.active_requests || self.body_sizes || self.orphans)
    }

    pub(crate) fn counts_connections(self) -> bool {
        !self.is_off && self.connections
    }
}

/// Returns the items of a comma-separated list, without empty ones.
pub(crate) fn list(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|item| !item.is_empty())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Checks that each name sets a field that no other name sets.
    pub(crate) fn check_flags<C: Copy>(none: C, flags: &Flags<C>) {
        for (name, _) in flags.0 {
            let (mut chosen, mut problems) = (none, Problems::default());
            assert!(problems.flags("test", [name], flags, &mut chosen) && problems.list().is_empty(), "{name}");
            let set = flags.0.iter().filter(|(_, flag)| *flag(&mut chosen)).map(|(name, _)| *name);
            assert_eq!(set.collect::<Vec<_>>(), [*name]);
        }
    }

    #[test]
    fn every_metric_has_a_name() {
        check_flags(MetricChoice::NONE, &SERVER_METRICS);
        check_flags(MetricChoice::NONE, &CLIENT_METRICS);
    }

    #[test]
    fn a_message_lists_the_names() {
        fn check(names: &'static [Flag<MetricChoice>], expected: &str) {
            let mut problems = Problems::default();
            assert!(!problems.flags("test", ["other"], &Flags(names), &mut { MetricChoice::NONE }));
            assert_eq!(problems.list()[0].to_string(), format!("test: ignored \"other\", expected {expected}"));
        }
        check(&[DURATION], "`duration`");
        check(&[DURATION, NONE], "`duration` or `none`");
        check(&[DURATION, BODY_SIZES, NONE], "`duration`, `body_sizes` or `none`");
    }

    #[test]
    fn none_beside_a_metric_has_no_effect() {
        fn check(value: &str, metrics: &Flags<MetricChoice>, expected: Option<MetricChoice>) {
            assert_eq!(Problems::default().metrics("test", value, metrics), expected, "{value}");
        }
        let none = MetricChoice::NONE;
        let off = MetricChoice { is_off: true, ..none };
        for metrics in [&SERVER_METRICS, &CLIENT_METRICS] {
            check("", metrics, None);
            check("other", metrics, None);
            check("none", metrics, Some(off));
            check("none,other", metrics, Some(off));
            check("none,duration", metrics, Some(MetricChoice::DEFAULT));
            check("body_sizes, none", metrics, Some(MetricChoice { body_sizes: true, ..none }));
        }
        check("connections,none", &CLIENT_METRICS, Some(MetricChoice { connections: true, ..none }));
        check("connections", &SERVER_METRICS, None);
    }
}
