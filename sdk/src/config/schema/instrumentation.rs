//! The types of `instrumentation/development`. Each setting of the `rust` block has the same effect as a variable.

use super::types::{Kind, Property, Type, boolean, choice, integer, object, text, texts};

static LANGUAGE: Type = Type::new("ExperimentalLanguageSpecificInstrumentation", &[]).open();

/// A block for another language, in a file that programs in several languages share.
const fn language(name: &'static str) -> Property {
    object(name, &LANGUAGE).elsewhere()
}

pub(super) static INSTRUMENTATION: Type = Type::new(
    "ExperimentalInstrumentation",
    &[
        object("general", &GENERAL),
        language("cpp"),
        language("dotnet"),
        language("erlang"),
        language("go"),
        language("java"),
        language("js"),
        language("php"),
        language("python"),
        language("ruby"),
        object("rust", &RUST),
        language("swift"),
    ],
);

static GENERAL: Type = Type::new(
    "ExperimentalGeneralInstrumentation",
    &[
        object("http", &HTTP),
        object("code", &CODE),
        object("db", &DB),
        object("gen_ai", &GEN_AI),
        object("messaging", &MESSAGING),
        object("rpc", &RPC),
        object("sanitization", &SANITIZATION),
        text("stability_opt_in_list").variable("OTEL_SEMCONV_STABILITY_OPT_IN"),
    ],
);

const SEMCONV: Property = object("semconv", &SEMCONV_CONFIG);
const ONLY_STABLE: &str = "only the current conventions are recorded";
static SEMCONV_CONFIG: Type = Type::new(
    "ExperimentalSemconvConfig",
    &[
        integer("version", 0).without_effect(ONLY_STABLE),
        boolean("experimental").or("false").without_effect(ONLY_STABLE),
        boolean("dual_emit").or("false").without_effect(ONLY_STABLE),
    ],
);

static HTTP: Type =
    Type::new("ExperimentalHttpInstrumentation", &[SEMCONV, object("client", &CLIENT), object("server", &SERVER)]);
static CLIENT: Type = Type::new(
    "ExperimentalHttpClientInstrumentation",
    &[
        texts("request_captured_headers")
            .variable("OTEL_RUST_HTTP_CLIENT_CAPTURE_REQUEST_HEADERS")
            .control("set_capture")
            .code("reqwest::ClientConfig::with_captured_request_headers"),
        texts("response_captured_headers")
            .variable("OTEL_RUST_HTTP_CLIENT_CAPTURE_RESPONSE_HEADERS")
            .control("set_capture")
            .code("reqwest::ClientConfig::with_captured_response_headers"),
        KNOWN_METHODS,
    ],
);
static SERVER: Type = Type::new(
    "ExperimentalHttpServerInstrumentation",
    &[
        texts("request_captured_headers")
            .variable("OTEL_RUST_HTTP_SERVER_CAPTURE_REQUEST_HEADERS")
            .control("set_capture")
            .code("ServerConfig::with_captured_request_headers"),
        texts("response_captured_headers")
            .variable("OTEL_RUST_HTTP_SERVER_CAPTURE_RESPONSE_HEADERS")
            .control("set_capture")
            .code("ServerConfig::with_captured_response_headers"),
        KNOWN_METHODS,
    ],
);
/// Clients and servers share one list.
const KNOWN_METHODS: Property = Property::new("known_methods", Kind::List(&Kind::Text, 0))
    .variable("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS")
    .code("ServerConfig::with_known_methods, reqwest::ClientConfig::with_known_methods");

static CODE: Type = Type::new("ExperimentalCodeInstrumentation", &[SEMCONV]);
static DB: Type = Type::new("ExperimentalDbInstrumentation", &[SEMCONV]);
static GEN_AI: Type = Type::new("ExperimentalGenAiInstrumentation", &[SEMCONV]);
static RPC: Type = Type::new("ExperimentalRpcInstrumentation", &[SEMCONV]);
static MESSAGING: Type = Type::new("ExperimentalMessagingInstrumentation", &[SEMCONV]);
static SANITIZATION: Type = Type::new("ExperimentalSanitization", &[object("url", &URL_SANITIZATION)]);
static URL_SANITIZATION: Type = Type::new(
    "ExperimentalUrlSanitization",
    &[Property::new("sensitive_query_parameters", Kind::List(&Kind::Text, 0))
        .refused("the list of the conventions is always used")],
);

static RUST: Type = Type::new(
    "instrumentation/development.rust",
    &[
        boolean("enabled").or("true").variable("OTEL_RUST_INSTRUMENTATION_COMMON_DEFAULT_ENABLED"),
        object("axum", &AXUM),
        object("tower", &TOWER),
        object("tonic", &TONIC),
        object("hyper", &HYPER),
        object("reqwest", &REQWEST),
        object("runtime_metrics", &RUNTIME_METRICS),
        object("sqlx", &SQLX),
        object("http", &RUST_HTTP),
        object("grpc", &GRPC),
        object("db", &RUST_DB),
    ],
);

