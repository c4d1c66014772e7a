//! The settings of the server side in code.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use http::Uri;
use opentelemetry::trace::SpanRef;
use telemark_kit::{Clock, Live};

use super::opt_in::{OptIn, SPAN_ATTRIBUTES};
use crate::shared::captured::{Changed, Choices, REQUEST, RESPONSE};
use crate::shared::headers::CapturedHeader;
use crate::shared::methods::KnownMethods;
use crate::shared::query::SENSITIVE;
use crate::shared::settings::{ConfigProblem, MetricChoice, Problems};
use crate::shared::url::paths::PathPattern;
use crate::shared::url::services::ServiceNames;
use crate::shared::url::templates::{self, PathTemplates};

/// Records an error on a span.
#[derive(Clone)]
pub(crate) struct ErrorRecorder(Arc<RecordError>);

type RecordError = dyn Fn(&SpanRef<'_>, &'static str, &'static str) + Send + Sync;

impl ErrorRecorder {
    pub(crate) fn record(&self, span: &SpanRef<'_>, error_type: &'static str, description: &'static str) {
        (self.0)(span, error_type, description);
    }
}

impl fmt::Debug for ErrorRecorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ErrorRecorder")
    }
}

/// The settings of a server layer: the data that it records and the headers that it trusts.
///
/// The defaults are safe on the open internet: no header is captured, no forwarding header is trusted, and nothing is added
/// to the response. The order of the calls does not matter.
///
/// ```
/// let config = telemark_http::ServerConfig::new()
///     .with_excluded_paths(["/health", "/internal/*"])
///     .with_captured_request_headers(["x-tenant"]);
/// assert!(config.problems().is_empty());
/// ```
#[derive(Clone, Debug)]
pub struct ServerConfig {
    pub(crate) is_enabled: bool,
    pub(crate) known_methods: KnownMethods,
    pub(crate) choices: Choices<PathPattern>,
    pub(crate) sensitive: Cow<'static, [Cow<'static, str>]>,
    pub(crate) forwarded: bool,
    pub(crate) trace_response: bool,
    pub(crate) metrics: MetricChoice,
    /// Adds `server.address` and `server.port` to the metrics.
    pub(crate) has_address_in_metrics: bool,
    pub(crate) opt_in: OptIn,
    pub(crate) clock: Option<Clock>,
    pub(crate) errors: Option<ErrorRecorder>,
    pub(crate) problems: Problems,
    pub(crate) route_templates: PathTemplates,
    pub(crate) client_service_names: ServiceNames,
}

/// What has changed while the program runs, for all configs.
static CHANGED: Live<Changed<PathPattern>> = Live::new(|changed| {
    let of_changes = ServerConfig::from_env_fn(|name| changed(name).flatten());
    Changed::new(ServerConfig::LIVE, of_changes.choices.of_variables, changed)
});

impl ServerConfig {
    /// Returns the defaults, without reading the environment.
    pub fn new() -> Self {
        ServerConfig {
            is_enabled: true,
            known_methods: KnownMethods::default(),
            choices: Choices::new(&CHANGED),
            sensitive: Cow::Borrowed(&SENSITIVE),
            forwarded: false,
            trace_response: false,
            metrics: MetricChoice::DEFAULT,
            has_address_in_metrics: false,
            opt_in: OptIn::default(),
            clock: None,
            errors: None,
            problems: Problems::default(),
            route_templates: PathTemplates::default(),
            client_service_names: ServiceNames::default(),
        }
    }

    /// Enables or disables the layer as a whole. A disabled layer passes requests on unchanged: it starts no spans, records no
    /// metrics, and extracts no context.
    pub fn with_enabled(mut self, is_enabled: bool) -> Self {
        self.is_enabled = is_enabled;
        self
    }

    /// Replaces the list of known methods, which is case-sensitive. Other methods are recorded as `_OTHER`.
    pub fn with_known_methods<I: IntoIterator<Item: AsRef<str>>>(mut self, methods: I) -> Self {
        self.known_methods("with_known_methods", methods);
        self
    }

    /// Excludes paths from spans and metrics: `/health` matches only that path, `/internal/*` every path below.
    pub fn with_excluded_paths<I: IntoIterator<Item: AsRef<str>>>(mut self, patterns: I) -> Self {
        self.excluded("with_excluded_paths", patterns);
        self
    }

