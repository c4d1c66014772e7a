//! Reads the settings from environment variables.

use telemark_kit::Live;

use super::choice::{Changed, Names as LiveNames};
use super::config::GrpcConfig;
use super::status::Side;

/// The variables of one side.
struct Names {
    excluded: &'static str,
    known: Option<&'static str>,
    request_headers: &'static str,
    response_headers: &'static str,
    response_trailers: &'static str,
    metrics: &'static str,
    address_in_metrics: Option<&'static str>,
}

const SERVER: Names = Names {
    excluded: "OTEL_RUST_GRPC_SERVER_EXCLUDED_METHODS",
    known: Some("OTEL_RUST_GRPC_SERVER_KNOWN_METHODS"),
    request_headers: "OTEL_RUST_GRPC_SERVER_CAPTURE_REQUEST_HEADERS",
    response_headers: "OTEL_RUST_GRPC_SERVER_CAPTURE_RESPONSE_HEADERS",
    response_trailers: "OTEL_RUST_GRPC_SERVER_CAPTURE_RESPONSE_TRAILERS",
    metrics: "OTEL_RUST_GRPC_SERVER_METRICS",
    address_in_metrics: Some("OTEL_RUST_GRPC_SERVER_ADDRESS_IN_METRICS"),
};

const CLIENT: Names = Names {
    excluded: "OTEL_RUST_GRPC_CLIENT_EXCLUDED_METHODS",
    known: None,
    request_headers: "OTEL_RUST_GRPC_CLIENT_CAPTURE_REQUEST_HEADERS",
    response_headers: "OTEL_RUST_GRPC_CLIENT_CAPTURE_RESPONSE_HEADERS",
    response_trailers: "OTEL_RUST_GRPC_CLIENT_CAPTURE_RESPONSE_TRAILERS",
    metrics: "OTEL_RUST_GRPC_CLIENT_METRICS",
    address_in_metrics: None,
};

impl Names {
    /// Returns the variables that may change while the program runs.
    fn live(&self) -> LiveNames {
        ([self.request_headers, self.response_headers, self.response_trailers], self.excluded)
    }
}

/// What has changed while the program runs, for all servers.
static OF_SERVERS: Live<Changed> = Live::new(|changed| {
    let of_changes = GrpcConfig::server_from_env_fn(|name| changed(name).flatten());
    Changed::new(SERVER.live(), of_changes.choices.of_variables, changed)
});

/// The same for all clients.
static OF_CLIENTS: Live<Changed> = Live::new(|changed| {
    let of_changes = GrpcConfig::client_from_env_fn(|name| changed(name).flatten());
    Changed::new(CLIENT.live(), of_changes.choices.of_variables, changed)
});

/// Returns what has changed on a side while the program runs.
pub(crate) fn changed_on(side: Side) -> &'static Live<Changed> {
    match side {
        Side::Server => &OF_SERVERS,
        Side::Client => &OF_CLIENTS,
    }
}

impl GrpcConfig {
    /// Returns the default settings of a server layer, overridden by the environment variables that `read` returns.
    ///
    /// Unset and empty variables have no effect. An invalid value is ignored and listed in [`GrpcConfig::problems`].
    ///
    /// | variable | value | default |
    /// |---|---|---|
    /// | `OTEL_RUST_GRPC_SERVER_EXCLUDED_METHODS` | comma-separated methods; a trailing `*` matches any suffix | none |
    /// | `OTEL_RUST_GRPC_SERVER_KNOWN_METHODS` | comma-separated methods; others are recorded as `_OTHER` | those that the server has answered |
    /// | `OTEL_RUST_GRPC_SERVER_CAPTURE_REQUEST_HEADERS` | comma-separated names | none |
    /// | `OTEL_RUST_GRPC_SERVER_CAPTURE_RESPONSE_HEADERS` | comma-separated names | none |
    /// | `OTEL_RUST_GRPC_SERVER_CAPTURE_RESPONSE_TRAILERS` | comma-separated names | none |
    /// | `OTEL_RUST_GRPC_SERVER_METRICS` | `duration` or `none` | `duration` |
    /// | `OTEL_RUST_GRPC_SERVER_ADDRESS_IN_METRICS` | `true`: add `server.address` and `server.port` to the metrics | `false` |
    pub fn server_from_env_fn(read: impl Fn(&str) -> Option<String>) -> Self {
        GrpcConfig::from_names(&SERVER, read)
    }

