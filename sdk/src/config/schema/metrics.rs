//! The types of `meter_provider`.

use super::common::{INCLUDE_EXCLUDE, METRIC_EXPORTERS};
use super::types::{EMPTY, Kind, Point, Property, Type, boolean, choice, integer, list, milliseconds, object, text};

pub(super) static METER_PROVIDER: Type = Type::new(
    "MeterProvider",
    &[
        list("readers", &Kind::Object(&METRIC_READER)).required(),
        list("views", &Kind::Object(&VIEW)).code("with_view"),
        choice("exemplar_filter", &["always_on", "always_off", "trace_based"])
            .or("trace_based")
            .counterpart("OTEL_METRICS_EXEMPLAR_FILTER")
            .code("with_exemplar_filter"),
        object("meter_configurator/development", &METER_CONFIGURATOR)
            .code("with_meter_config")
            .control("set_meter_config"),
        choice("view_matching_mode/development", &["independent"]).or("independent"),
    ],
);

static METRIC_READER: Type = Type::new(
    "MetricReader",
    &[
        object("periodic", &PERIODIC_READER).code("with_metric_periods, with_configured_metric_exporter"),
        object("pull", &PULL_READER).code("with_metric_reader"),
    ],
)
.at(Point::Fixed);

static PERIODIC_READER: Type = Type::new(
    "PeriodicMetricReader",
    &[
        milliseconds("interval", 0)
            .or("60000")
            .counterpart("OTEL_METRIC_EXPORT_INTERVAL")
            .code("PeriodicConfig::with_interval")
            .control("set_metric_interval"),
        milliseconds("timeout", 0)
            .or("30000")
            .counterpart("OTEL_METRIC_EXPORT_TIMEOUT")
            .code("PeriodicConfig::with_timeout"),
        integer("max_export_batch_size/development", 1)
            .counterpart("OTEL_RUST_METRIC_EXPORT_MAX_BATCH_SIZE")
            .code("PeriodicConfig::with_max_batch_size"),
        object("exporter", &PUSH_EXPORTER).required().counterpart("OTEL_METRICS_EXPORTER").code("with_metric_exporter"),
        list("producers", &Kind::Object(&PRODUCER)).refused(NO_PRODUCER),
        object("cardinality_limits", &CARDINALITY_LIMITS),
    ],
);

static PULL_READER: Type = Type::new(
    "PullMetricReader",
    &[
        object("exporter", &PULL_EXPORTER).required(),
        list("producers", &Kind::Object(&PRODUCER)).refused(NO_PRODUCER),
        object("cardinality_limits", &CARDINALITY_LIMITS),
    ],
);

static PUSH_EXPORTER: Type = Type::new("PushMetricExporter", METRIC_EXPORTERS).at(Point::PushMetricExporter);
static PULL_EXPORTER: Type =
    Type::new("PullMetricExporter", &[object("prometheus/development", &PROMETHEUS)]).at(Point::PullMetricExporter);

/// The only producer of the schema is deprecated.
const NO_PRODUCER: &str = "OpenCensus has no Rust library; code adds producers with ReaderConfig::with_producer";

static PRODUCER: Type =
    Type::new("MetricProducer", &[object("opencensus", &EMPTY).refused(NO_PRODUCER)]).at(Point::Fixed);

static PROMETHEUS: Type = Type::new(
    "ExperimentalPrometheusMetricExporter",
    &[
        text("host").or("localhost").counterpart("OTEL_EXPORTER_PROMETHEUS_HOST").code("ServerBuilder::with_host"),
        Property::new("port", Kind::Integer(0, 65535))
            .or("9464")
            .counterpart("OTEL_EXPORTER_PROMETHEUS_PORT")
            .code("ServerBuilder::with_port"),
        boolean("scope_info_enabled").or("true").code("Renderer::without_scope_labels"),
        boolean("target_info_enabled/development").or("true").code("Renderer::without_target_info"),
        object("resource_constant_labels", &INCLUDE_EXCLUDE).code("Renderer::with_resource_labels"),
        choice(
            "translation_strategy",
            &[
                "underscore_escaping_with_suffixes",
                "underscore_escaping_without_suffixes/development",
                "no_utf8_escaping_with_suffixes/development",
                "no_translation/development",
            ],
        )
        .or("underscore_escaping_with_suffixes")
        .code("Renderer::with_translation"),
    ],
);

