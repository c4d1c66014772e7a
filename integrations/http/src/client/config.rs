//! The settings of the client side in code.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use telemark_kit::{Clock, Live};

use super::opt_in::{ClientOptIn, METRIC_ATTRIBUTES, OptInMetricAttributes, SPAN_ATTRIBUTES};
use super::policy::{ClientPolicy, DefaultClientPolicy};
use crate::shared::captured::{Changed, Choice, Choices, REQUEST, RESPONSE};
use crate::shared::headers::CapturedHeader;
use crate::shared::methods::KnownMethods;
use crate::shared::query::SENSITIVE;
use crate::shared::settings::{ConfigProblem, MetricChoice, Problems};
use crate::shared::url::pattern::{self, UrlPattern};
use crate::shared::url::services::ServiceNames;
use crate::shared::url::target::Target;
use crate::shared::url::templates::{self, PathTemplates};

/// The settings of an HTTP client: the data that it records, and the hosts to which it sends the trace context.
///
/// By default, no header is captured, and every host receives the trace context. The order of the calls matters only for URL
/// templates, of which the first that matches wins, and for settings that are replaced.
///
/// ```
/// let config = telemark_http::ClientConfig::new()
///     .with_propagation_hosts(["*.shop.example", "127.0.0.1"])
///     .with_server_service_name("pay.shop.example", "payments")
///     .with_url_templates(["/users/{id}", "/users/{id}/orders/{order}"]);
/// assert!(config.problems().is_empty());
/// ```
///
/// # URL patterns
/// `api.example.com` matches this host on every port and path. `*.example.com` matches all hosts that end in
/// `.example.com`, `*:8080` every host on this port, `api.example.com/users/*` every path that starts with `/users/`, and
/// `/health` this path on every host. A host matches in any case.
#[derive(Clone)]
pub struct ClientConfig {
    pub(crate) is_disabled: bool,
    pub(crate) known_methods: KnownMethods,
    pub(crate) choices: Choices<UrlPattern>,
    pub(crate) sensitive: Cow<'static, [Cow<'static, str>]>,
    pub(crate) metrics: MetricChoice,
    pub(crate) opt_in_metric_attributes: OptInMetricAttributes,
    pub(crate) opt_in: ClientOptIn,
    pub(crate) has_connection_phases: bool,
    pub(crate) service_names: ServiceNames,
    pub(crate) url_templates: PathTemplates,
    pub(crate) clock: Option<Clock>,
    pub(crate) problems: Problems,
    /// `None` means all hosts.
    propagation_hosts: Option<Vec<UrlPattern>>,
    policy: Option<Arc<dyn ClientPolicy>>,
}

/// What has changed while the program runs, for all configs.
static CHANGED: Live<Changed<UrlPattern>> = Live::new(|changed| {
    let of_changes = ClientConfig::from_env_fn(|name| changed(name).flatten());
    Changed::new(ClientConfig::LIVE, of_changes.choices.of_variables, changed)
});

impl ClientConfig {
    /// Returns the defaults, without reading the environment.
    pub fn new() -> Self {
        ClientConfig {
            is_disabled: false,
            known_methods: KnownMethods::default(),
            choices: Choices::new(&CHANGED),
            sensitive: Cow::Borrowed(&SENSITIVE),
            metrics: MetricChoice::DEFAULT,
            opt_in_metric_attributes: OptInMetricAttributes::default(),
            opt_in: ClientOptIn::default(),
            has_connection_phases: false,
            service_names: ServiceNames::default(),
            url_templates: PathTemplates::default(),
            clock: None,
            problems: Problems::default(),
            propagation_hosts: None,
            policy: None,
        }
    }

    /// Replaces the list of known methods, which is case-sensitive. Other methods are recorded as `_OTHER`.
    pub fn with_known_methods<I: IntoIterator<Item: AsRef<str>>>(mut self, methods: I) -> Self {
        self.known_methods("with_known_methods", methods);
        self
    }

    /// Excludes URLs from spans and metrics, by [pattern](ClientConfig#url-patterns). The caller's trace context is still
    /// sent.
    pub fn with_excluded_urls<I: IntoIterator<Item: AsRef<str>>>(mut self, patterns: I) -> Self {
        self.excluded("with_excluded_urls", patterns);
        self
    }

    /// Sends the trace context and baggage only to these hosts, by [pattern](ClientConfig#url-patterns). By default, all
    /// hosts receive them.
    pub fn with_propagation_hosts<I: IntoIterator<Item: AsRef<str>>>(mut self, patterns: I) -> Self {
        self.propagation_hosts("with_propagation_hosts", patterns);
        self
    }

