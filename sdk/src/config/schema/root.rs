//! The root of the configuration, and the settings of this distribution.

use super::common::{ATTRIBUTE_LIMITS, SEVERITIES};
use super::instrumentation::INSTRUMENTATION;
use super::logs::LOGGER_PROVIDER;
use super::metrics::METER_PROVIDER;
use super::resource::{PROPAGATOR, RESOURCE};
use super::traces::TRACER_PROVIDER;
use super::types::{Kind, Property, Type, boolean, choice, integer, object, text, texts};

/// The version of the schema: its major and its minor part.
pub const FILE_FORMAT: (u32, u32) = (1, 2);

pub(super) static ROOT: Type = Type::new(
    "the configuration",
    &[
        text("file_format").required(),
        boolean("disabled").or("false"),
        choice("log_level", SEVERITIES).or("info"),
        object("attribute_limits", &ATTRIBUTE_LIMITS),
        object("resource", &RESOURCE),
        object("propagator", &PROPAGATOR),
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
        text("spans").variable("OTEL_RUST_SPANS"),
        object("logs", &LOGS),
        object("max_queue_bytes", &MAX_QUEUE_BYTES),
        texts("baggage_attributes").variable("OTEL_RUST_BAGGAGE_ATTRIBUTES"),
        choice("exception_signal", &["logs", "logs/dup"]).variable("OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN"),
        boolean("termination_handler_disabled").or("false").variable("OTEL_RUST_TERMINATION_HANDLER_DISABLED"),
        boolean("panics").or("false").variable("OTEL_RUST_PANICS"),
        boolean("self_metrics").or("false").variable("OTEL_RUST_SELF_METRICS"),
        choice("log_format", &["json", "json_flat", "ecs", "text"]).variable("OTEL_RUST_LOG_FORMAT"),
        object("viewer", &VIEWER),
        texts("code").elsewhere(),
    ],
);

static LOGS: Type = Type::new(
    "distribution.telemark.logs",
    &[
        text("filter").variable("OTEL_RUST_LOGS"),
        integer("max_per_minute", 1).variable("OTEL_RUST_LOGS_MAX_PER_MINUTE"),
        boolean("sampled_traces_only").or("false").variable("OTEL_RUST_LOGS_SAMPLED_TRACES_ONLY"),
        text("sampling_attribute").variable("OTEL_RUST_LOGS_SAMPLING_ATTRIBUTE"),
        Property::new("sampling_ratio", Kind::Number(0.0, 1.0)).variable("OTEL_RUST_LOGS_SAMPLING_RATIO"),
    ],
);

static MAX_QUEUE_BYTES: Type = Type::new(
    "distribution.telemark.max_queue_bytes",
    &[
        integer("spans", 1).or("67108864").variable("OTEL_RUST_BSP_MAX_QUEUE_BYTES"),
        integer("logs", 1).or("67108864").variable("OTEL_RUST_BLRP_MAX_QUEUE_BYTES"),
    ],
);

static VIEWER: Type = Type::new(
    "distribution.telemark.viewer",
    &[
        text("address").variable("OTEL_RUST_VIEWER_ADDRESS"),
        text("max_memory").or("256MiB").variable("OTEL_RUST_VIEWER_MAX_MEMORY"),
        text("token").variable("OTEL_RUST_VIEWER_TOKEN"),
        texts("allowed_origins").variable("OTEL_RUST_VIEWER_ALLOWED_ORIGINS"),
    ],
);