    /// Adds route templates for servers without a router, such as `/users/{id}`. A segment `{name}` or `*` matches one segment
    /// of a path, and a final `{*name}` matches all remaining ones. `/users/*=/users/{id}` names a pattern.
    ///
    /// The first template that matches is the route of a request for which the policy has none.
    pub fn with_route_templates<I: IntoIterator<Item: AsRef<str>>>(mut self, templates: I) -> Self {
        self.route_templates("with_route_templates", templates);
        self
    }

    /// Guesses the route of a request that has no other: the path, with `{id}` for segments that are numbers, UUIDs, ULIDs or at
    /// least eight hexadecimal digits, one of which is from 0 to 9.
    ///
    /// Off by default. Use it only if the other segments of all paths are few: each different one is a route of its own. A
    /// client that sends arbitrary paths creates arbitrary routes.
    pub fn with_guessed_routes(mut self) -> Self {
        self.route_templates.guesses = true;
        self
    }

    /// Names the service of the clients with this address, as `client.service.name`: `10.0.0.7`, `[2001:db8::7]`, or `*` for all
    /// others. The name should be the `service.name` of that service.
    pub fn with_client_service_name(mut self, address: &str, name: &str) -> Self {
        if let Err(accepted) = self.client_service_names.add_address(address, name) {
            self.problem("with_client_service_name", address, accepted);
        }
        self
    }

    /// Adds request headers to capture as `http.request.header.<name>`. None by default.
    ///
    /// Name only headers that may be stored. Remember that credentials and cookies are also headers. The captured text is bounded
    /// by
    /// [`MAX_TEXT_BYTES`](crate::MAX_TEXT_BYTES), [`MAX_HEADER_VALUES`](crate::MAX_HEADER_VALUES) and
    /// [`MAX_CAPTURED_BYTES`](crate::MAX_CAPTURED_BYTES).
    pub fn with_captured_request_headers<I: IntoIterator<Item: AsRef<str>>>(mut self, names: I) -> Self {
        self.capture_request_headers("with_captured_request_headers", names);
        self
    }

    /// Adds response headers to capture as `http.response.header.<name>`. None by default.
    pub fn with_captured_response_headers<I: IntoIterator<Item: AsRef<str>>>(mut self, names: I) -> Self {
        self.capture_response_headers("with_captured_response_headers", names);
        self
    }

