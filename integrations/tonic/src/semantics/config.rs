//! The settings in code.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use http::HeaderName;
use opentelemetry::trace::SpanRef;
use telemark_kit::Clock;

use super::choice::{Choices, REQUEST_HEADERS, RESPONSE_HEADERS, RESPONSE_TRAILERS};
use super::metadata::Captured;
use super::methods::{Method, MethodPattern};
use super::status::Side;

/// Records an error on a span.
#[derive(Clone)]
pub(crate) struct ErrorRecorder(Arc<RecordError>);

type RecordError = dyn Fn(&SpanRef<'_>, &'static str, &str) + Send + Sync;

impl ErrorRecorder {
    pub(crate) fn record(&self, span: &SpanRef<'_>, error_type: &'static str, description: &str) {
        (self.0)(span, error_type, description);
    }
}

impl fmt::Debug for ErrorRecorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ErrorRecorder")
    }
}

/// The settings of a server layer or a client layer.
///
/// The defaults are safe on the open internet: no header and no trailer is captured. The order of the calls does not matter.
///
/// ```
/// let config = telemark_tonic::GrpcConfig::new()
///     .with_excluded_methods(["grpc.health.v1.Health/*", "grpc.reflection.*"])
///     .with_captured_request_headers(["x-tenant"]);
/// assert!(config.problems().is_empty());
/// ```
#[derive(Clone, Debug)]
pub struct GrpcConfig {
    pub(crate) is_enabled: bool,
    pub(crate) has_metrics: bool,
    pub(crate) has_server_address_in_metrics: bool,
    pub(crate) choices: Choices,
    /// The only known methods; `None` if every method is known that the server has answered.
    pub(crate) known: Option<Vec<&'static str>>,
    pub(crate) clock: Option<Clock>,
    pub(crate) errors: Option<ErrorRecorder>,
    problems: Vec<ConfigProblem>,
}

impl GrpcConfig {
    /// Returns the defaults, without reading the environment.
    pub fn new() -> Self {
        GrpcConfig {
            is_enabled: true,
            has_metrics: true,
            has_server_address_in_metrics: false,
            choices: Choices::default(),
            known: None,
            clock: None,
            errors: None,
            problems: Vec::new(),
        }
    }

    /// Enables or disables the layer as a whole. A disabled layer passes requests on unchanged: it starts no spans, records no
    /// metrics, and propagates no context.
    pub fn with_enabled(mut self, is_enabled: bool) -> Self {
        self.is_enabled = is_enabled;
        self
    }

    /// Excludes methods from spans and metrics. A client still sends the caller's trace context. `grpc.health.v1.Health/Check` matches only that method,
    /// `grpc.reflection.*` every method that starts with `grpc.reflection.`.
    pub fn with_excluded_methods<I: IntoIterator<Item: AsRef<str>>>(mut self, patterns: I) -> Self {
        self.exclude("with_excluded_methods", patterns);
        self
    }

    /// Sets the methods that a server knows: it records every other method as `_OTHER`.
    ///
    /// By default, a server layer finds out. A client may call methods that do not exist, and neither span names nor metrics may
    /// grow with its inventions, so a method is named without limit only after its first response other than an error.
    ///
    /// spec: semconv rpc/rpc-spans.md, `rpc.method`
    pub fn with_known_methods<I: IntoIterator<Item: AsRef<str>>>(mut self, methods: I) -> Self {
        self.know("with_known_methods", methods);
        self
    }

    /// Adds request headers to capture as `rpc.request.header.<name>`. None by default.
    ///
    /// Name only headers that may be stored. Remember that credentials are also headers. The captured text is bounded by
    /// [`MAX_TEXT_BYTES`](telemark_http::MAX_TEXT_BYTES), [`MAX_HEADER_VALUES`](telemark_http::MAX_HEADER_VALUES) and
    /// [`MAX_CAPTURED_BYTES`](telemark_http::MAX_CAPTURED_BYTES).
    pub fn with_captured_request_headers<I: IntoIterator<Item: AsRef<str>>>(mut self, names: I) -> Self {
        self.capture_request_headers("with_captured_request_headers", names);
        self
    }

    /// Adds response headers to capture as `rpc.response.header.<name>`. None by default.
    pub fn with_captured_response_headers<I: IntoIterator<Item: AsRef<str>>>(mut self, names: I) -> Self {
        self.capture_response_headers("with_captured_response_headers", names);
        self
    }

    /// Adds response trailers to capture as `rpc.response.trailer.<name>`. None by default.
    ///
    /// If a call fails without a message, its trailers are the headers of the response.
    pub fn with_captured_response_trailers<I: IntoIterator<Item: AsRef<str>>>(mut self, names: I) -> Self {
        self.capture_response_trailers("with_captured_response_trailers", names);
        self
    }

    /// Adds `server.address` and `server.port` to a server's metrics. A client's metrics always have them.
    ///
    /// Off by default: both come from the request, so a client can create a time series with each name it sends.
    ///
    /// spec: semconv rpc/rpc-metrics.md: opt-in
    pub fn with_server_address_in_metrics(mut self) -> Self {
        self.has_server_address_in_metrics = true;
        self
    }

    /// Disables the metrics.
    pub fn without_metrics(mut self) -> Self {
        self.has_metrics = false;
        self
    }

