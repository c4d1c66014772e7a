//! The types of `logger_provider`.

use super::common::{COUNT, DEPTH, EXPORTERS, LENGTH, SEVERITIES};
use super::types::{EMPTY, Kind, Point, Type, boolean, choice, integer, list, object, text};

pub(super) static LOGGER_PROVIDER: Type = Type::new(
    "LoggerProvider",
    &[
        list("processors", &Kind::Object(&LOG_RECORD_PROCESSOR)).required(),
        object("limits", &LOG_RECORD_LIMITS),
        object("logger_configurator/development", &LOGGER_CONFIGURATOR),
    ],
);

static LOG_RECORD_PROCESSOR: Type = Type::new(
    "LogRecordProcessor",
    &[
        object("batch", &BATCH_LOG_RECORD_PROCESSOR),
        object("simple", &SIMPLE_LOG_RECORD_PROCESSOR),
        object("event_to_span_event_bridge/development", &EMPTY)
            .refused("no processor turns log records into span events"),
    ],
)
.at(Point::LogRecordProcessor);

static BATCH_LOG_RECORD_PROCESSOR: Type = Type::new(
    "BatchLogRecordProcessor",
    &[
        integer("schedule_delay", 0).or("1000"),
        integer("export_timeout", 0).or("30000"),
        integer("max_queue_size", 1).or("2048"),
        integer("max_export_batch_size", 1).or("512"),
        object("exporter", &LOG_RECORD_EXPORTER).required(),
    ],
);

static SIMPLE_LOG_RECORD_PROCESSOR: Type =
    Type::new("SimpleLogRecordProcessor", &[object("exporter", &LOG_RECORD_EXPORTER).required()]);

static LOG_RECORD_EXPORTER: Type = Type::new("LogRecordExporter", EXPORTERS).at(Point::LogRecordExporter);

static LOG_RECORD_LIMITS: Type = Type::new("LogRecordLimits", &[LENGTH, DEPTH, COUNT]);

static LOGGER_CONFIGURATOR: Type = Type::new(
    "ExperimentalLoggerConfigurator",
    &[object("default_config", &LOGGER_CONFIG), list("loggers", &Kind::Object(&LOGGER_MATCHER))],
);
static LOGGER_MATCHER: Type = Type::new(
    "ExperimentalLoggerMatcherAndConfig",
    &[text("name").required(), object("config", &LOGGER_CONFIG).required()],
);
static LOGGER_CONFIG: Type = Type::new(
    "ExperimentalLoggerConfig",
    &[boolean("enabled").or("true"), choice("minimum_severity", SEVERITIES), boolean("trace_based").or("false")],
);
