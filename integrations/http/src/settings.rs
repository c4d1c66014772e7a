//! The settings of the server side: data, from code or from the environment.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use http::{HeaderName, Method, Uri};

use crate::clock::Clock;
use crate::headers::CapturedHeader;
use crate::methods::KnownMethods;
use crate::metrics::MetricChoice;
use crate::opt_in::OptIn;
use crate::paths::PathPattern;
use crate::query::SENSITIVE;

const KNOWN_METHODS: &str = "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS";
const EXCLUDED_URLS: &str = "OTEL_RUST_HTTP_SERVER_EXCLUDED_URLS";
const REQUEST_HEADERS: &str = "OTEL_RUST_HTTP_SERVER_CAPTURE_REQUEST_HEADERS";
const RESPONSE_HEADERS: &str = "OTEL_RUST_HTTP_SERVER_CAPTURE_RESPONSE_HEADERS";
const FORWARDED_HEADERS: &str = "OTEL_RUST_HTTP_SERVER_FORWARDED_HEADERS";
const TRACE_RESPONSE: &str = "OTEL_RUST_HTTP_SERVER_TRACE_RESPONSE";
const METRICS: &str = "OTEL_RUST_HTTP_SERVER_METRICS";
const ADDRESS_IN_METRICS: &str = "OTEL_RUST_HTTP_SERVER_ADDRESS_IN_METRICS";
const OPT_IN_ATTRIBUTES: &str = "OTEL_RUST_HTTP_SERVER_OPT_IN_ATTRIBUTES";

/// The choice of what a server layer records and trusts.
///
/// The defaults are safe in front of the open internet: no header is captured, no forwarding header is believed,
/// nothing is added to the response. The order in which settings are made does not matter.
///
/// ```
/// let settings = telemark_http::ServerSettings::new()
///     .with_excluded_paths(["/health", "/internal/*"])
///     .with_captured_request_headers(["x-tenant"]);
/// assert!(settings.problems().is_empty());
/// ```
#[derive(Clone, Debug)]
pub struct ServerSettings {
    pub(crate) known_methods: KnownMethods,
    pub(crate) request_headers: Vec<CapturedHeader>,
    pub(crate) response_headers: Vec<CapturedHeader>,
    pub(crate) sensitive: Cow<'static, [Cow<'static, str>]>,
    pub(crate) forwarded: bool,
    pub(crate) trace_response: bool,
    pub(crate) metrics: MetricChoice,
    pub(crate) opt_in: OptIn,
    pub(crate) clock: Option<Clock>,
    excluded: Vec<PathPattern>,
    problems: Vec<SettingProblem>,
}