    /// Replaces the system clock, which measures the durations of calls and tells whether a deadline has passed.
    ///
    /// A span takes its start and its end from this clock if a metric of its call is recorded or the call has a deadline. The tracer
    /// dates every other span, so `now` should be the clock of the tracer's provider. It is called at the start and at the end of
    /// a call, and must not block.
    pub fn with_clock(mut self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Some(Clock::new(now));
        self
    }

    /// Replaces the function that records an error on the span of a call. `record` receives the span, the value of `error.type`
    /// and the message of the status, which may be empty.
    ///
    /// By default, both overwrite values that the handler has set on the span, because the API cannot read them. If your SDK can
    /// read them, pass a function that keeps them. `record` is called on the thread that ends the call and must not block.
    pub fn with_error_recorder(
        mut self,
        record: impl Fn(&SpanRef<'_>, &'static str, &str) + Send + Sync + 'static,
    ) -> Self {
        self.errors = Some(ErrorRecorder(Arc::new(record)));
        self
    }

    /// Copies the clock and the error recorder from `other` if these settings do not have them. Used by layers when their
    /// settings are replaced.
    pub(crate) fn or_clock_of(mut self, other: &GrpcConfig) -> Self {
        self.clock = self.clock.or_else(|| other.clock.clone());
        self.errors = self.errors.or_else(|| other.errors.clone());
        self
    }

    /// Returns the invalid values that were ignored, for the application to report.
    pub fn problems(&self) -> &[ConfigProblem] {
        &self.problems
    }

    pub(crate) fn exclude<I: IntoIterator<Item: AsRef<str>>>(&mut self, source: &'static str, patterns: I) {
        for pattern in patterns {
            match MethodPattern::parse(pattern.as_ref()) {
                Some(pattern) => self.choices.own.excluded.push(pattern),
                None => self.problem(source, pattern.as_ref(), MethodPattern::ACCEPTED),
            }
        }
    }

    pub(crate) fn know<I: IntoIterator<Item: AsRef<str>>>(&mut self, source: &'static str, methods: I) {
        let mut known = Vec::new();
        let mut has_problem = false;
        for method in methods {
            let kept = MethodPattern::parse(method.as_ref()).and_then(|pattern| {
                match Method::keep(pattern.method()?, Side::Server) {
                    Method::Kept(method) => Some(method),
                    _ => None,
                }
            });
            match kept {
                Some(method) => known.push(method),
                None => {
                    has_problem = true;
                    self.problem(source, method.as_ref(), "a method such as `pkg.Service/Method`");
                }
            }
        }
        // Ignore a list without a valid method; otherwise every method would become `_OTHER`.
        if !(known.is_empty() && has_problem) {
            self.known = Some(known);
        }
    }

    pub(crate) fn capture_request_headers<I: IntoIterator<Item: AsRef<str>>>(
        &mut self,
        source: &'static str,
        names: I,
    ) {
        let mut chosen = std::mem::take(&mut self.choices.own.fields[REQUEST_HEADERS]);
        self.capture(&mut chosen, "rpc.request.header.", source, names);
        self.choices.own.fields[REQUEST_HEADERS] = chosen;
    }

    pub(crate) fn capture_response_headers<I: IntoIterator<Item: AsRef<str>>>(
        &mut self,
        source: &'static str,
        names: I,
    ) {
        let mut chosen = std::mem::take(&mut self.choices.own.fields[RESPONSE_HEADERS]);
        self.capture(&mut chosen, "rpc.response.header.", source, names);
        self.choices.own.fields[RESPONSE_HEADERS] = chosen;
    }

    pub(crate) fn capture_response_trailers<I: IntoIterator<Item: AsRef<str>>>(
        &mut self,
        source: &'static str,
        names: I,
    ) {
        let mut chosen = std::mem::take(&mut self.choices.own.fields[RESPONSE_TRAILERS]);
        self.capture(&mut chosen, "rpc.response.trailer.", source, names);
        self.choices.own.fields[RESPONSE_TRAILERS] = chosen;
    }

    fn capture<I: IntoIterator<Item: AsRef<str>>>(
        &mut self,
        chosen: &mut Vec<Captured>,
        prefix: &str,
        source: &'static str,
        names: I,
    ) {
        for name in names {
            match HeaderName::from_bytes(name.as_ref().as_bytes()) {
                Ok(name) if chosen.iter().any(|known| known.is(&name)) => {}
                Ok(name) => chosen.push(Captured::new(prefix, name)),
                Err(_) => self.problem(source, name.as_ref(), "the name of a header"),
            }
        }
    }

    pub(crate) fn problem(&mut self, source: &'static str, value: &str, accepted: &'static str) {
        self.problems.push(ConfigProblem { source, value: value.to_owned(), accepted });
    }
}

impl Default for GrpcConfig {
    fn default() -> Self {
        GrpcConfig::new()
    }
}

/// An ignored value. Its `Display` names the variable or method, the value, and the accepted values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigProblem {
    source: &'static str,
    value: String,
    accepted: &'static str,
}

impl ConfigProblem {
    /// Returns the name of the environment variable, or of the method of [`GrpcConfig`].
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_without_a_valid_method_changes_nothing() {
        let config = GrpcConfig::new().with_known_methods(["a.B/C"]).with_known_methods(["*"]);
        assert_eq!((config.known, config.problems.len()), (Some(vec!["a.B/C"]), 1));
        assert_eq!(GrpcConfig::new().with_known_methods([""; 0]).known, Some(vec![]));
    }
}
