//! Reads the client settings from environment variables.

use super::config::ClientConfig;
use crate::shared::captured::Names;
use crate::shared::settings::{CLIENT_METRICS, list};

const KNOWN_METHODS: &str = "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS";
const EXCLUDED_URLS: &str = "OTEL_RUST_HTTP_CLIENT_EXCLUDED_URLS";
const REQUEST_HEADERS: &str = "OTEL_RUST_HTTP_CLIENT_CAPTURE_REQUEST_HEADERS";
const RESPONSE_HEADERS: &str = "OTEL_RUST_HTTP_CLIENT_CAPTURE_RESPONSE_HEADERS";
const PROPAGATION_HOSTS: &str = "OTEL_RUST_HTTP_CLIENT_PROPAGATION_HOSTS";
const SERVICE_NAMES: &str = "OTEL_RUST_HTTP_CLIENT_SERVICE_NAMES";
const URL_TEMPLATES: &str = "OTEL_RUST_HTTP_CLIENT_URL_TEMPLATES";
const METRICS: &str = "OTEL_RUST_HTTP_CLIENT_METRICS";
const OPT_IN_ATTRIBUTES: &str = "OTEL_RUST_HTTP_CLIENT_OPT_IN_ATTRIBUTES";
const CONNECTION_PHASES: &str = "OTEL_RUST_HTTP_CLIENT_CONNECTION_PHASES";
const OPT_IN_METRIC_ATTRIBUTES: &str = "OTEL_RUST_HTTP_CLIENT_OPT_IN_METRIC_ATTRIBUTES";

impl ClientConfig {
    /// The variables that may change while the program runs.
    pub(super) const LIVE: Names = [REQUEST_HEADERS, RESPONSE_HEADERS, EXCLUDED_URLS];

