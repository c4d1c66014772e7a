//! Reads the server settings from environment variables.

use super::config::ServerConfig;
use crate::shared::captured::Names;
use crate::shared::settings::{SERVER_METRICS, list};

const KNOWN_METHODS: &str = "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS";
const EXCLUDED_URLS: &str = "OTEL_RUST_HTTP_SERVER_EXCLUDED_URLS";
const REQUEST_HEADERS: &str = "OTEL_RUST_HTTP_SERVER_CAPTURE_REQUEST_HEADERS";
const RESPONSE_HEADERS: &str = "OTEL_RUST_HTTP_SERVER_CAPTURE_RESPONSE_HEADERS";
const FORWARDED_HEADERS: &str = "OTEL_RUST_HTTP_SERVER_FORWARDED_HEADERS";
const TRACE_RESPONSE: &str = "OTEL_RUST_HTTP_SERVER_TRACE_RESPONSE";
const METRICS: &str = "OTEL_RUST_HTTP_SERVER_METRICS";
const ADDRESS_IN_METRICS: &str = "OTEL_RUST_HTTP_SERVER_ADDRESS_IN_METRICS";
const ROUTE_TEMPLATES: &str = "OTEL_RUST_HTTP_SERVER_ROUTE_TEMPLATES";
const GUESSED_ROUTES: &str = "OTEL_RUST_HTTP_SERVER_GUESSED_ROUTES";
const CLIENT_SERVICE_NAMES: &str = "OTEL_RUST_HTTP_SERVER_CLIENT_SERVICE_NAMES";
const OPT_IN_ATTRIBUTES: &str = "OTEL_RUST_HTTP_SERVER_OPT_IN_ATTRIBUTES";

impl ServerConfig {
    /// The variables that may change while the program runs.
    pub(super) const LIVE: Names = [REQUEST_HEADERS, RESPONSE_HEADERS, EXCLUDED_URLS];

