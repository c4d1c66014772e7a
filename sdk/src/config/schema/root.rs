//! The root of the configuration, and the settings of this distribution.

use super::common::{ATTRIBUTE_LIMITS, SEVERITIES};
use super::instrumentation::INSTRUMENTATION;
use super::logs::LOGGER_PROVIDER;
use super::metrics::METER_PROVIDER;
use super::resource::{PROPAGATOR, RESOURCE};
use super::traces::{TAIL_SAMPLING, TRACER_PROVIDER};
use super::types::{Kind, Property, Type, boolean, choice, integer, list, milliseconds, object, text, texts};

/// The version of the schema: its major and its minor part.
pub const FILE_FORMAT: (u32, u32) = (1, 2);

pub(crate) static ROOT: Type = Type::new(
    "the configuration",
    &[
        text("file_format").required(),
        boolean("disabled").or("false").counterpart("OTEL_SDK_DISABLED").control("disable"),
        choice("log_level", SEVERITIES)
            .or("info")
            .counterpart("OTEL_LOG_LEVEL")
            .code("diag::set_max_level")
            .control("diag::set_max_level"),
        object("attribute_limits", &ATTRIBUTE_LIMITS),
        object("resource", &RESOURCE).code("with_resource"),
        object("propagator", &PROPAGATOR).code("with_propagator"),
        object("tracer_provider", &TRACER_PROVIDER),
        object("meter_provider", &METER_PROVIDER),
        object("logger_provider", &LOGGER_PROVIDER),
        object("instrumentation/development", &INSTRUMENTATION),
        object("distribution", &DISTRIBUTION),
    ],
);

/// The blocks of other distributions are theirs.
static DISTRIBUTION: Type = Type::new("Distribution", &[object("telemark", &TELEMARK)]).open();

static TELEMARK: Type = Type::new(
    "distribution.telemark",
    &[
        text("spans").variable("OTEL_RUST_SPANS").code("with_span_filter").control("set_span_filter"),
        object("logs", &LOGS).code("with_log_volume").control("set_log_volume"),
        object("max_queue_bytes", &MAX_QUEUE_BYTES),
        object("limits", &LIMITS).code("with_item_limits"),
        texts("baggage_attributes").variable("OTEL_RUST_BAGGAGE_ATTRIBUTES").code("with_baggage_attributes"),
        choice("exception_signal", &["logs", "logs/dup"])
            .variable("OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN")
            .code("with_exception_signal"),
        boolean("termination_handler_disabled")
            .or("false")
            .variable("OTEL_RUST_TERMINATION_HANDLER_DISABLED")
            .code("with_termination_handler"),
        boolean("panics").or("false").variable("OTEL_RUST_PANICS").code("with_panic_records"),
        boolean("self_metrics").or("false").variable("OTEL_RUST_SELF_METRICS").code("with_self_metrics"),
        choice("log_format", &["json", "json_flat", "ecs", "text"])
            .variable("OTEL_RUST_LOG_FORMAT")
            .code("LineLayer::new"),
        object("tail_sampling", &TAIL_SAMPLING).code("with_tail_sampling"),
        object("otlp", &OTLP),
        object("viewer", &VIEWER),
        milliseconds("watch_interval", 1).variable("OTEL_RUST_CONFIG_WATCH_INTERVAL").code("with_config_watch"),
        object("redaction", &REDACTION).code("with_redaction"),
        texts("code").elsewhere(),
    ],
);

static LOGS: Type = Type::new(
    "distribution.telemark.logs",
    &[
        text("filter").variable("OTEL_RUST_LOGS").code("with_log_filter").control("set_log_filter"),
        integer("max_per_minute", 1).variable("OTEL_RUST_LOGS_MAX_PER_MINUTE").code("LogVolume::with_max_per_minute"),
        boolean("sampled_traces_only")
            .or("false")
            .variable("OTEL_RUST_LOGS_SAMPLED_TRACES_ONLY")
            .code("LogVolume::with_sampled_traces_only"),
        text("sampling_attribute").variable("OTEL_RUST_LOGS_SAMPLING_ATTRIBUTE").code("LogVolume::with_sampling_by"),
        Property::new("sampling_ratio", Kind::Number(0.0, 1.0))
            .variable("OTEL_RUST_LOGS_SAMPLING_RATIO")
            .code("LogVolume::with_sampling_by"),
    ],
);

static MAX_QUEUE_BYTES: Type = Type::new(
    "distribution.telemark.max_queue_bytes",
    &[
        integer("spans", 1)
            .or("67108864")
            .variable("OTEL_RUST_BSP_MAX_QUEUE_BYTES")
            .code("BatchConfig::with_max_queue_bytes"),
        integer("logs", 1)
            .or("67108864")
            .variable("OTEL_RUST_BLRP_MAX_QUEUE_BYTES")
            .code("BatchConfig::with_max_queue_bytes"),
    ],
);