    /// Names the service behind a URL [pattern](ClientConfig#url-patterns), as `server.service.name`. The name should be the
    /// `service.name` of that service. The most specific pattern wins.
    pub fn with_server_service_name(mut self, pattern: &str, name: &str) -> Self {
        if let Err(accepted) = self.service_names.add(pattern, name) {
            self.problems.add("with_server_service_name", pattern, accepted);
        }
        self
    }

    /// Adds URL templates for span names and `url.template`, such as `/users/{id}`. A segment `{name}` or `*` matches one
    /// segment of a path, and a final `{*name}` matches all remaining ones. `/users/*=/users/{id}` names a pattern.
    ///
    /// The first template that matches wins, after the template of the request and that of the policy.
    pub fn with_url_templates<I: IntoIterator<Item: AsRef<str>>>(mut self, templates: I) -> Self {
        self.url_templates("with_url_templates", templates);
        self
    }

    /// Adds request headers to capture as `http.request.header.<name>`. None by default.
    ///
    /// Name only headers that may be stored. Remember that credentials and cookies are also headers. The captured text is
    /// bounded by [`MAX_TEXT_BYTES`](crate::MAX_TEXT_BYTES), [`MAX_HEADER_VALUES`](crate::MAX_HEADER_VALUES) and
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

    /// Replaces the list of query parameters whose values are redacted in `url.full`. The list is case-sensitive, and the
    /// default is that of [`ServerConfig`](crate::ServerConfig::with_sensitive_query_parameters). Credentials in front of
    /// the host are always redacted.
    ///
    /// spec: http/http-spans.md, url.full: the given names replace the default list
    pub fn with_sensitive_query_parameters<I: IntoIterator<Item: Into<Cow<'static, str>>>>(mut self, names: I) -> Self {
        self.sensitive = names.into_iter().map(Into::into).collect();
        self
    }

    /// Adds opt-in attributes of the semantic conventions to the spans, by name.
    ///
    /// | attribute | value |
    /// |---|---|
    /// | `url.scheme` | the scheme of the URL |
    /// | `user_agent.original` | the `User-Agent` header of the request, if the caller has set one |
    /// | `http.request.body.size` | the size of the request body in bytes, if known |
    /// | `http.response.body.size` | the bytes declared by `Content-Length` |
    ///
    /// Any other name is ignored and listed in [`ClientConfig::problems`].
    ///
    /// spec: http/http-spans.md#http-client-span: requirement level Opt-In
    pub fn with_opt_in_attributes<I: IntoIterator<Item: AsRef<str>>>(mut self, names: I) -> Self {
        self.opt_in("with_opt_in_attributes", names);
        self
    }

    /// Adds opt-in attributes of the semantic conventions to the metrics: `url.scheme`, and `url.template` to the duration.
    /// Any other name is ignored and listed in [`ClientConfig::problems`].
    ///
    /// spec: http/http-metrics.md#metric-httpclientrequestduration: requirement level Opt-In
    pub fn with_opt_in_metric_attributes<I: IntoIterator<Item: AsRef<str>>>(mut self, names: I) -> Self {
        self.opt_in_metric_attributes("with_opt_in_metric_attributes", names);
        self
    }

    /// Records the phases of a new connection that a request waits for, as events of its span. Off by default.
    ///
    /// | event | ends |
    /// |---|---|
    /// | `telemark.dns` | with the addresses of the host |
    /// | `telemark.connect` | with the connection; with reqwest, after TLS |
    /// | `telemark.tls` | with the TLS session, with hyper |
    ///
    /// `telemark.phase.duration` is the duration in seconds without that of earlier phases. A failed phase has an `error.type`,
    /// and one during which the request was dropped or timed out has `telemark.outcome` = `cancelled`. A span without events
    /// used an existing connection. The wait for the first byte of the response is the rest of the span, which ends with the
    /// head.
    ///
    /// Only connectors that are observed have phases: those of clients that telemark-reqwest builds, and those that
    /// telemark-hyper wraps.
    pub fn with_connection_phases(mut self) -> Self {
        self.has_connection_phases = true;
        self
    }

    /// Returns true if requests record the phases of a new connection.
    pub fn records_connection_phases(&self) -> bool {
        self.has_connection_phases && !self.is_disabled
    }

    /// Also records the number of active requests, as `http.client.active_requests`. Off by default, as the conventions
    /// require.
    pub fn with_active_requests(mut self) -> Self {
        self.metrics.active_requests = true;
        self
    }

    /// Also records `http.client.request.body.size` and `http.client.response.body.size`, in bytes. Off by default, as the
    /// conventions require.
    ///
    /// Request bodies of unknown size are not recorded. The bytes of a response are counted as they are read, after a
    /// decompression by the client library, and recorded when its body ends or is dropped.
    pub fn with_body_sizes(mut self) -> Self {
        self.metrics.body_sizes = true;
        self
    }

    /// Also records `http.client.open_connections`, by state, and `http.client.connection.duration`, in seconds. Off by default,
    /// as the conventions require.
    ///
    /// Only connections of a connector that telemark-hyper wraps are recorded: other libraries do not reveal when a connection is
    /// idle or closed. A connection is active while a request uses it, up to the end of the response body. As a tunnel, or after
    /// a change of the protocol, an HTTP/1 connection stays active until it is closed. `network.protocol.version` is known only
    /// if TLS negotiated HTTP/2.
    pub fn with_connection_metrics(mut self) -> Self {
        self.metrics.connections = true;
        self
    }

    /// Returns true if open connections are counted.
    pub fn counts_connections(&self) -> bool {
        self.metrics.counts_connections() && !self.is_disabled
    }

    /// Disables `http.client.request.duration`, which is on by default.
    pub fn without_duration(mut self) -> Self {
        self.metrics.duration = false;
        self
    }

    /// Disables all metrics, regardless of the order of calls.
    pub fn without_metrics(mut self) -> Self {
        self.metrics.is_off = true;
        self
    }

    /// Enables or disables the instrumentation. A disabled one records nothing and sends no trace context.
    pub fn with_enabled(mut self, is_enabled: bool) -> Self {
        self.is_disabled = !is_enabled;
        self
    }

    /// Replaces the decisions in code.
    pub fn with_policy(mut self, policy: impl ClientPolicy) -> Self {
        self.policy = Some(Arc::new(policy));
        self
    }

    /// Replaces the system clock, which measures the durations of requests, of connections and of their phases.
    ///
    /// A span takes its start and its end from this clock if a metric of its request is recorded, so that both have the same
    /// duration. The tracer dates every other span, so `now` should be the clock of the tracer's provider.
    ///
    /// `now` is called on the threads that send requests and that open and close connections, and must not block. A duration is
    /// zero if the clock was set back between its start and its end.
    pub fn with_clock(mut self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Some(Clock::new(now));
        self
    }

    /// Copies the clock from `other` if these settings have none. Used by clients when their settings are replaced.
    pub fn or_clock_of(mut self, other: &ClientConfig) -> Self {
        self.clock = self.clock.or_else(|| other.clock.clone());
        self
    }

    /// Returns the invalid values that were ignored, for the application to report.
    pub fn problems(&self) -> &[ConfigProblem] {
        self.problems.list()
    }

    /// Returns true if requests to this URL receive the trace context.
    pub fn propagates_to(&self, target: &Target<'_>) -> bool {
        if self.is_disabled {
            return false;
        }
        let Some(hosts) = &self.propagation_hosts else { return true };
        hosts.iter().any(|pattern| pattern.matches(target))
    }

    /// Returns true if some hosts receive the trace context and others must not. False for a disabled instrumentation, which
    /// sends none.
    pub fn restricts_propagation(&self) -> bool {
        !self.is_disabled && self.propagation_hosts.is_some()
    }

    pub(crate) fn excludes(&self, target: &Target<'_>) -> bool {
        self.choices.exclude(|pattern| pattern.matches(target))
    }

    pub(crate) fn policy(&self) -> &dyn ClientPolicy {
        self.policy.as_deref().unwrap_or(&DefaultClientPolicy)
    }

    pub(crate) fn known_methods<I: IntoIterator<Item: AsRef<str>>>(&mut self, source: &'static str, methods: I) {
        if let Some(known) = self.problems.known_methods(source, methods) {
            self.known_methods = known;
        }
    }

    pub(crate) fn excluded<I: IntoIterator<Item: AsRef<str>>>(&mut self, source: &'static str, patterns: I) {
        let patterns = self.patterns(source, patterns);
        self.choices.own.excluded.extend(patterns);
    }

    /// An invalid pattern matches no host, so that a mistake never sends more than was asked for.
    pub(crate) fn propagation_hosts<I: IntoIterator<Item: AsRef<str>>>(&mut self, source: &'static str, patterns: I) {
        let patterns = self.patterns(source, patterns);
        self.propagation_hosts.get_or_insert_default().extend(patterns);
    }

    fn patterns<I: IntoIterator<Item: AsRef<str>>>(&mut self, source: &'static str, patterns: I) -> Vec<UrlPattern> {
        let problems = &mut self.problems;
        let parse = |pattern: I::Item| {
            problems.noted(source, pattern.as_ref(), UrlPattern::parse(pattern.as_ref()), pattern::ACCEPTED)
        };
        patterns.into_iter().filter_map(parse).collect()
    }

    pub(crate) fn url_templates<I: IntoIterator<Item: AsRef<str>>>(&mut self, source: &'static str, templates: I) {
        for template in templates {
            if !self.url_templates.add(template.as_ref()) {
                self.problems.add(source, template.as_ref(), templates::ACCEPTED);
            }
        }
    }

    pub(crate) fn service_names<I: IntoIterator<Item: AsRef<str>>>(&mut self, source: &'static str, items: I) {
        for item in items {
            if let Err(accepted) = self.service_names.add_item(item.as_ref()) {
                self.problems.add(source, item.as_ref(), accepted);
            }
        }
    }

    pub(crate) fn capture_request_headers<I>(&mut self, source: &'static str, names: I)
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        self.problems.captured(source, names, CapturedHeader::request, &mut self.choices.own.headers[REQUEST]);
    }

    pub(crate) fn capture_response_headers<I>(&mut self, source: &'static str, names: I)
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        self.problems.captured(source, names, CapturedHeader::response, &mut self.choices.own.headers[RESPONSE]);
    }

    pub(crate) fn opt_in<I: IntoIterator<Item: AsRef<str>>>(&mut self, source: &'static str, names: I) {
        self.problems.flags(source, names, &SPAN_ATTRIBUTES, &mut self.opt_in);
    }

    pub(crate) fn opt_in_metric_attributes<I>(&mut self, source: &'static str, names: I)
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        self.problems.flags(source, names, &METRIC_ATTRIBUTES, &mut self.opt_in_metric_attributes);
    }
}

