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
use crate::paths::PathPattern;
use crate::query::SENSITIVE;

const KNOWN_METHODS: &str = "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS";
const EXCLUDED_URLS: &str = "OTEL_RUST_HTTP_SERVER_EXCLUDED_URLS";
const REQUEST_HEADERS: &str = "OTEL_RUST_HTTP_SERVER_CAPTURE_REQUEST_HEADERS";
const RESPONSE_HEADERS: &str = "OTEL_RUST_HTTP_SERVER_CAPTURE_RESPONSE_HEADERS";
const FORWARDED_HEADERS: &str = "OTEL_RUST_HTTP_SERVER_FORWARDED_HEADERS";
const TRACE_RESPONSE: &str = "OTEL_RUST_HTTP_SERVER_TRACE_RESPONSE";
const METRICS: &str = "OTEL_RUST_HTTP_SERVER_METRICS";

/// What a server layer records and trusts.
///
/// The defaults are safe in front of the open internet: no header is captured, no forwarding header is believed,
/// nothing is added to the response.
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
    pub(crate) clock: Clock,
    excluded: Vec<PathPattern>,
    problems: Vec<SettingProblem>,
}

impl ServerSettings {
    /// The defaults; reads nothing.
    pub fn new() -> Self {
        const DEFAULT: [Cow<'static, str>; SENSITIVE.len()] = {
            let [a, b, c, d, e] = SENSITIVE;
            [Cow::Borrowed(a), Cow::Borrowed(b), Cow::Borrowed(c), Cow::Borrowed(d), Cow::Borrowed(e)]
        };
        ServerSettings {
            known_methods: KnownMethods::default(),
            request_headers: Vec::new(),
            response_headers: Vec::new(),
            sensitive: Cow::Borrowed(&DEFAULT),
            forwarded: false,
            trace_response: false,
            metrics: MetricChoice::DEFAULT,
            clock: Clock::default(),
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
            settings.request_headers = settings.captured(REQUEST_HEADERS, list(&value), CapturedHeader::request);
        }
        if let Some(value) = set(RESPONSE_HEADERS) {
            settings.response_headers = settings.captured(RESPONSE_HEADERS, list(&value), CapturedHeader::response);
        }
        settings.forwarded = settings.boolean(FORWARDED_HEADERS, set(FORWARDED_HEADERS));
        settings.trace_response = settings.boolean(TRACE_RESPONSE, set(TRACE_RESPONSE));
        if let Some(value) = set(METRICS) {
            settings.metrics(&value);
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

    /// The request headers that become `http.request.header.<name>`, instead of none.
    ///
    /// Name only what may be stored: credentials and cookies are headers, too.
    pub fn with_captured_request_headers<I: IntoIterator<Item: AsRef<str>>>(mut self, names: I) -> Self {
        self.request_headers = self.captured("with_captured_request_headers", names, CapturedHeader::request);
        self
    }

    /// The response headers that become `http.response.header.<name>`, instead of none.
    pub fn with_captured_response_headers<I: IntoIterator<Item: AsRef<str>>>(mut self, names: I) -> Self {
        self.response_headers = self.captured("with_captured_response_headers", names, CapturedHeader::response);
        self
    }

    /// The query parameters whose values are redacted, instead of the default list. Case-sensitive.
    ///
    /// The default is `X-Amz-Signature`, `X-Amz-Credential`, `X-Amz-Security-Token`, `sig` and `X-Goog-Signature`.
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

    /// Records no metrics, but for those that are asked for afterwards.
    pub fn without_metrics(mut self) -> Self {
        self.metrics = MetricChoice::NONE;
        self
    }

    /// The clock of spans and durations where metrics are recorded, instead of the system's.
    ///
    /// Called on the thread that serves the request, once when it starts and once when it ends; it must not block. A clock
    /// that is set back in between makes a duration of zero.
    pub fn with_clock(mut self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Clock::new(now);
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

    fn captured<I: IntoIterator<Item: AsRef<str>>>(
        &mut self,
        source: &'static str,
        names: I,
        captured: impl Fn(HeaderName) -> CapturedHeader,
    ) -> Vec<CapturedHeader> {
        let mut headers = Vec::new();
        for name in names {
            match HeaderName::from_bytes(name.as_ref().as_bytes()) {
                Ok(name) => headers.push(captured(name)),
                Err(_) => self.problem(source, name.as_ref(), "the name of an HTTP header"),
            }
        }
        headers
    }

    /// Replaces the default as a whole. If nothing is understood, the default stays.
    fn metrics(&mut self, value: &str) {
        let mut chosen = MetricChoice::NONE;
        let mut understood = false;
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
            understood = true;
        }
        if understood {
            self.metrics = chosen;
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
            known_methods, request_headers, response_headers, forwarded, trace_response, metrics, ..
        } = settings;
        let excluded = &settings.excluded;
        let problems: Vec<String> = settings.problems.iter().map(ToString::to_string).collect();
        format!(
            "{known_methods:?} {excluded:?} {} {} {forwarded} {trace_response} {metrics:?} {problems:?}",
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
        check(&[(METRICS, "body_sizes")], &new().without_metrics().with_body_sizes());
        check(&[(METRICS, "none")], &new().without_metrics());
    }

    #[test]
    fn names_what_it_leaves_out() {
        let settings = read(&[
            (KNOWN_METHODS, "GET,B AD"),
            (EXCLUDED_URLS, "/a*b"),
            (REQUEST_HEADERS, "x y,ok"),
            (FORWARDED_HEADERS, "yes"),
            (METRICS, "Duration"),
        ]);
        let problems: Vec<String> = settings.problems().iter().map(ToString::to_string).collect();
        assert_eq!(
            problems.join("\n"),
            "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS: ignored \"B AD\", expected an HTTP method\n\
             OTEL_RUST_HTTP_SERVER_EXCLUDED_URLS: ignored \"/a*b\", expected a path, or the beginning of one and a final `*`\n\
             OTEL_RUST_HTTP_SERVER_CAPTURE_REQUEST_HEADERS: ignored \"x y\", expected the name of an HTTP header\n\
             OTEL_RUST_HTTP_SERVER_FORWARDED_HEADERS: ignored \"yes\", expected `true` or `false`\n\
             OTEL_RUST_HTTP_SERVER_METRICS: ignored \"Duration\", expected `duration`, `active_requests`, `body_sizes` or `none`"
        );
        assert_eq!((settings.request_headers.len(), settings.forwarded), (1, false));
        assert_eq!(settings.metrics, MetricChoice::DEFAULT);
    }
}