static CARDINALITY_LIMITS: Type = Type::new(
    "CardinalityLimits",
    &[
        integer("default", 1).or("2000").code("ReaderConfig::with_cardinality_limit"),
        integer("counter", 1),
        integer("gauge", 1),
        integer("histogram", 1),
        integer("observable_counter", 1),
        integer("observable_gauge", 1),
        integer("observable_up_down_counter", 1),
        integer("up_down_counter", 1),
    ],
);

static VIEW: Type =
    Type::new("View", &[object("selector", &VIEW_SELECTOR).required(), object("stream", &VIEW_STREAM).required()]);

static VIEW_SELECTOR: Type = Type::new(
    "ViewSelector",
    &[
        text("instrument_name").code("View::of"),
        choice(
            "instrument_type",
            &[
                "counter",
                "gauge",
                "histogram",
                "observable_counter",
                "observable_gauge",
                "observable_up_down_counter",
                "up_down_counter",
            ],
        )
        .code("View::of_kind"),
        text("unit").code("View::of_unit"),
        text("meter_name").code("View::of_meter"),
        text("meter_version").code("View::of_meter_version"),
        text("meter_schema_url").code("View::of_meter_schema_url"),
    ],
);

static VIEW_STREAM: Type = Type::new(
    "ViewStream",
    &[
        text("name").code("View::with_name"),
        text("description").code("View::with_description"),
        object("aggregation", &AGGREGATION).or("default").code("View::with_aggregation"),
        integer("aggregation_cardinality_limit", 1).code("View::with_cardinality_limit"),
        object("attribute_keys", &INCLUDE_EXCLUDE).code("View::with_attribute_patterns"),
    ],
);

static AGGREGATION: Type = Type::new(
    "Aggregation",
    &[
        object("default", &EMPTY).code("Aggregation::Default"),
        object("drop", &EMPTY).code("Aggregation::Drop"),
        object("explicit_bucket_histogram", &EXPLICIT_BUCKETS).code("Aggregation::explicit_buckets"),
        object("base2_exponential_bucket_histogram", &EXPONENTIAL).code("Aggregation::exponential"),
        object("last_value", &EMPTY).code("Aggregation::LastValue"),
        object("sum", &EMPTY).code("Aggregation::Sum"),
    ],
)
.at(Point::Fixed);

static EXPLICIT_BUCKETS: Type = Type::new(
    "ExplicitBucketHistogramAggregation",
    &[
        Property::new("boundaries", Kind::List(&Kind::Number(f64::MIN, f64::MAX), 0))
            .or("[0, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10000]"),
        boolean("record_min_max").or("true"),
    ],
);

static EXPONENTIAL: Type = Type::new(
    "Base2ExponentialBucketHistogramAggregation",
    &[
        Property::new("max_scale", Kind::Integer(-10, 20)).or("20"),
        Property::new("max_size", Kind::Integer(2, u32::MAX as i64)).or("160"),
        boolean("record_min_max").or("true"),
    ],
);

static METER_CONFIGURATOR: Type = Type::new(
    "ExperimentalMeterConfigurator",
    &[
        object("default_config", &METER_CONFIG).code("Configurator::new"),
        list("meters", &Kind::Object(&METER_MATCHER)).code("Configurator::with_scopes"),
    ],
);
static METER_MATCHER: Type = Type::new(
    "ExperimentalMeterMatcherAndConfig",
    &[text("name").required(), object("config", &METER_CONFIG).required()],
);
static METER_CONFIG: Type =
    Type::new("ExperimentalMeterConfig", &[boolean("enabled").or("true").code("MeterConfig::with_enabled")]);