impl ServerSettings {
    /// The defaults; reads nothing.
    pub fn new() -> Self {
        ServerSettings {
            known_methods: KnownMethods::default(),
            request_headers: Vec::new(),
            response_headers: Vec::new(),
            sensitive: Cow::Borrowed(&SENSITIVE),
            forwarded: false,
            trace_response: false,
            metrics: MetricChoice::DEFAULT,
            opt_in: OptIn::default(),
            clock: None,
            excluded: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// The defaults, changed by environment variables that `read` looks up by name.
    ///
    /// An unset or empty variable changes nothing. What is not understood is left out and listed in
    /// [`ServerSettings::problems`].
    ///
    /// | variable | value | default |
    /// |---|---|---|
    /// | `OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS` | comma list, case-sensitive, replaces the default list | the nine methods of RFC 9110 and PATCH, and QUERY |
    /// | `OTEL_RUST_HTTP_SERVER_EXCLUDED_URLS` | comma list of paths; `*` at the end matches any rest | none |
    /// | `OTEL_RUST_HTTP_SERVER_CAPTURE_REQUEST_HEADERS` | comma list of header names | none |
    /// | `OTEL_RUST_HTTP_SERVER_CAPTURE_RESPONSE_HEADERS` | comma list of header names | none |
    /// | `OTEL_RUST_HTTP_SERVER_FORWARDED_HEADERS` | `true`: believe `Forwarded` and `X-Forwarded-*` | `false` |
    /// | `OTEL_RUST_HTTP_SERVER_TRACE_RESPONSE` | `true`: add a `traceresponse` header | `false` |
    /// | `OTEL_RUST_HTTP_SERVER_METRICS` | comma list of `duration`, `active_requests` and `body_sizes`, or `none` | `duration` |
    /// | `OTEL_RUST_HTTP_SERVER_ADDRESS_IN_METRICS` | `true`: add `server.address` and `server.port` to the metrics | `false` |
    /// | `OTEL_RUST_HTTP_SERVER_OPT_IN_ATTRIBUTES` | comma list of the names that [`ServerSettings::with_opt_in_attributes`] takes | none |
    pub fn from_env_fn(read: impl Fn(&str) -> Option<String>) -> Self {
        // spec: configuration/sdk-environment-variables.md: an empty value is an unset one
        let set = |name| read(name).filter(|value| !value.trim().is_empty());
        let mut settings = ServerSettings::new();
        if let Some(value) = set(KNOWN_METHODS) {
            settings.known_methods(KNOWN_METHODS, list(&value));
        }
        if let Some(value) = set(EXCLUDED_URLS) {
            settings.excluded(EXCLUDED_URLS, list(&value));
        }
        if let Some(value) = set(REQUEST_HEADERS) {
            settings.capture_request_headers(REQUEST_HEADERS, list(&value));
        }
        if let Some(value) = set(RESPONSE_HEADERS) {
            settings.capture_response_headers(RESPONSE_HEADERS, list(&value));
        }
        settings.forwarded = settings.boolean(FORWARDED_HEADERS, set(FORWARDED_HEADERS));
        settings.trace_response = settings.boolean(TRACE_RESPONSE, set(TRACE_RESPONSE));
        if let Some(value) = set(METRICS) {
            settings.metrics(&value);
        }
        settings.metrics.server_address = settings.boolean(ADDRESS_IN_METRICS, set(ADDRESS_IN_METRICS));
        if let Some(value) = set(OPT_IN_ATTRIBUTES) {
            settings.opt_in(OPT_IN_ATTRIBUTES, list(&value));
        }
        settings
    }

    /// The methods that are recorded by name, instead of the default list; others become `_OTHER`. Case-sensitive.
    pub fn with_known_methods<I: IntoIterator<Item: AsRef<str>>>(mut self, methods: I) -> Self {
        self.known_methods("with_known_methods", methods);
        self
    }

    /// Paths that are left alone, without spans and metrics: `/health` is that path only, `/internal/*` everything below.
    /// Adds to the others.
    pub fn with_excluded_paths<I: IntoIterator<Item: AsRef<str>>>(mut self, patterns: I) -> Self {
        self.excluded("with_excluded_paths", patterns);
        self
    }

    /// Adds request headers that become `http.request.header.<name>`; by default there are none.
    ///
    /// Name only what may be stored: credentials and cookies are headers, too. What is kept of them is bounded by
    /// [`MAX_TEXT_BYTES`](crate::MAX_TEXT_BYTES), [`MAX_HEADER_VALUES`](crate::MAX_HEADER_VALUES) and
    /// [`MAX_CAPTURED_BYTES`](crate::MAX_CAPTURED_BYTES).
    pub fn with_captured_request_headers<I: IntoIterator<Item: AsRef<str>>>(mut self, names: I) -> Self {
        self.capture_request_headers("with_captured_request_headers", names);
        self
    }

    /// Adds response headers that become `http.response.header.<name>`; by default there are none.
    pub fn with_captured_response_headers<I: IntoIterator<Item: AsRef<str>>>(mut self, names: I) -> Self {
        self.capture_response_headers("with_captured_response_headers", names);
        self
    }

    /// The query parameters whose values are redacted, instead of the default list. Case-sensitive.
    ///
    /// A key is compared as a server reads it, so `%53ignature` is `Signature`. The default is `AWSAccessKeyId`, `Signature`,
    /// `X-Amz-Signature`, `X-Amz-Credential`, `X-Amz-Security-Token`, `sig` and `X-Goog-Signature`.
    ///
    /// spec: http/http-spans.md, url.query: names that are set replace the default list
    pub fn with_sensitive_query_parameters<I: IntoIterator<Item: Into<Cow<'static, str>>>>(mut self, names: I) -> Self {
        self.sensitive = names.into_iter().map(Into::into).collect();
        self
    }

    /// Believes `Forwarded` and `X-Forwarded-For`, `-Host` and `-Proto`.
    ///
    /// For servers behind a proxy that sets or removes these headers: anyone else can write what they like into them.
    pub fn with_forwarded_headers(mut self) -> Self {
        self.forwarded = true;
        self
    }

    /// Adds attributes to the spans that the conventions leave to the user's choice, by their names.
    ///
    /// | attribute | value |
    /// |---|---|
    /// | `client.port` | the port of `client.address`, where it is known |
    /// | `network.local.address`, `network.local.port` | this end of the connection, from [`HttpPolicy::local`](crate::HttpPolicy::local) |
    /// | `http.request.body.size` | what `Content-Length` declares, in bytes; zero if an HTTP/1 request has no body |
    /// | `http.response.body.size` | the bytes of the body that were handed over |
    ///
    /// Another name is left out and listed in [`ServerSettings::problems`].
    ///
    /// spec: http/http-spans.md#http-server-span: requirement level Opt-In
    pub fn with_opt_in_attributes<I: IntoIterator<Item: AsRef<str>>>(mut self, names: I) -> Self {
        self.opt_in("with_opt_in_attributes", names);
        self
    }

    /// Tells the caller the trace and span id of its request, in a `traceresponse` header.
    ///
    /// spec: W3C trace-context level 2 draft, "traceresponse"
    pub fn with_trace_response(mut self) -> Self {
        self.trace_response = true;
        self
    }

    /// Also counts the requests that are being served, as `http.server.active_requests`.
    ///
    /// Off by default, as the conventions have it for this metric, which is in development.
    ///
    /// spec: http/http-metrics.md#metric-httpserveractive_requests: opt-in
    pub fn with_active_requests(mut self) -> Self {
        self.metrics.active_requests = true;
        self
    }

    /// Also records `http.server.request.body.size` and `http.server.response.body.size`, in bytes.
    ///
    /// Off by default, as the conventions have it. A response is counted as it is handed over to the connection. The body
    /// of a request is not touched, so that services get it as it is: its size is what `Content-Length` says, or zero if
    /// an HTTP/1 request has no body. Bodies that do not tell their length are left out.
    ///
    /// spec: http/http-metrics.md#metric-httpserverrequestbodysize: opt-in
    pub fn with_body_sizes(mut self) -> Self {
        self.metrics.body_sizes = true;
        self
    }

    /// Adds `server.address` and `server.port` to the metrics.
    ///
    /// Off by default: both come from the request, and whoever sends it can make a new time series with each.
    ///
    /// spec: http/http-metrics.md: opt-in, with a warning
    pub fn with_server_address_in_metrics(mut self) -> Self {
        self.metrics.server_address = true;
        self
    }

    /// Does not record `http.server.request.duration`, which is on by default.
    pub fn without_duration(mut self) -> Self {
        self.metrics.duration = false;
        self
    }

    /// Records no metrics, also none that are asked for before or afterwards.
    pub fn without_metrics(mut self) -> Self {
        self.metrics.is_off = true;
        self
    }

    /// The clock of spans and durations where metrics are recorded, instead of the system's.
    ///
    /// Called on the thread that serves the request, once when it starts and once when it ends; it must not block. A clock
    /// that is set back in between makes a duration of zero.
    pub fn with_clock(mut self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Some(Clock::new(now));
        self
    }

    /// Takes the clock of other settings, unless these have one: for layers whose settings are replaced.
    pub fn or_clock_of(mut self, other: &ServerSettings) -> Self {
        self.clock = self.clock.or_else(|| other.clock.clone());
        self
    }

    /// Values that were left out because they were not understood; for the application to report.
    pub fn problems(&self) -> &[SettingProblem] {
        &self.problems
    }

    pub(crate) fn excludes(&self, uri: &Uri) -> bool {
        !self.excluded.is_empty() && self.excluded.iter().any(|pattern| pattern.matches(uri.path()))
    }

    fn known_methods<I: IntoIterator<Item: AsRef<str>>>(&mut self, source: &'static str, methods: I) {
        let mut known = Vec::new();
        for method in methods {
            match Method::from_bytes(method.as_ref().as_bytes()) {
                Ok(_) => known.push(Arc::from(method.as_ref())),
                Err(_) => self.problem(source, method.as_ref(), "an HTTP method"),
            }
        }
        self.known_methods = KnownMethods::only(known);
    }

    fn excluded<I: IntoIterator<Item: AsRef<str>>>(&mut self, source: &'static str, patterns: I) {
        for pattern in patterns {
            match PathPattern::parse(pattern.as_ref()) {
                Some(pattern) => self.excluded.push(pattern),
                None => self.problem(source, pattern.as_ref(), "a path, or the beginning of one and a final `*`"),
            }
        }
    }

    fn capture_request_headers<I: IntoIterator<Item: AsRef<str>>>(&mut self, source: &'static str, names: I) {
        for name in self.header_names(source, names) {
            if !self.request_headers.iter().any(|known| known.is(&name)) {
                self.request_headers.push(CapturedHeader::request(name));
            }
        }
    }

    fn capture_response_headers<I: IntoIterator<Item: AsRef<str>>>(&mut self, source: &'static str, names: I) {
        for name in self.header_names(source, names) {
            if !self.response_headers.iter().any(|known| known.is(&name)) {
                self.response_headers.push(CapturedHeader::response(name));
            }
        }
    }

    fn header_names<I: IntoIterator<Item: AsRef<str>>>(&mut self, source: &'static str, names: I) -> Vec<HeaderName> {
        let mut valid = Vec::new();
        for name in names {
            match HeaderName::from_bytes(name.as_ref().as_bytes()) {
                Ok(name) => valid.push(name),
                Err(_) => self.problem(source, name.as_ref(), "the name of an HTTP header"),
            }
        }
        valid
    }

    fn opt_in<I: IntoIterator<Item: AsRef<str>>>(&mut self, source: &'static str, names: I) {
        for name in names {
            if self.opt_in.choose(name.as_ref()).is_none() {
                self.problem(source, name.as_ref(), OptIn::ACCEPTED);
            }
        }
    }

    /// Replaces the default as a whole. If nothing is understood, the default stays.
    fn metrics(&mut self, value: &str) {
        let mut chosen = MetricChoice::NONE;
        let mut is_understood = false;
        for item in list(value) {
            match item {
                "duration" => chosen.duration = true,
                "active_requests" => chosen.active_requests = true,
                "body_sizes" => chosen.body_sizes = true,
                "none" => {}
                _ => {
                    self.problem(METRICS, item, "`duration`, `active_requests`, `body_sizes` or `none`");
                    continue;
                }
            }
            is_understood = true;
        }
        if is_understood {
            self.metrics = MetricChoice { is_off: !chosen.is_any(), ..chosen };
        }
    }

    // spec: configuration/common.md: only "true" in any case is true, anything but "false" deserves a warning
    fn boolean(&mut self, source: &'static str, value: Option<String>) -> bool {
        let Some(value) = value else { return false };
        let value = value.trim();
        if value.eq_ignore_ascii_case("true") {
            return true;
        }
        if !value.eq_ignore_ascii_case("false") {
            self.problem(source, value, "`true` or `false`");
        }
        false
    }

    fn problem(&mut self, source: &'static str, value: &str, accepted: &'static str) {
        self.problems.push(SettingProblem { source, value: value.to_owned(), accepted });
    }
}

impl Default for ServerSettings {
    fn default() -> Self {
        ServerSettings::new()
    }
}

/// A value that was left out of the settings. Its `Display` names the variable, the value and what is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingProblem {
    source: &'static str,
    value: String,
    accepted: &'static str,
}