/// All OTLP exporters, and those of one signal.
static OTLP: Type = Type::new(
    "distribution.telemark.otlp",
    &[
        text("headers_file")
            .variable("OTEL_RUST_EXPORTER_OTLP_HEADERS_FILE")
            .code("OtlpBuilder::with_headers_from_file"),
        text("headers_command")
            .variable("OTEL_RUST_EXPORTER_OTLP_HEADERS_COMMAND")
            .code("OtlpBuilder::with_headers_from_command"),
        milliseconds("headers_refresh", 0)
            .variable("OTEL_RUST_EXPORTER_OTLP_HEADERS_REFRESH")
            .code("OtlpBuilder::with_headers_refresh"),
        text("proxy").variable("OTEL_RUST_EXPORTER_OTLP_PROXY").code("OtlpBuilder::with_proxy"),
        object("traces", &OTLP_TRACES),
        object("logs", &OTLP_LOGS),
        object("metrics", &OTLP_METRICS),
    ],
);

static OTLP_TRACES: Type = Type::new(
    "distribution.telemark.otlp.traces",
    &[
        text("headers_file")
            .variable("OTEL_RUST_EXPORTER_OTLP_TRACES_HEADERS_FILE")
            .code("OtlpBuilder::with_headers_from_file"),
        text("headers_command")
            .variable("OTEL_RUST_EXPORTER_OTLP_TRACES_HEADERS_COMMAND")
            .code("OtlpBuilder::with_headers_from_command"),
    ],
);

static OTLP_LOGS: Type = Type::new(
    "distribution.telemark.otlp.logs",
    &[
        text("headers_file")
            .variable("OTEL_RUST_EXPORTER_OTLP_LOGS_HEADERS_FILE")
            .code("OtlpBuilder::with_headers_from_file"),
        text("headers_command")
            .variable("OTEL_RUST_EXPORTER_OTLP_LOGS_HEADERS_COMMAND")
            .code("OtlpBuilder::with_headers_from_command"),
    ],
);

static OTLP_METRICS: Type = Type::new(
    "distribution.telemark.otlp.metrics",
    &[
        text("headers_file")
            .variable("OTEL_RUST_EXPORTER_OTLP_METRICS_HEADERS_FILE")
            .code("OtlpBuilder::with_headers_from_file"),
        text("headers_command")
            .variable("OTEL_RUST_EXPORTER_OTLP_METRICS_HEADERS_COMMAND")
            .code("OtlpBuilder::with_headers_from_command"),
    ],
);

static LIMITS: Type = Type::new(
    "distribution.telemark.limits",
    &[
        integer("max_spans_per_trace", 1).code("ItemLimits::with_max_spans_per_trace"),
        integer("max_spans_per_second", 1).code("ItemLimits::with_max_spans_per_second"),
        integer("max_span_bytes", 4096).code("ItemLimits::with_max_span_bytes"),
        integer("max_log_record_bytes", 4096).code("ItemLimits::with_max_log_record_bytes"),
        milliseconds("series_expiry", 1).code("with_series_expiry"),
    ],
);

static VIEWER: Type = Type::new(
    "distribution.telemark.viewer",
    &[
        text("address").variable("OTEL_RUST_VIEWER_ADDRESS").code("ViewerBuilder::start"),
        text("max_memory").or("256MiB").variable("OTEL_RUST_VIEWER_MAX_MEMORY").code("Limits::with_bytes"),
        text("token").variable("OTEL_RUST_VIEWER_TOKEN").code("ViewerBuilder::with_token"),
        texts("allowed_origins").variable("OTEL_RUST_VIEWER_ALLOWED_ORIGINS").code("Receiver::with_allowed_origins"),
    ],
);

/// The names of presets.
const PRESETS: &[&str] = &["email", "payment_card", "social_security_number", "bearer_token", "password", "ip_address"];

static PRESET: Kind = Kind::OneOf(PRESETS);
static RULE: Kind = Kind::Object(&REDACTION_RULE);

static REDACTION: Type = Type::new(
    "distribution.telemark.redaction",
    &[
        list("presets", &PRESET).variable("OTEL_RUST_REDACTION").code("Redaction::with_preset"),
        list("rules", &RULE).code("Redaction::with_rule"),
        texts("exempt_keys").code("Redaction::with_exempt_keys"),
        text("hash_key").code("HashKey::new"),
    ],
);

static REDACTION_RULE: Type = Type::new(
    "distribution.telemark.redaction.rules",
    &[
        texts("keys").code("Rule::for_keys"),
        texts("values").code("Rule::for_values"),
        choice("preset", PRESETS).code("Rule::for_preset"),
        choice("action", &["replace", "delete", "mask", "hash"]).or("replace").code("Rule::with_action"),
        text("replacement"),
        integer("keep_last", 0).or("0"),
    ],
);