    /// Returns the default settings of a client layer, overridden by the environment variables that `read` returns.
    ///
    /// Unset and empty variables have no effect. An invalid value is ignored and listed in [`GrpcConfig::problems`].
    ///
    /// | variable | value | default |
    /// |---|---|---|
    /// | `OTEL_RUST_GRPC_CLIENT_EXCLUDED_METHODS` | comma-separated methods; a trailing `*` matches any suffix | none |
    /// | `OTEL_RUST_GRPC_CLIENT_CAPTURE_REQUEST_HEADERS` | comma-separated names | none |
    /// | `OTEL_RUST_GRPC_CLIENT_CAPTURE_RESPONSE_HEADERS` | comma-separated names | none |
    /// | `OTEL_RUST_GRPC_CLIENT_CAPTURE_RESPONSE_TRAILERS` | comma-separated names | none |
    /// | `OTEL_RUST_GRPC_CLIENT_METRICS` | `duration` or `none` | `duration` |
    pub fn client_from_env_fn(read: impl Fn(&str) -> Option<String>) -> Self {
        GrpcConfig::from_names(&CLIENT, read)
    }

    fn from_names(names: &Names, read: impl Fn(&str) -> Option<String>) -> Self {
        // spec: configuration/sdk-environment-variables.md: an empty value counts as unset
        let set = |name| read(name).filter(|value| !value.trim().is_empty());
        let mut config = GrpcConfig::new();
        if let Some(value) = set(names.excluded) {
            config.exclude(names.excluded, list(&value));
        }
        if let Some((name, value)) = names.known.and_then(|name| Some((name, set(name)?))) {
            config.know(name, list(&value));
        }
        if let Some(value) = set(names.request_headers) {
            config.capture_request_headers(names.request_headers, list(&value));
        }
        if let Some(value) = set(names.response_headers) {
            config.capture_response_headers(names.response_headers, list(&value));
        }
        if let Some(value) = set(names.response_trailers) {
            config.capture_response_trailers(names.response_trailers, list(&value));
        }
        match set(names.metrics).as_deref().map(str::trim) {
            None | Some("duration") => {}
            Some("none") => config.has_metrics = false,
            Some(value) => config.problem(names.metrics, value, "`duration` or `none`"),
        }
        if let Some((name, value)) = names.address_in_metrics.and_then(|name| Some((name, set(name)?))) {
            // spec: configuration/common.md: only "true", in any case, is true; any value but "false" causes a warning
            match value.trim() {
                value if value.eq_ignore_ascii_case("true") => config.has_server_address_in_metrics = true,
                value if value.eq_ignore_ascii_case("false") => {}
                value => config.problem(name, value, "`true` or `false`"),
            }
        }
        config.choices.are_of_variables();
        config
    }
}

