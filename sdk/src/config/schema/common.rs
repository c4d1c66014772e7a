//! Types that several parts of the configuration use.

use super::types::{EMPTY, Kind, Property, Type, boolean, choice, integer, list, milliseconds, object, text, texts};

pub(super) const TEMPORALITIES: &[&str] = &["cumulative", "delta", "low_memory"];
pub(super) const HISTOGRAMS: &[&str] = &["explicit_bucket_histogram", "base2_exponential_bucket_histogram"];

pub(super) static INCLUDE_EXCLUDE: Type = Type::new("IncludeExclude", &[texts("included"), texts("excluded")]);

static NAME_STRING_VALUE_PAIR: Type =
    Type::new("NameStringValuePair", &[text("name").required(), text("value").required_or_null()]);

static HTTP_TLS: Type = Type::new("HttpTls", &[CA_FILE, KEY_FILE, CERT_FILE]);
static GRPC_TLS: Type = Type::new(
    "GrpcTls",
    &[CA_FILE, KEY_FILE, CERT_FILE, boolean("insecure").or("false").counterpart("OTEL_EXPORTER_OTLP_INSECURE")],
);

const CA_FILE: Property =
    text("ca_file").counterpart("OTEL_EXPORTER_OTLP_CERTIFICATE").code("OtlpBuilder::with_certificate");
const KEY_FILE: Property =
    text("key_file").counterpart("OTEL_EXPORTER_OTLP_CLIENT_KEY").code("OtlpBuilder::with_client_key");
const CERT_FILE: Property =
    text("cert_file").counterpart("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE").code("OtlpBuilder::with_client_certificate");

static HEADER: Kind = Kind::Object(&NAME_STRING_VALUE_PAIR);

const HEADERS: Property = list("headers", &HEADER).code("OtlpBuilder::with_header");
const HEADERS_LIST: Property =
    text("headers_list").counterpart("OTEL_EXPORTER_OTLP_HEADERS").code("OtlpBuilder::with_header");
const HTTP_ENDPOINT: Property =
    text("endpoint").counterpart(ENDPOINT).code("OtlpBuilder::with_endpoint, OtlpBuilder::with_base_endpoint");
const GRPC_ENDPOINT: Property =
    text("endpoint").or("http://localhost:4317").counterpart(ENDPOINT).code("OtlpBuilder::with_endpoint");
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const COMPRESSION: Property = choice("compression", &["none", "gzip"])
    .or("none")
    .counterpart("OTEL_EXPORTER_OTLP_COMPRESSION")
    .code("OtlpBuilder::with_compression");
const MAX_REQUEST: Property = integer("max_request_size", 0).or("67108864").code("OtlpBuilder::with_max_request_size");
const MAX_RESPONSE: Property =
    integer("max_response_size", 1).or("4194304").code("OtlpBuilder::with_max_response_size");
const TIMEOUT: Property =
    milliseconds("timeout", 0).or("10000").counterpart("OTEL_EXPORTER_OTLP_TIMEOUT").code("OtlpBuilder::with_timeout");
const ENCODING: Property = choice("encoding", &["protobuf", "json"])
    .or("protobuf")
    .counterpart("OTEL_EXPORTER_OTLP_PROTOCOL")
    .code("OtlpBuilder::with_protocol");
const TEMPORALITY: Property = choice("temporality_preference", TEMPORALITIES)
    .or("cumulative")
    .counterpart("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE")
    .code("ReaderConfig::with_temporality, OtlpBuilder::with_temporality_preference");
const HISTOGRAM: Property = choice("default_histogram_aggregation", HISTOGRAMS)
    .or("explicit_bucket_histogram")
    .counterpart("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION")
    .code("ReaderConfig::with_aggregation, OtlpBuilder::with_default_histogram_aggregation");
const OUTPUT_STREAM: Property = text("output_stream").or("stdout");

static OTLP_HTTP: Type = Type::new(
    "OtlpHttpExporter",
    &[
        HTTP_ENDPOINT.or("http://localhost:4318/v1/{signal}"),
        object("tls", &HTTP_TLS),
        HEADERS,
        HEADERS_LIST,
        COMPRESSION,
        MAX_REQUEST,
        MAX_RESPONSE,
        TIMEOUT,
        ENCODING,
    ],
);
static OTLP_GRPC: Type = Type::new(
    "OtlpGrpcExporter",
    &[GRPC_ENDPOINT, object("tls", &GRPC_TLS), HEADERS, HEADERS_LIST, COMPRESSION, MAX_REQUEST, MAX_RESPONSE, TIMEOUT],
);
static OTLP_FILE: Type = Type::new("ExperimentalOtlpFileExporter", &[OUTPUT_STREAM]);

/// The exporters of spans and of log records.
pub(super) const EXPORTERS: &[Property] = &[
    object("otlp_http", &OTLP_HTTP),
    object("otlp_grpc", &OTLP_GRPC),
    object("otlp_file/development", &OTLP_FILE),
    object("console", &EMPTY),
];

static OTLP_HTTP_METRICS: Type = Type::new(
    "OtlpHttpMetricExporter",
    &[
        HTTP_ENDPOINT.or("http://localhost:4318/v1/metrics"),
        object("tls", &HTTP_TLS),
        HEADERS,
        HEADERS_LIST,
        COMPRESSION,
        MAX_REQUEST,
        MAX_RESPONSE,
        TIMEOUT,
        ENCODING,
        TEMPORALITY,
        HISTOGRAM,
    ],
);
static OTLP_GRPC_METRICS: Type = Type::new(
    "OtlpGrpcMetricExporter",
    &[
        GRPC_ENDPOINT,
        object("tls", &GRPC_TLS),
        HEADERS,
        HEADERS_LIST,
        COMPRESSION,
        MAX_REQUEST,
        MAX_RESPONSE,
        TIMEOUT,
        TEMPORALITY,
        HISTOGRAM,
    ],
);
static OTLP_FILE_METRICS: Type =
    Type::new("ExperimentalOtlpFileMetricExporter", &[OUTPUT_STREAM, TEMPORALITY, HISTOGRAM]);
static CONSOLE_METRICS: Type = Type::new("ConsoleMetricExporter", &[TEMPORALITY, HISTOGRAM]);

/// The exporters of metrics.
pub(super) const METRIC_EXPORTERS: &[Property] = &[
    object("otlp_http", &OTLP_HTTP_METRICS),
    object("otlp_grpc", &OTLP_GRPC_METRICS),
    object("otlp_file/development", &OTLP_FILE_METRICS),
    object("console", &CONSOLE_METRICS),
];

pub(super) static ATTRIBUTE_LIMITS: Type = Type::new(
    "AttributeLimits",
    &[
        LENGTH.counterpart("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT").code("AttributeLimits::new"),
        DEPTH.code("LogRecordLimits::with_value_depth"),
        COUNT.counterpart("OTEL_ATTRIBUTE_COUNT_LIMIT").code("AttributeLimits::new"),
    ],
);
pub(super) const LENGTH: Property = integer("attribute_value_length_limit", 0);
pub(super) const COUNT: Property = integer("attribute_count_limit", 0).or("128");
/// Only log records have nested values, and their maximum depth is 64.
pub(super) const DEPTH: Property = integer("attribute_value_depth_limit", 1).or("64");

pub(super) const SEVERITIES: &[&str] = &[
    "trace", "trace2", "trace3", "trace4", "debug", "debug2", "debug3", "debug4", "info", "info2", "info3", "info4",
    "warn", "warn2", "warn3", "warn4", "error", "error2", "error3", "error4", "fatal", "fatal2", "fatal3", "fatal4",
];