impl Default for ClientConfig {
    fn default() -> Self {
        ClientConfig::new()
    }
}

impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Choices { own, of_variables, .. } = &self.choices;
        let both = |headers: fn(&Choice<UrlPattern>) -> &Vec<CapturedHeader>| {
            [headers(own).as_slice(), headers(of_variables)].concat()
        };
        let excluded = [&own.excluded[..], &of_variables.excluded].concat();
        f.debug_struct("ClientConfig")
            .field("is_disabled", &self.is_disabled)
            .field("known_methods", &self.known_methods)
            .field("request_headers", &both(|choice| &choice.headers[REQUEST]))
            .field("response_headers", &both(|choice| &choice.headers[RESPONSE]))
            .field("metrics", &self.metrics)
            .field("opt_in_metric_attributes", &self.opt_in_metric_attributes)
            .field("opt_in", &self.opt_in)
            .field("has_connection_phases", &self.has_connection_phases)
            .field("service_names", &self.service_names)
            .field("url_templates", &self.url_templates)
            .field("propagation_hosts", &self.propagation_hosts)
            .field("excluded", &excluded)
            .field("problems", &self.problems)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_settings_does_not_matter() {
        let changes: [fn(ClientConfig) -> ClientConfig; 10] = [
            ClientConfig::without_metrics,
            ClientConfig::without_duration,
            ClientConfig::with_active_requests,
            ClientConfig::with_body_sizes,
            ClientConfig::with_connection_phases,
            ClientConfig::with_connection_metrics,
            |config| config.with_captured_request_headers(["a"]),
            |config| config.with_excluded_urls(["/a"]),
            |config| config.with_propagation_hosts(["a"]),
            |config| config.with_opt_in_metric_attributes(["url.scheme"]),
        ];
        let forwards = changes.iter().fold(ClientConfig::new(), |config, change| change(config));
        let backwards = changes.iter().rev().fold(ClientConfig::new(), |config, change| change(config));
        assert_eq!(format!("{forwards:?}"), format!("{backwards:?}"));
        assert!(!forwards.metrics.is_any());
        assert!(ClientConfig::new().without_duration().with_active_requests().metrics.is_any());
    }

    #[test]
    fn a_list_of_hosts_without_a_valid_one_sends_nothing() {
        let check = |config: ClientConfig, url: &str, expected: bool| {
            assert_eq!(config.propagates_to(&Target::parse(url)), expected, "{url} {config:?}");
        };
        check(ClientConfig::new(), "http://a/", true);
        let own = || ClientConfig::new().with_propagation_hosts(["a", "*.b"]);
        check(own(), "http://a:81/", true);
        check(own(), "https://x.b/", true);
        check(own(), "http://c/", false);
        check(own(), "http://a@c/", false);
        check(own().with_enabled(false), "http://a/", false);
        let restricts = [ClientConfig::new(), own(), own().with_enabled(false)].map(|own| own.restricts_propagation());
        assert_eq!(restricts, [false, true, false]);
        let invalid = ClientConfig::new().with_propagation_hosts(["a b"]);
        assert_eq!(invalid.problems().len(), 1);
        check(invalid, "http://a/", false);
    }

    #[test]
    fn a_clock_stays_unless_it_is_replaced() {
        let (own, other) = (|| SystemTime::UNIX_EPOCH, || SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(7));
        let read = |config: ClientConfig| config.clock.unwrap_or_default().now();
        let before = ClientConfig::new().with_clock(own);
        assert_eq!(read(ClientConfig::new().or_clock_of(&before)), own());
        assert_eq!(read(ClientConfig::new().with_clock(other).or_clock_of(&before)), other());
    }
}