    /// Returns the default settings, overridden by the environment variables that `read` returns.
    ///
    /// Unset and empty variables have no effect. An invalid value is ignored and listed in
    /// [`ServerConfig::problems`].
    ///
    /// | variable | value | default |
    /// |---|---|---|
    /// | `OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS` | comma-separated, case-sensitive, replaces the default list | the methods of RFC 9110, PATCH and QUERY |
    /// | `OTEL_RUST_HTTP_SERVER_EXCLUDED_URLS` | comma-separated paths; a trailing `*` matches any suffix | none |
    /// | `OTEL_RUST_HTTP_SERVER_CAPTURE_REQUEST_HEADERS` | comma-separated header names | none |
    /// | `OTEL_RUST_HTTP_SERVER_CAPTURE_RESPONSE_HEADERS` | comma-separated header names | none |
    /// | `OTEL_RUST_HTTP_SERVER_FORWARDED_HEADERS` | `true`: trust `Forwarded` and `X-Forwarded-*` | `false` |
    /// | `OTEL_RUST_HTTP_SERVER_TRACE_RESPONSE` | `true`: add a `traceresponse` header | `false` |
    /// | `OTEL_RUST_HTTP_SERVER_METRICS` | comma-separated: `duration`, `active_requests`, `body_sizes`, `orphans`; or `none` | `duration` |
    /// | `OTEL_RUST_HTTP_SERVER_ADDRESS_IN_METRICS` | `true`: add `server.address` and `server.port` to the metrics | `false` |
    /// | `OTEL_RUST_HTTP_SERVER_OPT_IN_ATTRIBUTES` | comma-separated names for [`ServerConfig::with_opt_in_attributes`] | none |
    /// | `OTEL_RUST_HTTP_SERVER_ROUTE_TEMPLATES` | comma-separated templates for [`ServerConfig::with_route_templates`] | none |
    /// | `OTEL_RUST_HTTP_SERVER_GUESSED_ROUTES` | `true`: guess the routes that nothing else names | `false` |
    /// | `OTEL_RUST_HTTP_SERVER_CLIENT_SERVICE_NAMES` | comma-separated `address=name`, for `client.service.name` | none |
    pub fn from_env_fn(read: impl Fn(&str) -> Option<String>) -> Self {
        // spec: configuration/sdk-environment-variables.md: an empty value counts as unset
        let set = |name| read(name).filter(|value| !value.trim().is_empty());
        let mut config = ServerConfig::new();
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
        config.forwarded = config.problems.boolean(FORWARDED_HEADERS, set(FORWARDED_HEADERS));
        config.trace_response = config.problems.boolean(TRACE_RESPONSE, set(TRACE_RESPONSE));
        if let Some(value) = set(METRICS) {
            config.metrics = config.problems.metrics(METRICS, &value, &SERVER_METRICS).unwrap_or(config.metrics);
        }
        config.has_address_in_metrics = config.problems.boolean(ADDRESS_IN_METRICS, set(ADDRESS_IN_METRICS));
        if let Some(value) = set(ROUTE_TEMPLATES) {
            config.route_templates(ROUTE_TEMPLATES, list(&value));
        }
        config.route_templates.guesses = config.problems.boolean(GUESSED_ROUTES, set(GUESSED_ROUTES));
        if let Some(value) = set(CLIENT_SERVICE_NAMES) {
            config.client_service_names(CLIENT_SERVICE_NAMES, list(&value));
        }
        if let Some(value) = set(OPT_IN_ATTRIBUTES) {
            config.opt_in(OPT_IN_ATTRIBUTES, list(&value));
        }
        config.choices.are_of_variables();
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::config::tests::shown;
    use crate::shared::captured::REQUEST;
    use crate::shared::settings::MetricChoice;

    fn read(variables: &[(&str, &str)]) -> ServerConfig {
        ServerConfig::from_env_fn(|name| {
            variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn from_the_environment() {
        fn check(variables: &[(&str, &str)], expected: &ServerConfig) {
            assert_eq!(shown(&read(variables)), shown(expected));
        }
        let new = ServerConfig::new;
        check(&[], &new());
        check(&[(KNOWN_METHODS, "  "), (FORWARDED_HEADERS, ""), (EXCLUDED_URLS, "")], &new());
        check(&[(KNOWN_METHODS, "GET, PURGE,")], &new().with_known_methods(["GET", "PURGE"]));
        check(&[(KNOWN_METHODS, " , ")], &new());
        check(&[(EXCLUDED_URLS, "/health,/internal/*")], &new().with_excluded_paths(["/health", "/internal/*"]));
        check(&[(REQUEST_HEADERS, "X-Tenant , x-b")], &new().with_captured_request_headers(["x-tenant", "x-b"]));
        check(&[(RESPONSE_HEADERS, "etag")], &new().with_captured_response_headers(["etag"]));
        check(&[(FORWARDED_HEADERS, "TRUE"), (TRACE_RESPONSE, "false")], &new().with_forwarded_headers());
        check(&[(TRACE_RESPONSE, " true ")], &new().with_trace_response());
        check(&[(METRICS, "duration")], &new());
        check(&[(METRICS, "duration, active_requests")], &new().with_active_requests());
        check(&[(METRICS, "duration, orphans")], &new().with_orphans());
        check(&[(METRICS, "body_sizes")], &new().without_duration().with_body_sizes());
        check(&[(METRICS, "none, active_requests")], &new().without_duration().with_active_requests());
        check(&[(METRICS, "none")], &new().without_duration().without_metrics());
        check(&[(METRICS, "nothing")], &{
            let mut config = new();
            config.problem(METRICS, "nothing", "`duration`, `active_requests`, `body_sizes`, `orphans` or `none`");
            config
        });
        check(&[(ADDRESS_IN_METRICS, "true")], &new().with_server_address_in_metrics());
        check(&[(ROUTE_TEMPLATES, "/a/{b}, /c/*=/c/{d}")], &new().with_route_templates(["/a/{b}", "/c/*=/c/{d}"]));
        check(&[(GUESSED_ROUTES, "true")], &new().with_guessed_routes());
        check(&[(CLIENT_SERVICE_NAMES, "10.0.0.7=shop")], &new().with_client_service_name("10.0.0.7", "shop"));
        let sizes = ["http.request.body.size", "http.response.body.size"];
        check(&[(OPT_IN_ATTRIBUTES, "client.port")], &new().with_opt_in_attributes(["client.port"]));
        check(&[(OPT_IN_ATTRIBUTES, &sizes.join(" , "))], &new().with_opt_in_attributes(sizes));
    }

    #[test]
    fn a_list_without_a_valid_method_leaves_the_default() {
        let methods = |config: &ServerConfig| format!("{:?}", config.known_methods);
        let default = ServerConfig::new();
        let invalid = read(&[(KNOWN_METHODS, "G ET")]);
        assert_eq!((methods(&invalid), invalid.problems().len()), (methods(&default), 1));
        let own = default.clone().with_known_methods(["PURGE"]);
        assert_eq!(methods(&own.clone().with_known_methods(["G ET"])), methods(&own));
        // An empty list is valid and makes every method `_OTHER`.
        let none = default.clone().with_known_methods([""; 0]);
        assert_ne!(methods(&none), methods(&default));
    }

    #[test]
    fn names_what_it_leaves_out() {
        let config = read(&[
            (KNOWN_METHODS, "GET,B AD"),
            (EXCLUDED_URLS, "/a*b"),
            (REQUEST_HEADERS, "x y,ok"),
            (FORWARDED_HEADERS, "yes"),
            (METRICS, "Duration"),
            (ADDRESS_IN_METRICS, "1"),
            (OPT_IN_ATTRIBUTES, "client.port,user_agent.synthetic.type"),
        ]);
        let problems: Vec<String> = config.problems().iter().map(ToString::to_string).collect();
        assert_eq!(
            problems.join("\n"),
            "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS: ignored \"B AD\", expected an HTTP method\n\
             OTEL_RUST_HTTP_SERVER_EXCLUDED_URLS: ignored \"/a*b\", expected a path, or a path prefix followed by `*`\n\
             OTEL_RUST_HTTP_SERVER_CAPTURE_REQUEST_HEADERS: ignored \"x y\", expected the name of an HTTP header\n\
             OTEL_RUST_HTTP_SERVER_FORWARDED_HEADERS: ignored \"yes\", expected `true` or `false`\n\
             OTEL_RUST_HTTP_SERVER_METRICS: ignored \"Duration\", expected `duration`, `active_requests`, `body_sizes`, `orphans` or `none`\n\
             OTEL_RUST_HTTP_SERVER_ADDRESS_IN_METRICS: ignored \"1\", expected `true` or `false`\n\
             OTEL_RUST_HTTP_SERVER_OPT_IN_ATTRIBUTES: ignored \"user_agent.synthetic.type\", expected `client.port`, \
             `network.local.address`, `network.local.port`, `http.request.body.size` or `http.response.body.size`"
        );
        assert_eq!((config.choices.len(REQUEST), config.forwarded), (1, false));
        assert_eq!(config.metrics, MetricChoice::DEFAULT);
    }
}
