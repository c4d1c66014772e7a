//! Parsing of settings, from code or from variables, and the values that were ignored.

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
    accepted: &'static str,
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

    pub(crate) fn add(&mut self, source: &'static str, value: &str, accepted: &'static str) {
        self.0.push(ConfigProblem { source, value: value.to_owned(), accepted });
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

    /// Returns the choice that replaces the entire default, or `None` if no item is valid.
    pub(crate) fn metrics(
        &mut self,
        source: &'static str,
        value: &str,
        accepted: &'static str,
    ) -> Option<MetricChoice> {
        let mut chosen = MetricChoice::NONE;
        let mut is_understood = false;
        for item in list(value) {
            match item {
                "duration" => chosen.duration = true,
                "active_requests" => chosen.active_requests = true,
                "body_sizes" => chosen.body_sizes = true,
                "connections" if accepted == CLIENT_METRICS => chosen.connections = true,
                "none" => {}
                _ => {
                    self.add(source, item, accepted);
                    continue;
                }
            }
            is_understood = true;
        }
        is_understood.then(|| MetricChoice { is_off: !(chosen.is_any() || chosen.connections), ..chosen })
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

/// The names that servers accept, for messages.
pub(crate) const SERVER_METRICS: &str = "`duration`, `active_requests`, `body_sizes` or `none`";
/// The names that clients accept.
pub(crate) const CLIENT_METRICS: &str = "`duration`, `active_requests`, `body_sizes`, `connections` or `none`";

/// The metrics to record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MetricChoice {
    /// Disables all metrics, regardless of the other fields.
    pub(crate) is_off: bool,
    pub(crate) duration: bool,
    pub(crate) active_requests: bool,
    pub(crate) body_sizes: bool,
    /// Only for clients.
    pub(crate) connections: bool,
}

impl MetricChoice {
    const NONE: Self =
        MetricChoice { is_off: false, duration: false, active_requests: false, body_sizes: false, connections: false };
    // spec: http/http-metrics.md: the others are opt-in
    pub(crate) const DEFAULT: Self = MetricChoice { duration: true, ..MetricChoice::NONE };

    /// Returns true if a metric of requests is recorded.
    #[inline]
    pub(crate) fn is_any(self) -> bool {
        !self.is_off && (self.duration || self.active_requests || self.body_sizes)
    }

    pub(crate) fn counts_connections(self) -> bool {
        !self.is_off && self.connections
    }
}

/// Returns the items of a comma-separated list, without empty ones.
pub(crate) fn list(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|item| !item.is_empty())
}
