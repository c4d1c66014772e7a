//! The table of every environment variable that the project reads, and the source of their documentation.

use crate::text::Secrecy;

/// One environment variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Variable {
    /// The name.
    pub name: &'static str,
    /// The default; empty if there is none.
    pub default: &'static str,
    /// The accepted values.
    pub values: &'static str,
    /// The effect.
    pub doc: &'static str,
}

impl Variable {
    /// Returns the part of the value that a message may show.
    pub fn secrecy(&self) -> Secrecy {
        Secrecy::of(self.name)
    }
}

/// Makes the table and its documentation from the same rows.
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
    /// Every variable. An empty value counts as unset. An invalid value is reported on standard error, together with the accepted
    /// values, and then ignored; where that would silently lose data, starting telemetry fails instead. Settings in code take
    /// precedence over the environment. A name that is nearly one of these is reported, too.
    "OTEL_SDK_DISABLED" "false" "true, false" "No telemetry at all; propagation stays on"
    "OTEL_SERVICE_NAME" "unknown_service:<executable>" "text" "The resource attribute service.name"
    "OTEL_RESOURCE_ATTRIBUTES" "" "key=value,key=value, percent-encoded" "Attributes of the resource"
    "OTEL_LOG_LEVEL" "info" "none, error, warn, info, debug" "The SDK's own messages on standard error; once set, also what was started"
    "OTEL_PROPAGATORS" "tracecontext,baggage" "tracecontext, baggage, b3, b3multi, none" "Formats of the context in headers"
    "OTEL_TRACES_EXPORTER" "otlp" "otlp, console, none; a list for several" "Where spans go"
    "OTEL_TRACES_SAMPLER" "parentbased_always_on" "always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off, parentbased_traceidratio" "Which traces are recorded"
    "OTEL_TRACES_SAMPLER_ARG" "1.0" "a ratio from 0 to 1" "The ratio of the traceidratio samplers"
    "OTEL_BSP_SCHEDULE_DELAY" "5000" "milliseconds" "The longest a span waits for its export"
    "OTEL_BSP_EXPORT_TIMEOUT" "30000" "milliseconds, 0 for no limit" "The longest an export may take"
    "OTEL_BSP_MAX_QUEUE_SIZE" "2048" "at least 1" "Spans that may wait; further ones are dropped and counted"
    "OTEL_RUST_BSP_MAX_QUEUE_BYTES" "67108864" "at least 1" "Bytes of the spans that wait or are being exported; further ones are dropped and counted"
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE" "512" "from 1 to the queue size" "Spans in one export"
    "OTEL_METRICS_EXPORTER" "otlp" "otlp, console, prometheus, none; a list for several" "Where metrics go"
    "OTEL_METRIC_EXPORT_INTERVAL" "60000, console: 10000" "milliseconds, at least 1" "The time from one export of metrics to the next"
    "OTEL_METRIC_EXPORT_TIMEOUT" "30000" "milliseconds, 0 for no limit" "The longest an export of metrics may take"
    "OTEL_RUST_METRIC_EXPORT_MAX_BATCH_SIZE" "" "at least 1" "The most points in one export of metrics; without it, a collection is one export"
    "OTEL_METRICS_EXEMPLAR_FILTER" "trace_based" "trace_based, always_on, always_off" "Which measurements may become exemplars"
    "OTEL_RUST_TERMINATION_HANDLER_DISABLED" "false" "true, false" "Do not export what is left when SIGTERM, Ctrl-C or exit ends the program"
    "OTEL_RUST_SELF_METRICS" "false" "true, false" "Metrics of the SDK itself, otel.sdk.*, beside those of the program"
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT" "" "characters" "Longer string values are cut"
    "OTEL_ATTRIBUTE_COUNT_LIMIT" "128" "at least 0" "Attributes of a record, where nothing narrower is set"
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT" "" "characters" "The same for spans"
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT" "128" "at least 0" "The same for spans"
    "OTEL_SPAN_EVENT_COUNT_LIMIT" "128" "at least 0" "Events of a span"
    "OTEL_SPAN_LINK_COUNT_LIMIT" "128" "at least 0" "Links of a span"
    "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT" "128" "at least 0" "Attributes of an event"
    "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT" "128" "at least 0" "Attributes of a link"
    "OTEL_EXPORTER_OTLP_ENDPOINT" "http://localhost:4318, grpc: http://localhost:4317" "URL" "The receiver; v1/traces or v1/metrics is appended for HTTP"
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" "" "URL" "The receiver of spans, used as it is"
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT" "" "URL" "The receiver of metrics, used as it is"
    "OTEL_EXPORTER_OTLP_PROTOCOL" "http/protobuf" "http/protobuf, http/json, grpc" "The transport"
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL" "" "http/protobuf, http/json, grpc" "The same for spans"
    "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL" "" "http/protobuf, http/json, grpc" "The same for metrics"
    "OTEL_EXPORTER_OTLP_HEADERS" "" "key=value,key=value, percent-encoded" "Headers of every request"
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS" "" "key=value,key=value, percent-encoded" "The same for spans"
    "OTEL_EXPORTER_OTLP_METRICS_HEADERS" "" "key=value,key=value, percent-encoded" "The same for metrics"
    "OTEL_EXPORTER_OTLP_COMPRESSION" "none" "none, gzip" "Compression of requests"
    "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION" "" "none, gzip" "The same for spans"
    "OTEL_EXPORTER_OTLP_METRICS_COMPRESSION" "" "none, gzip" "The same for metrics"
    "OTEL_EXPORTER_OTLP_TIMEOUT" "10000" "milliseconds, 0 for no limit" "The longest one batch may take, retries included"
    "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT" "" "milliseconds, 0 for no limit" "The same for spans"
    "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT" "" "milliseconds, 0 for no limit" "The same for metrics"
    "OTEL_EXPORTER_OTLP_INSECURE" "false" "true, false" "gRPC without TLS when the endpoint has no scheme"
    "OTEL_EXPORTER_OTLP_TRACES_INSECURE" "" "true, false" "The same for spans"
    "OTEL_EXPORTER_OTLP_METRICS_INSECURE" "" "true, false" "The same for metrics"
    "OTEL_EXPORTER_OTLP_CERTIFICATE" "" "path of a PEM file" "Certificates to trust instead of the system's"
    "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE" "" "path of a PEM file" "The same for spans"
    "OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE" "" "path of a PEM file" "The same for metrics"
    "OTEL_EXPORTER_OTLP_CLIENT_KEY" "" "path of a PEM file" "The private key of the client certificate"
    "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY" "" "path of a PEM file" "The same for spans"
    "OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY" "" "path of a PEM file" "The same for metrics"
    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE" "" "path of a PEM file" "The client certificate, for mTLS"
    "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE" "" "path of a PEM file" "The same for spans"
    "OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE" "" "path of a PEM file" "The same for metrics"
    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE" "cumulative" "cumulative, delta, lowmemory" "Whether totals are of everything since the start or of one interval"
    "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION" "explicit_bucket_histogram" "explicit_bucket_histogram, base2_exponential_bucket_histogram" "The buckets of histograms without a view"
    "OTEL_EXPORTER_PROMETHEUS_HOST" "localhost" "a host name or an address" "Where the Prometheus exporter listens"
    "OTEL_EXPORTER_PROMETHEUS_PORT" "9464" "from 0 to 65535, 0 for a free one" "The port of the same"
    "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS" "those of RFC 9110, PATCH and QUERY" "GET,POST,…" "HTTP methods that spans name; another one is _OTHER"
    "OTEL_RUST_HTTP_SERVER_EXCLUDED_URLS" "" "/path,/prefix*" "Paths that the HTTP server layers leave alone"
    "OTEL_RUST_HTTP_SERVER_CAPTURE_REQUEST_HEADERS" "" "name,name" "Request headers that become attributes"
    "OTEL_RUST_HTTP_SERVER_CAPTURE_RESPONSE_HEADERS" "" "name,name" "Response headers that become attributes"
    "OTEL_RUST_HTTP_SERVER_FORWARDED_HEADERS" "false" "true, false" "Believe Forwarded and X-Forwarded-*: only behind a proxy that sets them"
    "OTEL_RUST_HTTP_SERVER_TRACE_RESPONSE" "false" "true, false" "Answer with a traceresponse header"
    "OTEL_RUST_HTTP_SERVER_METRICS" "duration" "duration, active_requests, body_sizes; a list for several; none" "Which metrics the HTTP server layers record"
    "OTEL_RUST_HTTP_SERVER_ADDRESS_IN_METRICS" "false" "true, false" "server.address and server.port in these metrics: each name a client sends is a new series"
    "OTEL_RUST_HTTP_SERVER_OPT_IN_ATTRIBUTES" "" "client.port, network.local.address, network.local.port, http.request.body.size, http.response.body.size; a list for several" "Attributes of HTTP server spans that the conventions leave off"
    "NO_COLOR" "" "anything" "The console exporter uses no colours"
    "COLUMNS" "100" "characters" "The length of the console exporter's lines"
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