macro_rules! switches {
    ($($name:ident $text:literal $variable:literal $code:literal)*) => {
        $(static $name: Type = Type::new($text, &[boolean("enabled").variable($variable).code($code)]);)*
    };
}
switches! {
    AXUM "rust.axum" "OTEL_RUST_INSTRUMENTATION_AXUM_ENABLED" "ServerConfig::with_enabled"
    TOWER "rust.tower" "OTEL_RUST_INSTRUMENTATION_TOWER_ENABLED" "ServerConfig::with_enabled, reqwest::ClientConfig::with_enabled"
    TONIC "rust.tonic" "OTEL_RUST_INSTRUMENTATION_TONIC_ENABLED" "GrpcConfig::with_enabled"
    HYPER "rust.hyper" "OTEL_RUST_INSTRUMENTATION_HYPER_ENABLED" "ServerConfig::with_enabled, reqwest::ClientConfig::with_enabled"
    REQWEST "rust.reqwest" "OTEL_RUST_INSTRUMENTATION_REQWEST_ENABLED" "reqwest::ClientConfig::with_enabled"
    RUNTIME_METRICS "rust.runtime_metrics" "OTEL_RUST_INSTRUMENTATION_RUNTIME_METRICS_ENABLED" "with_instrumentation"
    SQLX "rust.sqlx" "OTEL_RUST_INSTRUMENTATION_SQLX_ENABLED" "sqlx::ClientConfig::with_enabled"
}

static RUST_HTTP: Type =
    Type::new("rust.http", &[object("server", &RUST_HTTP_SERVER), object("client", &RUST_HTTP_CLIENT)]);
static RUST_HTTP_SERVER: Type = Type::new(
    "rust.http.server",
    &[
        texts("excluded_urls")
            .variable("OTEL_RUST_HTTP_SERVER_EXCLUDED_URLS")
            .control("set_capture")
            .code("ServerConfig::with_excluded_paths"),
        boolean("forwarded_headers")
            .or("false")
            .variable("OTEL_RUST_HTTP_SERVER_FORWARDED_HEADERS")
            .code("ServerConfig::with_forwarded_headers"),
        boolean("trace_response")
            .or("false")
            .variable("OTEL_RUST_HTTP_SERVER_TRACE_RESPONSE")
            .code("ServerConfig::with_trace_response"),
        texts("metrics").or("[duration]").variable("OTEL_RUST_HTTP_SERVER_METRICS").code(
            "ServerConfig::without_duration, ServerConfig::with_active_requests, ServerConfig::with_body_sizes, \
                 ServerConfig::with_orphans",
        ),
        boolean("address_in_metrics")
            .or("false")
            .variable("OTEL_RUST_HTTP_SERVER_ADDRESS_IN_METRICS")
            .code("ServerConfig::with_server_address_in_metrics"),
        texts("opt_in_attributes")
            .variable("OTEL_RUST_HTTP_SERVER_OPT_IN_ATTRIBUTES")
            .code("ServerConfig::with_opt_in_attributes"),
        texts("route_templates")
            .variable("OTEL_RUST_HTTP_SERVER_ROUTE_TEMPLATES")
            .code("ServerConfig::with_route_templates"),
        boolean("guessed_routes")
            .or("false")
            .variable("OTEL_RUST_HTTP_SERVER_GUESSED_ROUTES")
            .code("ServerConfig::with_guessed_routes"),
        texts("client_service_names")
            .variable("OTEL_RUST_HTTP_SERVER_CLIENT_SERVICE_NAMES")
            .code("ServerConfig::with_client_service_name"),
    ],
);
static RUST_HTTP_CLIENT: Type = Type::new(
    "rust.http.client",
    &[
        texts("excluded_urls").variable("OTEL_RUST_HTTP_CLIENT_EXCLUDED_URLS").control("set_capture").code("reqwest::ClientConfig::with_excluded_urls"),
        texts("propagation_hosts").variable("OTEL_RUST_HTTP_CLIENT_PROPAGATION_HOSTS").code("reqwest::ClientConfig::with_propagation_hosts"),
        texts("service_names").variable("OTEL_RUST_HTTP_CLIENT_SERVICE_NAMES").code("reqwest::ClientConfig::with_server_service_name"),
        texts("url_templates").variable("OTEL_RUST_HTTP_CLIENT_URL_TEMPLATES").code("reqwest::ClientConfig::with_url_templates"),
        texts("metrics").or("[duration]").variable("OTEL_RUST_HTTP_CLIENT_METRICS").code("reqwest::ClientConfig::without_duration, reqwest::ClientConfig::with_active_requests, reqwest::ClientConfig::with_body_sizes, reqwest::ClientConfig::with_connection_metrics"),
        texts("opt_in_attributes").variable("OTEL_RUST_HTTP_CLIENT_OPT_IN_ATTRIBUTES").code("reqwest::ClientConfig::with_opt_in_attributes"),
        texts("opt_in_metric_attributes").variable("OTEL_RUST_HTTP_CLIENT_OPT_IN_METRIC_ATTRIBUTES").code("reqwest::ClientConfig::with_opt_in_metric_attributes"),
        boolean("connection_phases").or("false").variable("OTEL_RUST_HTTP_CLIENT_CONNECTION_PHASES").code("reqwest::ClientConfig::with_connection_phases"),
    ],
);