impl SettingProblem {
    /// The environment variable, or the method of [`ServerSettings`].
    pub fn source(&self) -> &'static str {
        self.source
    }
}

impl fmt::Display for SettingProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SettingProblem { source, value, accepted } = self;
        write!(f, "{source}: ignored {value:?}, expected {accepted}")
    }
}

fn list(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> ServerSettings {
        ServerSettings::from_env_fn(|name| {
            variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned())
        })
    }

    fn shown(settings: &ServerSettings) -> String {
        let ServerSettings {
            known_methods,
            request_headers,
            response_headers,
            forwarded,
            trace_response,
            metrics,
            opt_in,
            ..
        } = settings;
        let excluded = &settings.excluded;
        let problems: Vec<String> = settings.problems.iter().map(ToString::to_string).collect();
        format!(
            "{known_methods:?} {excluded:?} {} {} {forwarded} {trace_response} {metrics:?} {opt_in:?} {problems:?}",
            request_headers.len(),
            response_headers.len()
        )
    }

    #[test]
    fn from_the_environment() {
        fn check(variables: &[(&str, &str)], expected: &ServerSettings) {
            assert_eq!(shown(&read(variables)), shown(expected));
        }
        let new = ServerSettings::new;
        check(&[], &new());
        check(&[(KNOWN_METHODS, "  "), (FORWARDED_HEADERS, ""), (EXCLUDED_URLS, "")], &new());
        check(&[(KNOWN_METHODS, "GET, PURGE,")], &new().with_known_methods(["GET", "PURGE"]));
        check(&[(EXCLUDED_URLS, "/health,/internal/*")], &new().with_excluded_paths(["/health", "/internal/*"]));
        check(&[(REQUEST_HEADERS, "X-Tenant , x-b")], &new().with_captured_request_headers(["x-tenant", "x-b"]));
        check(&[(RESPONSE_HEADERS, "etag")], &new().with_captured_response_headers(["etag"]));
        check(&[(FORWARDED_HEADERS, "TRUE"), (TRACE_RESPONSE, "false")], &new().with_forwarded_headers());
        check(&[(TRACE_RESPONSE, " true ")], &new().with_trace_response());
        check(&[(METRICS, "duration")], &new());
        check(&[(METRICS, "duration, active_requests")], &new().with_active_requests());
        check(&[(METRICS, "body_sizes")], &new().without_duration().with_body_sizes());
        check(&[(METRICS, "none, active_requests")], &new().without_duration().with_active_requests());
        check(&[(METRICS, "none")], &new().without_duration().without_metrics());
        check(&[(METRICS, "nothing")], &{
            let mut settings = new();
            settings.problem(METRICS, "nothing", "`duration`, `active_requests`, `body_sizes` or `none`");
            settings
        });
        check(&[(ADDRESS_IN_METRICS, "true")], &new().with_server_address_in_metrics());
        let sizes = ["http.request.body.size", "http.response.body.size"];
        check(&[(OPT_IN_ATTRIBUTES, "client.port")], &new().with_opt_in_attributes(["client.port"]));
        check(&[(OPT_IN_ATTRIBUTES, &sizes.join(" , "))], &new().with_opt_in_attributes(sizes));
    }

    #[test]
    fn the_order_of_settings_does_not_matter() {
        let changes: [fn(ServerSettings) -> ServerSettings; 8] = [
            ServerSettings::without_metrics,
            ServerSettings::without_duration,
            ServerSettings::with_active_requests,
            ServerSettings::with_server_address_in_metrics,
            |settings| settings.with_captured_request_headers(["a"]),
            |settings| settings.with_captured_request_headers(["B", "A"]),
            |settings| settings.with_excluded_paths(["/a"]),
            |settings| settings.with_opt_in_attributes(["client.port"]),
        ];
        let forwards = changes.iter().fold(ServerSettings::new(), |settings, change| change(settings));
        let backwards = changes.iter().rev().fold(ServerSettings::new(), |settings, change| change(settings));
        assert_eq!(shown(&forwards), shown(&backwards));
        assert_eq!((forwards.request_headers.len(), forwards.metrics.is_any()), (2, false), "a and b, once each");
        assert!(ServerSettings::new().without_duration().with_active_requests().metrics.is_any());
    }

    #[test]
    fn a_clock_stays_unless_it_is_replaced() {
        let (own, other) = (|| SystemTime::UNIX_EPOCH, || SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(7));
        let read = |settings: ServerSettings| settings.clock.unwrap_or_default().now();
        let before = ServerSettings::new().with_clock(own);
        assert_eq!(read(ServerSettings::new().or_clock_of(&before)), own());
        assert_eq!(read(ServerSettings::new().with_clock(other).or_clock_of(&before)), other());
    }

    #[test]
    fn names_what_it_leaves_out() {
        let settings = read(&[
            (KNOWN_METHODS, "GET,B AD"),
            (EXCLUDED_URLS, "/a*b"),
            (REQUEST_HEADERS, "x y,ok"),
            (FORWARDED_HEADERS, "yes"),
            (METRICS, "Duration"),
            (ADDRESS_IN_METRICS, "1"),
            (OPT_IN_ATTRIBUTES, "client.port,user_agent.synthetic.type"),
        ]);
        let problems: Vec<String> = settings.problems().iter().map(ToString::to_string).collect();
        assert_eq!(
            problems.join("\n"),
            "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS: ignored \"B AD\", expected an HTTP method\n\
             OTEL_RUST_HTTP_SERVER_EXCLUDED_URLS: ignored \"/a*b\", expected a path, or the beginning of one and a final `*`\n\
             OTEL_RUST_HTTP_SERVER_CAPTURE_REQUEST_HEADERS: ignored \"x y\", expected the name of an HTTP header\n\
             OTEL_RUST_HTTP_SERVER_FORWARDED_HEADERS: ignored \"yes\", expected `true` or `false`\n\
             OTEL_RUST_HTTP_SERVER_METRICS: ignored \"Duration\", expected `duration`, `active_requests`, `body_sizes` or `none`\n\
             OTEL_RUST_HTTP_SERVER_ADDRESS_IN_METRICS: ignored \"1\", expected `true` or `false`\n\
             OTEL_RUST_HTTP_SERVER_OPT_IN_ATTRIBUTES: ignored \"user_agent.synthetic.type\", expected `client.port`, \
             `network.local.address`, `network.local.port`, `http.request.body.size` or `http.response.body.size`"
        );
        assert_eq!((settings.request_headers.len(), settings.forwarded), (1, false));
        assert_eq!(settings.metrics, MetricChoice::DEFAULT);
    }
}
