//! The types of `logger_provider`.

use super::common::{COUNT, DEPTH, EXPORTERS, LENGTH, SEVERITIES};
use super::types::{EMPTY, Kind, Point, Type, boolean, choice, integer, list, milliseconds, object, text};

pub(super) static LOGGER_PROVIDER: Type = Type::new(
    "LoggerProvider",
    &[
        list("processors", &Kind::Object(&LOG_RECORD_PROCESSOR)).required(),
        object("limits", &LOG_RECORD_LIMITS).code("with_log_limits"),
        object("logger_configurator/development", &LOGGER_CONFIGURATOR)
            .code("with_logger_config")
            .control("set_logger_config"),
    ],
);

static LOG_RECORD_PROCESSOR: Type = Type::new(
    "LogRecordProcessor",
    &[
        object("batch", &BATCH_LOG_RECORD_PROCESSOR).code("with_log_batch"),
        object("simple", &SIMPLE_LOG_RECORD_PROCESSOR).code("with_log_processor"),
        object("event_to_span_event_bridge/development", &EMPTY)
            .refused("no processor turns log records into span events"),
    ],
)
.at(Point::LogRecordProcessor);

static BATCH_LOG_RECORD_PROCESSOR: Type = Type::new(
    "BatchLogRecordProcessor",
    &[
        milliseconds("schedule_delay", 0)
            .or("1000")
            .counterpart("OTEL_BLRP_SCHEDULE_DELAY")
            .code("BatchConfig::with_schedule_delay")
            .control("set_log_batch_delay"),
        milliseconds("export_timeout", 0)
            .or("30000")
            .counterpart("OTEL_BLRP_EXPORT_TIMEOUT")
            .code("BatchConfig::with_export_timeout"),
        integer("max_queue_size", 1)
            .or("2048")
            .counterpart("OTEL_BLRP_MAX_QUEUE_SIZE")
            .code("BatchConfig::with_max_queue_size"),
        integer("max_export_batch_size", 1)
            .or("512")
            .counterpart("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE")
            .code("BatchConfig::with_max_batch_size"),
        object("exporter", &LOG_RECORD_EXPORTER).required().counterpart("OTEL_LOGS_EXPORTER").code("with_log_exporter"),
    ],
);

static SIMPLE_LOG_RECORD_PROCESSOR: Type = Type::new(
    "SimpleLogRecordProcessor",
    &[object("exporter", &LOG_RECORD_EXPORTER).required().code("with_log_exporter")],
);

static LOG_RECORD_EXPORTER: Type = Type::new("LogRecordExporter", EXPORTERS).at(Point::LogRecordExporter);

static LOG_RECORD_LIMITS: Type = Type::new(
    "LogRecordLimits",
    &[
        LENGTH.counterpart("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT").code("AttributeLimits::new"),
        DEPTH.code("LogRecordLimits::with_value_depth"),
        COUNT.counterpart("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT").code("AttributeLimits::new"),
    ],
);

static LOGGER_CONFIGURATOR: Type = Type::new(
    "ExperimentalLoggerConfigurator",
    &[
        object("default_config", &LOGGER_CONFIG).code("Configurator::new"),
        list("loggers", &Kind::Object(&LOGGER_MATCHER)).code("Configurator::with_scopes"),
    ],
);
static LOGGER_MATCHER: Type = Type::new(
    "ExperimentalLoggerMatcherAndConfig",
    &[text("name").required(), object("config", &LOGGER_CONFIG).required()],
);
static LOGGER_CONFIG: Type = Type::new(
    "ExperimentalLoggerConfig",
    &[
        boolean("enabled").or("true").code("LoggerConfig::with_enabled"),
        choice("minimum_severity", SEVERITIES).code("LoggerConfig::with_minimum_severity"),
        boolean("trace_based").or("false").code("LoggerConfig::with_trace_based"),
    ],
);