    /// Replaces the list of query parameters whose values are redacted. The list is case-sensitive.
    ///
    /// Keys are decoded before the comparison: `%53ignature` matches `Signature`. The default is `AWSAccessKeyId`, `Signature`,
    /// `X-Amz-Signature`, `X-Amz-Credential`, `X-Amz-Security-Token`, `sig` and `X-Goog-Signature`.
    ///
    /// spec: http/http-spans.md, url.query: the given names replace the default list
    pub fn with_sensitive_query_parameters<I: IntoIterator<Item: Into<Cow<'static, str>>>>(mut self, names: I) -> Self {
        self.sensitive = names.into_iter().map(Into::into).collect();
        self
    }

    /// Trusts `Forwarded`, `X-Forwarded-For`, `X-Forwarded-Host` and `X-Forwarded-Proto`.
    ///
    /// Use this only behind a proxy that sets or removes these headers; otherwise a client can forge them.
    pub fn with_forwarded_headers(mut self) -> Self {
        self.forwarded = true;
        self
    }

    /// Adds opt-in attributes of the semantic conventions to the spans, by name.
    ///
    /// | attribute | value |
    /// |---|---|
    /// | `client.port` | the port of `client.address`, if known |
    /// | `network.local.address`, `network.local.port` | this end of the connection, from [`HttpPolicy::local`](crate::HttpPolicy::local) |
    /// | `http.request.body.size` | the bytes declared by `Content-Length`; zero for an HTTP/1 request without a body |
    /// | `http.response.body.size` | the number of body bytes handed over to the connection |
    ///
    /// Any other name is ignored and listed in [`ServerConfig::problems`].
    ///
    /// spec: http/http-spans.md#http-server-span: requirement level Opt-In
    pub fn with_opt_in_attributes<I: IntoIterator<Item: AsRef<str>>>(mut self, names: I) -> Self {
        self.opt_in("with_opt_in_attributes", names);
        self
    }

    /// Adds a `traceresponse` header, which sends the caller the trace id and span id of its request.
    ///
    /// spec: W3C trace-context level 2 draft, "traceresponse"
    pub fn with_trace_response(mut self) -> Self {
        self.trace_response = true;
        self
    }

    /// Also records the number of active requests, as `http.server.active_requests`.
    ///
    /// Off by default, as the conventions require; the metric is in development.
    ///
    /// spec: http/http-metrics.md#metric-httpserveractive_requests: opt-in
    pub fn with_active_requests(mut self) -> Self {
        self.metrics.active_requests = true;
        self
    }

    /// Also records `http.server.request.body.size` and `http.server.response.body.size`, in bytes.
    ///
    /// Off by default, as the conventions require. Response bytes are counted when they are handed over to the connection.
    /// The request body is not wrapped, so services receive it unchanged. Its size is the value of `Content-Length`, or zero for
    /// an HTTP/1 request without a body. Request bodies of unknown length are not recorded.
    ///
    /// spec: http/http-metrics.md#metric-httpserverrequestbodysize: opt-in
    pub fn with_body_sizes(mut self) -> Self {
        self.metrics.body_sizes = true;
        self
    }

    /// Also counts the requests whose headers have no trace context, as `telemark.http.server.request.orphans`, with their route. Divided by
    /// the number of all requests of a route, which `http.server.request.duration` contains, this is the share of clients that do not
    /// propagate their context: close to 1 at the edge, and close to 0 behind it.
    ///
    /// Off by default, because no convention defines the metric. Requests with a context cost nothing more.
    pub fn with_orphans(mut self) -> Self {
        self.metrics.orphans = true;
        self
    }

    /// Adds `server.address` and `server.port` to the metrics.
    ///
    /// Off by default: both come from the request, so a client can create a time series with each name it sends.
    ///
    /// spec: http/http-metrics.md: opt-in, with a warning
    pub fn with_server_address_in_metrics(mut self) -> Self {
        self.has_address_in_metrics = true;
        self
    }

    /// Disables `http.server.request.duration`, which is on by default.
    pub fn without_duration(mut self) -> Self {
        self.metrics.duration = false;
        self
    }

    /// Disables all metrics, regardless of the order of calls.
    pub fn without_metrics(mut self) -> Self {
        self.metrics.is_off = true;
        self
    }

    /// Replaces the system clock, which measures the durations of requests.
    ///
    /// A span takes its start and its end from this clock if a metric of its request is recorded, so that both have the same
    /// duration. The tracer dates every other span, so `now` should be the clock of the tracer's provider.
    ///
    /// `now` is called on the thread that serves the request, once at its start and once at its end, and must not block.
    /// The duration is zero if the clock was set back between the two readings.
    pub fn with_clock(mut self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Some(Clock::new(now));
        self
    }

    /// Replaces the function that records an error on the span of a request. `record` receives the span, the value of
    /// `error.type` and a description, which may be empty.
    ///
    /// By default, both overwrite values that the handler has set on the span, because the API cannot read them. If your SDK can
    /// read them, pass a function that keeps them. `record` is called on the thread that ends the request and must not block.
    pub fn with_error_recorder(
        mut self,
        record: impl Fn(&SpanRef<'_>, &'static str, &'static str) + Send + Sync + 'static,
    ) -> Self {
        self.errors = Some(ErrorRecorder(Arc::new(record)));
        self
    }

    /// Copies the clock and the error recorder from `other` if these settings do not have them. Used by layers when their
    /// settings are replaced.
    pub fn or_clock_of(mut self, other: &ServerConfig) -> Self {
        self.clock = self.clock.or_else(|| other.clock.clone());
        self.errors = self.errors.or_else(|| other.errors.clone());
        self
    }

    /// Returns the invalid values that were ignored, for the application to report.
    pub fn problems(&self) -> &[ConfigProblem] {
        self.problems.list()
    }

    pub(crate) fn excludes(&self, uri: &Uri) -> bool {
        self.choices.exclude(|pattern| pattern.matches(uri.path()))
    }

    pub(crate) fn known_methods<I: IntoIterator<Item: AsRef<str>>>(&mut self, source: &'static str, methods: I) {
        if let Some(known) = self.problems.known_methods(source, methods) {
            self.known_methods = known;
        }
    }

    pub(crate) fn excluded<I: IntoIterator<Item: AsRef<str>>>(&mut self, source: &'static str, patterns: I) {
        self.choices.own.excluded.extend(self.problems.paths(source, patterns));
    }

    pub(crate) fn route_templates<I: IntoIterator<Item: AsRef<str>>>(&mut self, source: &'static str, templates: I) {
        for template in templates {
            if !self.route_templates.add(template.as_ref()) {
                self.problem(source, template.as_ref(), templates::ACCEPTED);
            }
        }
    }

    pub(crate) fn client_service_names<I: IntoIterator<Item: AsRef<str>>>(&mut self, source: &'static str, items: I) {
        for item in items {
            if let Err(accepted) = self.client_service_names.add_address_item(item.as_ref()) {
                self.problem(source, item.as_ref(), accepted);
            }
        }
    }

    pub(crate) fn capture_request_headers<I: IntoIterator<Item: AsRef<str>>>(
        &mut self,
        source: &'static str,
        names: I,
    ) {
        self.problems.captured(source, names, CapturedHeader::request, &mut self.choices.own.headers[REQUEST]);
    }

    pub(crate) fn capture_response_headers<I: IntoIterator<Item: AsRef<str>>>(
        &mut self,
        source: &'static str,
        names: I,
    ) {
        self.problems.captured(source, names, CapturedHeader::response, &mut self.choices.own.headers[RESPONSE]);
    }

    pub(crate) fn opt_in<I: IntoIterator<Item: AsRef<str>>>(&mut self, source: &'static str, names: I) {
        self.problems.flags(source, names, &SPAN_ATTRIBUTES, &mut self.opt_in);
    }

    pub(crate) fn problem(&mut self, source: &'static str, value: &str, accepted: &'static str) {
        self.problems.add(source, value, accepted);
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        ServerConfig::new()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Returns all settings except the clock as text.
    pub(crate) fn shown(config: &ServerConfig) -> String {
        let ServerConfig {
            known_methods,
            choices,
            forwarded,
            trace_response,
            metrics,
            has_address_in_metrics,
            opt_in,
            ..
        } = config;
        let excluded = [&choices.own.excluded[..], &choices.of_variables.excluded].concat();
        let (routes, services) = (&config.route_templates, &config.client_service_names);
        let problems: Vec<String> = config.problems.list().iter().map(ToString::to_string).collect();
        format!(
            "{known_methods:?} {excluded:?} {routes:?} {services:?} {} {} {forwarded} {trace_response} {metrics:?} {has_address_in_metrics} {opt_in:?} {problems:?}",
            choices.len(REQUEST),
            choices.len(RESPONSE)
        )
    }

    #[test]
    fn the_order_of_settings_does_not_matter() {
        let changes: [fn(ServerConfig) -> ServerConfig; 8] = [
            ServerConfig::without_metrics,
            ServerConfig::without_duration,
            ServerConfig::with_active_requests,
            ServerConfig::with_server_address_in_metrics,
            |config| config.with_captured_request_headers(["a"]),
            |config| config.with_captured_request_headers(["B", "A"]),
            |config| config.with_excluded_paths(["/a"]),
            |config| config.with_opt_in_attributes(["client.port"]),
        ];
        let forwards = changes.iter().fold(ServerConfig::new(), |config, change| change(config));
        let backwards = changes.iter().rev().fold(ServerConfig::new(), |config, change| change(config));
        assert_eq!(shown(&forwards), shown(&backwards));
        assert_eq!((forwards.choices.len(REQUEST), forwards.metrics.is_any()), (2, false), "a and b, once each");
        assert!(ServerConfig::new().without_duration().with_active_requests().metrics.is_any());
    }

    #[test]
    fn a_clock_stays_unless_it_is_replaced() {
        let (own, other) = (|| SystemTime::UNIX_EPOCH, || SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(7));
        let read = |config: ServerConfig| config.clock.unwrap_or_default().now();
        let before = ServerConfig::new().with_clock(own);
        assert_eq!(read(ServerConfig::new().or_clock_of(&before)), own());
        assert_eq!(read(ServerConfig::new().with_clock(other).or_clock_of(&before)), other());
    }
}