static GRPC: Type = Type::new("rust.grpc", &[object("server", &GRPC_SERVER), object("client", &GRPC_CLIENT)]);
static GRPC_SERVER: Type = Type::new(
    "rust.grpc.server",
    &[
        texts("excluded_methods")
            .variable("OTEL_RUST_GRPC_SERVER_EXCLUDED_METHODS")
            .control("set_capture")
            .code("GrpcConfig::with_excluded_methods"),
        texts("known_methods").variable("OTEL_RUST_GRPC_SERVER_KNOWN_METHODS").code("GrpcConfig::with_known_methods"),
        texts("request_captured_headers")
            .variable("OTEL_RUST_GRPC_SERVER_CAPTURE_REQUEST_HEADERS")
            .control("set_capture")
            .code("GrpcConfig::with_captured_request_headers"),
        texts("response_captured_headers")
            .variable("OTEL_RUST_GRPC_SERVER_CAPTURE_RESPONSE_HEADERS")
            .control("set_capture")
            .code("GrpcConfig::with_captured_response_headers"),
        texts("response_captured_trailers")
            .variable("OTEL_RUST_GRPC_SERVER_CAPTURE_RESPONSE_TRAILERS")
            .control("set_capture")
            .code("GrpcConfig::with_captured_response_trailers"),
        texts("metrics").or("[duration]").variable("OTEL_RUST_GRPC_SERVER_METRICS").code("GrpcConfig::without_metrics"),
        boolean("address_in_metrics")
            .or("false")
            .variable("OTEL_RUST_GRPC_SERVER_ADDRESS_IN_METRICS")
            .code("GrpcConfig::with_server_address_in_metrics"),
    ],
);
static GRPC_CLIENT: Type = Type::new(
    "rust.grpc.client",
    &[
        texts("excluded_methods")
            .variable("OTEL_RUST_GRPC_CLIENT_EXCLUDED_METHODS")
            .control("set_capture")
            .code("GrpcConfig::with_excluded_methods"),
        texts("request_captured_headers")
            .variable("OTEL_RUST_GRPC_CLIENT_CAPTURE_REQUEST_HEADERS")
            .control("set_capture")
            .code("GrpcConfig::with_captured_request_headers"),
        texts("response_captured_headers")
            .variable("OTEL_RUST_GRPC_CLIENT_CAPTURE_RESPONSE_HEADERS")
            .control("set_capture")
            .code("GrpcConfig::with_captured_response_headers"),
        texts("response_captured_trailers")
            .variable("OTEL_RUST_GRPC_CLIENT_CAPTURE_RESPONSE_TRAILERS")
            .control("set_capture")
            .code("GrpcConfig::with_captured_response_trailers"),
        texts("metrics").or("[duration]").variable("OTEL_RUST_GRPC_CLIENT_METRICS").code("GrpcConfig::without_metrics"),
    ],
);

static RUST_DB: Type = Type::new(
    "rust.db",
    &[
        choice("query_text", &["safe", "sanitized", "none"]).or("safe").variable("OTEL_RUST_DB_CLIENT_QUERY_TEXT").control("set_capture").code("sqlx::ClientConfig::with_query_text"),
        texts("metrics").or("[duration, returned_rows, pool]").variable("OTEL_RUST_DB_CLIENT_METRICS").code("sqlx::ClientConfig::without_metrics, sqlx::ClientConfig::without_returned_rows, sqlx::ClientConfig::without_pool_metrics"),
        texts("opt_in_attributes").variable("OTEL_RUST_DB_CLIENT_OPT_IN_ATTRIBUTES").code("sqlx::ClientConfig::with_opt_in_attributes"),
        boolean("error_messages").or("false").variable("OTEL_RUST_DB_CLIENT_ERROR_MESSAGES").control("set_capture").code("sqlx::ClientConfig::with_error_messages"),
        boolean("sqlcommenter").or("false").variable("OTEL_RUST_DB_CLIENT_SQLCOMMENTER").code("sqlx::ClientConfig::with_commenter"),
        choice("system", &["postgresql", "mysql", "mariadb", "sqlite", "other_sql"])
            .variable("OTEL_RUST_DB_CLIENT_SYSTEM").code("PoolOptions::with_system"),
    ],
);
