//! The table of all environment variables that the project reads. The documentation is generated from it.

use crate::text::Secrecy;

/// One environment variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Variable {
    /// Name of the variable.
    pub name: &'static str,
    /// Default value; empty if there is none.
    pub default: &'static str,
    /// Accepted values.
    pub values: &'static str,
    /// Description of the effect.
    pub doc: &'static str,
}

impl Variable {
    /// Returns which part of the value may appear in messages.
    pub fn secrecy(&self) -> Secrecy {
        Secrecy::of(self.name)
    }
}

/// Generates the table and its documentation from the same rows.
macro_rules! variables {
    ($(#[$doc:meta])* $($name:literal $default:tt $values:literal $means:literal)*) => {
        $(#[$doc])*
        ///
        /// | variable | default | values | meaning |
        /// |---|---|---|---|
        $(#[doc = concat!("| `", $name, "` | ", variables!(@cell $default), " | ", $values, " | ", $means, " |")])*
        pub const VARIABLES: &[Variable] =
            &[$(Variable { name: $name, default: $default, values: $values, doc: $means }),*];
    };
    (@cell "") => { "" };
    (@cell $default:literal) => { concat!("`", $default, "`") };
}

variables! {
    /// All environment variables. An empty value counts as unset. An invalid value is reported on standard error together with
    /// the accepted values, and then ignored. If ignoring it would silently lose data, telemetry fails to start instead.
    /// Settings in code take precedence over the environment. Misspelt names are also reported.
    "OTEL_CONFIG_FILE" "" "path to a YAML or JSON file" "The declarative configuration; other variables that begin with OTEL_ then have an effect only if the file refers to them. Requires the feature config-file"
    "OTEL_RUST_CONFIG_PRINT" "false" "true, false" "Writes the effective configuration to standard error when telemetry starts, as a file with the origin of each value and without secrets"
    "OTEL_RUST_CONFIG_WATCH_INTERVAL" "" "milliseconds, at least 1" "The time between two looks at the configuration file, whose changes then apply while the program runs; if unset, it is read only once"
    "OTEL_SDK_DISABLED" "false" "true, false" "Disables all telemetry except propagation; log lines stay"
    "OTEL_SERVICE_NAME" "unknown_service:<executable>" "text" "The resource attribute service.name"
    "OTEL_RESOURCE_ATTRIBUTES" "" "key=value,key=value, percent-encoded" "Attributes of the resource"
    "OTEL_RUST_RESOURCE_DETECTORS" "service,process,host" "a list of service, process, host, os, env, container, kubernetes, aws, gcp and azure, or all, or none" "What is detected for the resource; the last five need the features container, aws, gcp and azure. OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES always count"
    "K8S_CLUSTER_NAME" "" "text" "The resource attribute k8s.cluster.name, for the detector kubernetes"
    "K8S_NODE_NAME" "" "text" "The same for k8s.node.name"
    "K8S_NAMESPACE_NAME" "" "text" "The same for k8s.namespace.name; if unset, the service account's namespace"
    "K8S_POD_NAME" "" "text" "The same for k8s.pod.name"
    "K8S_POD_UID" "" "text" "The same for k8s.pod.uid"
    "K8S_CONTAINER_NAME" "" "text" "The same for k8s.container.name"
    "K8S_DEPLOYMENT_NAME" "" "text" "The same for k8s.deployment.name"
    "OTEL_LOG_LEVEL" "info" "none, error, warn, info, debug" "The level of the SDK's own messages on standard error; if set explicitly, info also reports what was started"
    "OTEL_PROPAGATORS" "tracecontext,baggage" "a list of tracecontext, baggage, b3, b3multi, jaeger, ottrace, xray and xray-lambda, or none" "The header formats for context propagation, in the order of extraction: `baggage` replaces the baggage that earlier ones found, so it goes before `jaeger`, `ottrace` and `xray`. Those of X-Ray need the feature xray"
    "OTEL_TRACES_EXPORTER" "otlp" "a list of otlp, console and viewer, or none" "The exporters of spans"
    "OTEL_TRACES_SAMPLER" "parentbased_always_on" "always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off, parentbased_traceidratio" "The sampler, which decides which traces are recorded"
    "OTEL_TRACES_SAMPLER_ARG" "1.0" "a ratio from 0 to 1" "The ratio of the traceidratio samplers"
    "OTEL_BSP_SCHEDULE_DELAY" "5000" "milliseconds" "The maximum time that a span waits for its export"
    "OTEL_BSP_EXPORT_TIMEOUT" "30000" "milliseconds, 0 for no limit" "The maximum duration of an export"
    "OTEL_BSP_MAX_QUEUE_SIZE" "2048" "at least 1" "The capacity of the queue; spans beyond it are dropped and counted"
    "OTEL_RUST_BSP_MAX_QUEUE_BYTES" "67108864" "at least 1" "The maximum size in bytes of the spans that wait or are being exported; spans beyond it are dropped and counted"
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE" "512" "from 1 to the queue size" "The maximum number of spans in an export"
    "OTEL_LOGS_EXPORTER" "otlp" "a list of otlp, console and viewer, or none" "The exporters of log records"
    "OTEL_BLRP_SCHEDULE_DELAY" "1000" "milliseconds" "The maximum time that a log record waits for its export"
    "OTEL_BLRP_EXPORT_TIMEOUT" "30000" "milliseconds, 0 for no limit" "The maximum duration of an export of log records"
    "OTEL_BLRP_MAX_QUEUE_SIZE" "2048" "at least 1" "The capacity of the queue; log records beyond it are dropped and counted"
    "OTEL_RUST_BLRP_MAX_QUEUE_BYTES" "67108864" "at least 1" "The maximum size in bytes of the log records that wait or are being exported; log records beyond it are dropped and counted"
    "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE" "512" "from 1 to the queue size" "The maximum number of log records in an export"
    "OTEL_METRICS_EXPORTER" "otlp" "a list of otlp, console, prometheus and viewer, or none" "The exporters of metrics"
    "OTEL_METRIC_EXPORT_INTERVAL" "60000, console: 10000" "milliseconds, at least 1" "The interval between exports of metrics"
    "OTEL_METRIC_EXPORT_TIMEOUT" "30000" "milliseconds, 0 for no limit" "The maximum duration of an export of metrics"
    "OTEL_RUST_METRIC_EXPORT_MAX_BATCH_SIZE" "" "at least 1" "The maximum number of points in an export of metrics; if unset, each collection is one export"
    "OTEL_METRICS_EXEMPLAR_FILTER" "trace_based" "trace_based, always_on, always_off" "The measurements that may become exemplars"
    "OTEL_RUST_SPANS" "info,sqlx::query=debug,tower_http=debug,telemark=debug" "a list of target=level, target and level: off, error, warn, info, debug or trace" "The spans to keep, by target and level, and the log records as well unless OTEL_RUST_LOGS is set; a directive with a target adds to the default, a level without a target replaces it"
    "OTEL_RUST_LOGS" "" "a list of target=level, target and level: off, error, warn, info, debug or trace" "The events of tracing that become log records, by target and level, in the grammar of OTEL_RUST_SPANS; if unset, OTEL_RUST_SPANS decides. The statements of sqlx, whose text contains values, become records only if exactly sqlx::query is named here"
    "OTEL_RUST_LOGS_MAX_PER_MINUTE" "" "at least 1" "The maximum number of log records per minute of each call site; further records are suppressed, counted and reported; log lines are not limited"
    "OTEL_RUST_LOGS_SAMPLED_TRACES_ONLY" "false" "true, false" "Suppresses the log records of traces that are not sampled, except for warnings and errors"
    "OTEL_RUST_LOGS_SAMPLING_ATTRIBUTE" "" "name" "The attribute of log records, such as a request id, whose value decides whether a record is kept; warnings and errors always are; needs OTEL_RUST_LOGS_SAMPLING_RATIO"
    "OTEL_RUST_LOGS_SAMPLING_RATIO" "" "a ratio from 0 to 1" "The fraction of the values of that attribute to keep"
    "OTEL_RUST_BAGGAGE_ATTRIBUTES" "" "name,prefix*" "Baggage entries to copy to spans and log records as attributes"
    "OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN" "" "logs, logs/dup" "The signal of exceptions: span events if unset, log records (logs), or both (logs/dup)"
    "OTEL_SEMCONV_STABILITY_OPT_IN" "" "a list of http, database, messaging, rpc, code and k8s, each with or without /dup" "Has no effect, because the stable conventions are always recorded, and only those; reports once that /dup adds nothing"
    "OTEL_RUST_TERMINATION_HANDLER_DISABLED" "false" "true, false" "Disables the export of remaining telemetry when SIGTERM, Ctrl-C or exit ends the program"
    "OTEL_RUST_PANICS" "false" "true, false" "Records panics as log records, with their stack trace and the current span, before the panic hook of the program runs"
    "OTEL_RUST_SELF_METRICS" "false" "true, false" "Also exports the SDK's own metrics, otel.sdk.*"
    "OTEL_RUST_REDACTION" "" "a list of email, payment_card, social_security_number, bearer_token, password and ip_address" "Hides such values in spans, log records, metrics and the resource before they are exported, but not in log lines; requires the feature redaction. A name that is none of these is an error"
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT" "" "characters" "The maximum length of string values; longer ones are truncated"
    "OTEL_ATTRIBUTE_COUNT_LIMIT" "128" "at least 0" "The maximum number of attributes, unless a more specific variable is set"
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT" "" "characters" "The same for spans"
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT" "128" "at least 0" "The same for spans"
    "OTEL_SPAN_EVENT_COUNT_LIMIT" "128" "at least 0" "The maximum number of events of a span"
    "OTEL_SPAN_LINK_COUNT_LIMIT" "128" "at least 0" "The maximum number of links of a span"
    "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT" "128" "at least 0" "The maximum number of attributes of an event"
    "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT" "128" "at least 0" "The maximum number of attributes of a link"
    "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT" "" "characters" "The maximum length of string values in the attributes of a log record"
    "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT" "128" "at least 0" "The maximum number of attributes of a log record"
    "OTEL_EXPORTER_OTLP_ENDPOINT" "http://localhost:4318, grpc: http://localhost:4317" "URL" "The base URL of the receiver; over HTTP, v1/traces, v1/logs or v1/metrics is appended"
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" "" "URL" "The receiver of spans, used unchanged"
    "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT" "" "URL" "The receiver of log records, used unchanged"
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT" "" "URL" "The receiver of metrics, used unchanged"
    "OTEL_EXPORTER_OTLP_PROTOCOL" "http/protobuf" "http/protobuf, http/json, grpc" "The transport"
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL" "" "http/protobuf, http/json, grpc" "The same for spans"
    "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL" "" "http/protobuf, http/json, grpc" "The same for log records"
    "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL" "" "http/protobuf, http/json, grpc" "The same for metrics"
    "OTEL_EXPORTER_OTLP_HEADERS" "" "key=value,key=value, percent-encoded" "Headers of every request"
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS" "" "key=value,key=value, percent-encoded" "The same for spans"
    "OTEL_EXPORTER_OTLP_LOGS_HEADERS" "" "key=value,key=value, percent-encoded" "The same for log records"
    "OTEL_EXPORTER_OTLP_METRICS_HEADERS" "" "key=value,key=value, percent-encoded" "The same for metrics"
    "OTEL_EXPORTER_OTLP_COMPRESSION" "none" "none, gzip" "Compression of requests"
    "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION" "" "none, gzip" "The same for spans"
    "OTEL_EXPORTER_OTLP_LOGS_COMPRESSION" "" "none, gzip" "The same for log records"
    "OTEL_EXPORTER_OTLP_METRICS_COMPRESSION" "" "none, gzip" "The same for metrics"
    "OTEL_EXPORTER_OTLP_TIMEOUT" "10000" "milliseconds, 0 for no limit" "The maximum duration of an export, including retries"
    "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT" "" "milliseconds, 0 for no limit" "The same for spans"
    "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT" "" "milliseconds, 0 for no limit" "The same for log records"
    "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT" "" "milliseconds, 0 for no limit" "The same for metrics"
    "OTEL_EXPORTER_OTLP_INSECURE" "false" "true, false" "Disables TLS for gRPC if the endpoint has no scheme"
    "OTEL_EXPORTER_OTLP_TRACES_INSECURE" "" "true, false" "The same for spans"
    "OTEL_EXPORTER_OTLP_LOGS_INSECURE" "" "true, false" "The same for log records"
    "OTEL_EXPORTER_OTLP_METRICS_INSECURE" "" "true, false" "The same for metrics"
    "OTEL_EXPORTER_OTLP_CERTIFICATE" "" "path to a PEM file" "Certificates to trust instead of the system's"
    "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE" "" "path to a PEM file" "The same for spans"
    "OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE" "" "path to a PEM file" "The same for log records"
    "OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE" "" "path to a PEM file" "The same for metrics"
    "OTEL_EXPORTER_OTLP_CLIENT_KEY" "" "path to a PEM file" "The private key of the client certificate"
    "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY" "" "path to a PEM file" "The same for spans"
    "OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY" "" "path to a PEM file" "The same for log records"
    "OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY" "" "path to a PEM file" "The same for metrics"
    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE" "" "path to a PEM file" "The client certificate, for mTLS"
    "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE" "" "path to a PEM file" "The same for spans"
    "OTEL_EXPORTER_OTLP_LOGS_CLIENT_CERTIFICATE" "" "path to a PEM file" "The same for log records"
    "OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE" "" "path to a PEM file" "The same for metrics"
    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE" "cumulative" "cumulative, delta, lowmemory" "Reports totals since the start (cumulative) or per interval (delta)"
    "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION" "explicit_bucket_histogram" "explicit_bucket_histogram, base2_exponential_bucket_histogram" "The aggregation of histograms without a view"
    "OTEL_RUST_EXPORTER_OTLP_HEADERS_FILE" "" "path to a file" "A file with headers of every request, which is read again once a minute and when the receiver refuses them; its lines are `name: value` or a list as in OTEL_EXPORTER_OTLP_HEADERS, or it contains only a bearer token. Replaces headers of the same name"
    "OTEL_RUST_EXPORTER_OTLP_TRACES_HEADERS_FILE" "" "path to a file" "The same for spans"
    "OTEL_RUST_EXPORTER_OTLP_LOGS_HEADERS_FILE" "" "path to a file" "The same for log records"
    "OTEL_RUST_EXPORTER_OTLP_METRICS_HEADERS_FILE" "" "path to a file" "The same for metrics"
    "OTEL_RUST_EXPORTER_OTLP_HEADERS_COMMAND" "" "a program and its arguments" "A command that prints such a text, which runs again after five minutes and when the receiver refuses the headers; it runs without a shell, and for 30 seconds at most. Has no effect beside OTEL_RUST_EXPORTER_OTLP_HEADERS_FILE. Unix only"
    "OTEL_RUST_EXPORTER_OTLP_TRACES_HEADERS_COMMAND" "" "a program and its arguments" "The same for spans"
    "OTEL_RUST_EXPORTER_OTLP_LOGS_HEADERS_COMMAND" "" "a program and its arguments" "The same for log records"
    "OTEL_RUST_EXPORTER_OTLP_METRICS_HEADERS_COMMAND" "" "a program and its arguments" "The same for metrics"
    "OTEL_RUST_EXPORTER_OTLP_HEADERS_REFRESH" "" "milliseconds, 0 for only when the receiver refuses the headers" "The time after which the headers of a file or a command are read again; if unset, a minute for a file and five for a command"
    "OTEL_RUST_EXPORTER_OTLP_PROXY" "" "an http:// URL, or none" "The proxy for every endpoint, in place of the next four variables"
    "HTTPS_PROXY" "" "an http:// URL" "The HTTP proxy for https endpoints and for gRPC of the OTLP exporters, except for an endpoint on this machine; `https_proxy` takes precedence"
    "HTTP_PROXY" "" "an http:// URL" "The same for http endpoints without gRPC; `http_proxy` takes precedence. Has no effect if REQUEST_METHOD is set, as in CGI programs"
    "ALL_PROXY" "" "an http:// URL" "The same for endpoints without a proxy of their own; `all_proxy` takes precedence"
    "NO_PROXY" "" "a list of host names, addresses and networks such as 10.0.0.0/8, or *" "The hosts that are reached directly, with their subdomains; an entry may end with a port. `no_proxy` takes precedence"
    "OTEL_EXPORTER_PROMETHEUS_HOST" "localhost" "a host name or an address" "The host or address on which the Prometheus exporter listens; a name other than `localhost` is resolved when the telemetry starts, which waits for it"
    "OTEL_EXPORTER_PROMETHEUS_PORT" "9464" "from 0 to 65535, 0 for any free port" "The port on which the Prometheus exporter listens"
    "OTEL_RUST_VIEWER_ADDRESS" "" "host:port, with port 0 for any free port" "The address on which the viewer serves its page; if unset, port 4380 of localhost, or a free port if it is taken. An address other than a loopback address requires a token. A name other than `localhost` is resolved when the telemetry starts, which waits for it"
    "OTEL_RUST_VIEWER_MAX_MEMORY" "256MiB" "a size, at least 1MiB" "The maximum memory that the viewer takes; beyond it, the oldest telemetry makes room"
    "OTEL_RUST_VIEWER_TOKEN" "" "at least 16 characters" "The token that a page or a script must know to read the viewer"
    "OTEL_RUST_VIEWER_ALLOWED_ORIGINS" "" "a list of origins, such as `https://shop.example`" "The origins of the web pages that may send telemetry to telemark-viewer"
    "OTEL_RUST_INSTRUMENTATION_COMMON_DEFAULT_ENABLED" "true" "true, false" "Enables or disables every integration that has no variable of its own"
    "OTEL_RUST_INSTRUMENTATION_AXUM_ENABLED" "" "true, false" "Enables or disables the HTTP server layer for axum; a disabled layer does not read the trace context either"
    "OTEL_RUST_INSTRUMENTATION_TOWER_ENABLED" "" "true, false" "Enables or disables the HTTP layers for tower; disabled layers neither read nor send the trace context"
    "OTEL_RUST_INSTRUMENTATION_TONIC_ENABLED" "" "true, false" "Enables or disables the gRPC layers for tonic; disabled layers neither read nor send the trace context"
    "OTEL_RUST_INSTRUMENTATION_HYPER_ENABLED" "" "true, false" "Enables or disables the spans, metrics and propagation of hyper's client and server; disabled, they neither read nor send the trace context"
    "OTEL_RUST_INSTRUMENTATION_REQWEST_ENABLED" "" "true, false" "Enables or disables the spans, metrics and propagation of reqwest; a disabled client still sends requests, without the trace context"
    "OTEL_RUST_INSTRUMENTATION_RUNTIME_METRICS_ENABLED" "" "true, false" "Enables or disables the metrics of the process and of the tokio runtime"
    "OTEL_RUST_INSTRUMENTATION_SQLX_ENABLED" "" "true, false" "Enables or disables the spans, metrics and comments of sqlx, both of telemark::sqlx and of the layer for tracing"
    "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS" "those of RFC 9110, PATCH and QUERY" "GET,POST,…" "The known HTTP methods; others are recorded as _OTHER"
    "OTEL_RUST_HTTP_SERVER_EXCLUDED_URLS" "" "/path,/prefix*" "Paths that the HTTP server layers ignore"
    "OTEL_RUST_HTTP_SERVER_CAPTURE_REQUEST_HEADERS" "" "name,name" "Request headers to record as attributes"
    "OTEL_RUST_HTTP_SERVER_CAPTURE_RESPONSE_HEADERS" "" "name,name" "Response headers to record as attributes"
    "OTEL_RUST_HTTP_SERVER_FORWARDED_HEADERS" "false" "true, false" "Trusts Forwarded and X-Forwarded-*; enable only behind a proxy that sets them"
    "OTEL_RUST_HTTP_SERVER_TRACE_RESPONSE" "false" "true, false" "Adds a traceresponse header to responses"
    "OTEL_RUST_HTTP_SERVER_METRICS" "duration" "a list of duration, active_requests, body_sizes and orphans, or none" "The metrics that the HTTP server layers record"
    "OTEL_RUST_HTTP_SERVER_ADDRESS_IN_METRICS" "false" "true, false" "Adds server.address and server.port to these metrics; each host name that a client sends creates a new series"
    "OTEL_RUST_HTTP_SERVER_OPT_IN_ATTRIBUTES" "" "a list of client.port, network.local.address, network.local.port, http.request.body.size and http.response.body.size" "Opt-in attributes to add to HTTP server spans"
    "OTEL_RUST_HTTP_SERVER_ROUTE_TEMPLATES" "" "/users/{id},/users/*=/users/{id}" "Route templates for HTTP servers without a router"
    "OTEL_RUST_HTTP_SERVER_GUESSED_ROUTES" "false" "true, false" "Guesses routes that nothing else names, with {id} for numbers, UUIDs, ULIDs and hexadecimal text"
    "OTEL_RUST_HTTP_SERVER_CLIENT_SERVICE_NAMES" "" "address=name,address=name" "The names of the services behind client addresses, recorded as client.service.name"
    "OTEL_RUST_HTTP_CLIENT_EXCLUDED_URLS" "" "host/path,*.suffix:port,/prefix*" "URLs that the HTTP clients do not record; the caller's trace context is still sent"
    "OTEL_RUST_HTTP_CLIENT_CAPTURE_REQUEST_HEADERS" "" "name,name" "Request headers to record as attributes; default headers of a reqwest client are not seen"
    "OTEL_RUST_HTTP_CLIENT_CAPTURE_RESPONSE_HEADERS" "" "name,name" "Response headers to record as attributes"
    "OTEL_RUST_HTTP_CLIENT_PROPAGATION_HOSTS" "" "host,*.suffix,host:port" "The only hosts to which the HTTP clients send the trace context and baggage; all if unset. Does not apply to gRPC clients and telemark::inject"
    "OTEL_RUST_HTTP_CLIENT_SERVICE_NAMES" "" "host=name,*.suffix:port/path*=name" "The names of remote services, recorded as server.service.name"
    "OTEL_RUST_HTTP_CLIENT_URL_TEMPLATES" "" "/users/{id},/users/*=/users/{id}" "URL templates for the names of HTTP client spans and url.template"
    "OTEL_RUST_HTTP_CLIENT_METRICS" "duration" "a list of duration, active_requests, body_sizes and connections, or none" "The metrics that the HTTP clients record; connections counts those of observed connectors of hyper"
    "OTEL_RUST_HTTP_CLIENT_OPT_IN_ATTRIBUTES" "" "a list of url.scheme, user_agent.original, http.request.body.size and http.response.body.size" "Opt-in attributes to add to HTTP client spans"
    "OTEL_RUST_HTTP_CLIENT_OPT_IN_METRIC_ATTRIBUTES" "" "a list of url.scheme and url.template" "Opt-in attributes to add to HTTP client metrics"
    "OTEL_RUST_HTTP_CLIENT_CONNECTION_PHASES" "false" "true, false" "Records the phases of a new connection that a request waits for, such as the resolution of the name, as events of its span"
    "OTEL_RUST_GRPC_SERVER_EXCLUDED_METHODS" "" "pkg.Service/Method,prefix*" "Methods that the gRPC server layer ignores"
    "OTEL_RUST_GRPC_SERVER_KNOWN_METHODS" "" "pkg.Service/Method,…" "The methods that a server knows; others are recorded as _OTHER. If unset, the layer learns them from responses"
    "OTEL_RUST_GRPC_SERVER_CAPTURE_REQUEST_HEADERS" "" "name,name" "Request headers to record as attributes"
    "OTEL_RUST_GRPC_SERVER_CAPTURE_RESPONSE_HEADERS" "" "name,name" "Response headers to record as attributes"
    "OTEL_RUST_GRPC_SERVER_CAPTURE_RESPONSE_TRAILERS" "" "name,name" "Response trailers to record as attributes"
    "OTEL_RUST_GRPC_SERVER_METRICS" "duration" "duration, none" "The metrics that the gRPC server layer records"
    "OTEL_RUST_GRPC_SERVER_ADDRESS_IN_METRICS" "false" "true, false" "Adds server.address and server.port to these metrics; each host name that a client sends creates a new series"
    "OTEL_RUST_GRPC_CLIENT_EXCLUDED_METHODS" "" "pkg.Service/Method,prefix*" "Methods that the gRPC client layer does not record; the caller's trace context is still sent"
    "OTEL_RUST_GRPC_CLIENT_CAPTURE_REQUEST_HEADERS" "" "name,name" "Request headers to record as attributes"
    "OTEL_RUST_GRPC_CLIENT_CAPTURE_RESPONSE_HEADERS" "" "name,name" "Response headers to record as attributes"
    "OTEL_RUST_GRPC_CLIENT_CAPTURE_RESPONSE_TRAILERS" "" "name,name" "Response trailers to record as attributes"
    "OTEL_RUST_GRPC_CLIENT_METRICS" "duration" "duration, none" "The metrics that the gRPC client layer records"
    "OTEL_RUST_DB_CLIENT_QUERY_TEXT" "safe" "safe, sanitized, none" "The text of statements to record: with literals only beside parameters, never with literals, or not at all"
    "OTEL_RUST_DB_CLIENT_METRICS" "duration,returned_rows,pool" "a list of duration, returned_rows and pool, or none" "The metrics of database calls and connection pools"
    "OTEL_RUST_DB_CLIENT_OPT_IN_ATTRIBUTES" "" "db.response.returned_rows" "Opt-in attributes to add to the spans of database calls"
    "OTEL_RUST_DB_CLIENT_ERROR_MESSAGES" "false" "true, false" "Records the messages of databases, which may repeat values"
    "OTEL_RUST_DB_CLIENT_SQLCOMMENTER" "false" "true, false" "Adds a comment with the trace to statements that are not kept prepared: with sqlx raw_sql, plain strings and query with persistent(false), but not other uses of query, query_as or query!"
    "OTEL_RUST_DB_CLIENT_SYSTEM" "" "postgresql, mysql, mariadb, sqlite, other_sql" "The database of the statements that sqlx reports to the layer for tracing; other_sql if unset, except on SQLite's own threads"
    "OTEL_RUST_LOG_FORMAT" "json" "json, json_flat, ecs, text" "The format of the log lines of tracing: JSON goes to standard output, text to standard error; if unset, text beside the console exporter"
    "RUST_LOG" "info" "a list of levels and target=level" "The events of tracing that become log lines; spans and log records have OTEL_RUST_SPANS and OTEL_RUST_LOGS"
    "TELEMARK_SPAN_COUNTS" "" "path to a file" "Where `telemark::auto()` writes the number of spans by name, for `cargo telemark explain`; `cargo telemark run` sets it"
    "NO_COLOR" "" "anything" "Disables the colours of the console exporter and of log lines"
    "COLUMNS" "100" "characters" "The line width of the console exporter"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = VARIABLES.iter().map(|variable| variable.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), VARIABLES.len());
    }
}