    /// Returns the default settings, overridden by the environment variables that `read` returns.
    ///
    /// Unset and empty variables have no effect. An invalid value is ignored and listed in
    /// [`ClientConfig::problems`].
    ///
    /// | variable | value | default |
    /// |---|---|---|
    /// | `OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS` | comma-separated, case-sensitive, replaces the default list | the methods of RFC 9110, PATCH and QUERY |
    /// | `OTEL_RUST_HTTP_CLIENT_EXCLUDED_URLS` | comma-separated [URL patterns](ClientConfig#url-patterns) | none |
    /// | `OTEL_RUST_HTTP_CLIENT_CAPTURE_REQUEST_HEADERS` | comma-separated header names | none |
    /// | `OTEL_RUST_HTTP_CLIENT_CAPTURE_RESPONSE_HEADERS` | comma-separated header names | none |
    /// | `OTEL_RUST_HTTP_CLIENT_PROPAGATION_HOSTS` | comma-separated URL patterns: only these hosts receive the trace context | all hosts |
    /// | `OTEL_RUST_HTTP_CLIENT_SERVICE_NAMES` | comma-separated `pattern=name`, for `server.service.name` | none |
    /// | `OTEL_RUST_HTTP_CLIENT_URL_TEMPLATES` | comma-separated templates for [`ClientConfig::with_url_templates`] | none |
    /// | `OTEL_RUST_HTTP_CLIENT_METRICS` | comma-separated: `duration`, `active_requests`, `body_sizes`, `connections`; or `none` | `duration` |
    /// | `OTEL_RUST_HTTP_CLIENT_OPT_IN_ATTRIBUTES` | comma-separated names for [`ClientConfig::with_opt_in_attributes`] | none |
    /// | `OTEL_RUST_HTTP_CLIENT_OPT_IN_METRIC_ATTRIBUTES` | comma-separated: `url.scheme`, `url.template` | none |
    /// | `OTEL_RUST_HTTP_CLIENT_CONNECTION_PHASES` | `true` for [`ClientConfig::with_connection_phases`] | `false` |
    pub fn from_env_fn(read: impl Fn(&str) -> Option<String>) -> Self {
        // spec: configuration/sdk-environment-variables.md: an empty value counts as unset
        let set = |name| read(name).filter(|value| !value.trim().is_empty());
        let mut config = ClientConfig::new();
        if let Some(value) = set(KNOWN_METHODS) {
            let methods: Vec<_> = list(&value).collect();
            if !methods.is_empty() {
                config.known_methods(KNOWN_METHODS, methods);
            }
        }
        if let Some(value) = set(EXCLUDED_URLS) {
            config.excluded(EXCLUDED_URLS, list(&value));
        }
        if let Some(value) = set(REQUEST_HEADERS) {
            config.capture_request_headers(REQUEST_HEADERS, list(&value));
        }
        if let Some(value) = set(RESPONSE_HEADERS) {
            config.capture_response_headers(RESPONSE_HEADERS, list(&value));
        }
        if let Some(value) = set(PROPAGATION_HOSTS) {
            config.propagation_hosts(PROPAGATION_HOSTS, list(&value));
        }
        if let Some(value) = set(SERVICE_NAMES) {
            config.service_names(SERVICE_NAMES, list(&value));
        }
        if let Some(value) = set(URL_TEMPLATES) {
            config.url_templates(URL_TEMPLATES, list(&value));
        }
        if let Some(value) = set(METRICS) {
            config.metrics = config.problems.metrics(METRICS, &value, &CLIENT_METRICS).unwrap_or(config.metrics);
        }
        if let Some(value) = set(OPT_IN_ATTRIBUTES) {
            config.opt_in(OPT_IN_ATTRIBUTES, list(&value));
        }
        if let Some(value) = set(OPT_IN_METRIC_ATTRIBUTES) {
            config.opt_in_metric_attributes(OPT_IN_METRIC_ATTRIBUTES, list(&value));
        }
        config.has_connection_phases = config.problems.boolean(CONNECTION_PHASES, set(CONNECTION_PHASES));
        config.choices.are_of_variables();
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::captured::REQUEST;
    use crate::shared::settings::MetricChoice;

    fn read(variables: &[(&str, &str)]) -> ClientConfig {
        ClientConfig::from_env_fn(|name| {
            variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn from_the_environment() {
        fn check(variables: &[(&str, &str)], expected: &ClientConfig) {
            assert_eq!(format!("{:?}", read(variables)), format!("{expected:?}"));
        }
        let new = ClientConfig::new;
        check(&[], &new());
        check(&[(KNOWN_METHODS, "  "), (PROPAGATION_HOSTS, ""), (EXCLUDED_URLS, "")], &new());
        check(&[(KNOWN_METHODS, "GET, PURGE,")], &new().with_known_methods(["GET", "PURGE"]));
        check(&[(EXCLUDED_URLS, "/health,h:81/a/*")], &new().with_excluded_urls(["/health", "h:81/a/*"]));
        check(&[(REQUEST_HEADERS, "X-Tenant , x-b")], &new().with_captured_request_headers(["x-tenant", "x-b"]));
        check(&[(RESPONSE_HEADERS, "etag")], &new().with_captured_response_headers(["etag"]));
        check(&[(PROPAGATION_HOSTS, "*.a, b")], &new().with_propagation_hosts(["*.a", "b"]));
        let named = new().with_server_service_name("a:81/b*", "c").with_server_service_name("d", "e");
        check(&[(SERVICE_NAMES, "a:81/b*=c, d = e")], &named);
        check(&[(URL_TEMPLATES, "/a/{b},/c/*=/c/{d}")], &new().with_url_templates(["/a/{b}", "/c/*=/c/{d}"]));
        check(&[(METRICS, "duration")], &new());
        check(&[(METRICS, "duration, active_requests")], &new().with_active_requests());
        check(&[(METRICS, "body_sizes")], &new().without_duration().with_body_sizes());
        check(&[(METRICS, "none")], &new().without_duration().without_metrics());
        check(&[(OPT_IN_ATTRIBUTES, "url.scheme")], &new().with_opt_in_attributes(["url.scheme"]));
        let both = ["url.scheme", "url.template"];
        check(&[(OPT_IN_METRIC_ATTRIBUTES, &both.join(","))], &new().with_opt_in_metric_attributes(both));
        check(&[(CONNECTION_PHASES, "true")], &new().with_connection_phases());
    }

    #[test]
    fn names_what_it_leaves_out() {
        let config = read(&[
            (KNOWN_METHODS, "GET,B AD"),
            (EXCLUDED_URLS, "a b"),
            (REQUEST_HEADERS, "x y,ok"),
            (PROPAGATION_HOSTS, "https://a"),
            (SERVICE_NAMES, "a,b="),
            (URL_TEMPLATES, "users"),
            (METRICS, "Duration"),
            (OPT_IN_ATTRIBUTES, "url.full"),
            (OPT_IN_METRIC_ATTRIBUTES, "url.full"),
            (CONNECTION_PHASES, "dns"),
        ]);
        let problems: Vec<String> = config.problems().iter().map(ToString::to_string).collect();
        let patterns = "expected `host`, `*.suffix`, `*` or nothing, then `:port` and `/path` or `/prefix*`";
        assert_eq!(
            problems.join("\n"),
            format!(
                "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS: ignored \"B AD\", expected an HTTP method\n\
                 OTEL_RUST_HTTP_CLIENT_EXCLUDED_URLS: ignored \"a b\", {patterns}\n\
                 OTEL_RUST_HTTP_CLIENT_CAPTURE_REQUEST_HEADERS: ignored \"x y\", expected the name of an HTTP header\n\
                 OTEL_RUST_HTTP_CLIENT_PROPAGATION_HOSTS: ignored \"https://a\", {patterns}\n\
                 OTEL_RUST_HTTP_CLIENT_SERVICE_NAMES: ignored \"a\", expected `pattern=name`\n\
                 OTEL_RUST_HTTP_CLIENT_SERVICE_NAMES: ignored \"b=\", expected `pattern=name`\n\
                 OTEL_RUST_HTTP_CLIENT_URL_TEMPLATES: ignored \"users\", expected a path whose segments are text, `*`, \
                 `{{name}}` or a final `{{*name}}`, or `pattern=template`\n\
                 OTEL_RUST_HTTP_CLIENT_METRICS: ignored \"Duration\", expected `duration`, `active_requests`, `body_sizes`, `connections` or `none`\n\
                 OTEL_RUST_HTTP_CLIENT_OPT_IN_ATTRIBUTES: ignored \"url.full\", expected `url.scheme`, \
                 `user_agent.original`, `http.request.body.size` or `http.response.body.size`\n\
                 OTEL_RUST_HTTP_CLIENT_OPT_IN_METRIC_ATTRIBUTES: ignored \"url.full\", expected `url.scheme` or \
                 `url.template`\n\
                 OTEL_RUST_HTTP_CLIENT_CONNECTION_PHASES: ignored \"dns\", expected `true` or `false`"
            )
        );
        assert_eq!((config.choices.len(REQUEST), config.metrics), (1, MetricChoice::DEFAULT));
    }
}