fn list(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    type Read = fn(&dyn Fn(&str) -> Option<String>) -> GrpcConfig;

    fn check(read: Read, variables: &[(&str, &str)], expected: &GrpcConfig) {
        let value =
            |name: &str| variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned());
        let mut expected = expected.clone();
        expected.choices.are_of_variables();
        assert_eq!(format!("{:?}", read(&value)), format!("{expected:?}"), "{variables:?}");
    }

    #[test]
    fn settings_of_a_server() {
        let new = GrpcConfig::new;
        let check = |variables: &[(&str, &str)], expected: &GrpcConfig| {
            check(|read| GrpcConfig::server_from_env_fn(read), variables, expected);
        };
        check(&[], &new());
        check(&[(SERVER.excluded, " "), (SERVER.metrics, "")], &new());
        check(&[(SERVER.excluded, "a.B/C, grpc.*")], &new().with_excluded_methods(["a.B/C", "grpc.*"]));
        check(&[("OTEL_RUST_GRPC_SERVER_KNOWN_METHODS", "a.B/C,")], &new().with_known_methods(["a.B/C"]));
        check(&[(SERVER.request_headers, "X-Tenant")], &new().with_captured_request_headers(["x-tenant"]));
        check(&[(SERVER.response_headers, "a")], &new().with_captured_response_headers(["a"]));
        check(&[(SERVER.response_trailers, "a,b-bin")], &new().with_captured_response_trailers(["a", "b-bin"]));
        check(&[(SERVER.metrics, "none")], &new().without_metrics());
        check(&[(SERVER.metrics, "duration")], &new());
        check(&[("OTEL_RUST_GRPC_SERVER_ADDRESS_IN_METRICS", "True")], &new().with_server_address_in_metrics());
        check(&[("OTEL_RUST_GRPC_SERVER_ADDRESS_IN_METRICS", "false"), (CLIENT.metrics, "none")], &new());
    }

    #[test]
    fn settings_of_a_client() {
        let new = GrpcConfig::new;
        let check = |variables: &[(&str, &str)], expected: &GrpcConfig| {
            check(|read| GrpcConfig::client_from_env_fn(read), variables, expected);
        };
        check(&[(SERVER.metrics, "none"), (SERVER.excluded, "*")], &new());
        check(&[(CLIENT.excluded, "a.B/C")], &new().with_excluded_methods(["a.B/C"]));
        check(&[(CLIENT.request_headers, "a")], &new().with_captured_request_headers(["a"]));
        check(&[(CLIENT.response_headers, "a")], &new().with_captured_response_headers(["a"]));
        check(&[(CLIENT.response_trailers, "a")], &new().with_captured_response_trailers(["a"]));
        check(&[(CLIENT.metrics, " none ")], &new().without_metrics());
    }

    #[test]
    fn names_what_it_leaves_out() {
        let config = GrpcConfig::server_from_env_fn(|name| {
            let value = match name {
                "OTEL_RUST_GRPC_SERVER_EXCLUDED_METHODS" => "Service,a.B/C",
                "OTEL_RUST_GRPC_SERVER_KNOWN_METHODS" => "a.B/*",
                "OTEL_RUST_GRPC_SERVER_CAPTURE_REQUEST_HEADERS" => "x y",
                "OTEL_RUST_GRPC_SERVER_METRICS" => "Duration",
                "OTEL_RUST_GRPC_SERVER_ADDRESS_IN_METRICS" => "1",
                _ => return None,
            };
            Some(value.to_owned())
        });
        let problems: Vec<String> = config.problems().iter().map(ToString::to_string).collect();
        assert_eq!(
            problems.join("\n"),
            "OTEL_RUST_GRPC_SERVER_EXCLUDED_METHODS: ignored \"Service\", expected a method such as `pkg.Service/Method`, \
             or a prefix followed by `*`\n\
             OTEL_RUST_GRPC_SERVER_KNOWN_METHODS: ignored \"a.B/*\", expected a method such as `pkg.Service/Method`\n\
             OTEL_RUST_GRPC_SERVER_CAPTURE_REQUEST_HEADERS: ignored \"x y\", expected the name of a header\n\
             OTEL_RUST_GRPC_SERVER_METRICS: ignored \"Duration\", expected `duration` or `none`\n\
             OTEL_RUST_GRPC_SERVER_ADDRESS_IN_METRICS: ignored \"1\", expected `true` or `false`"
        );
    }
}
