//! The types of `tracer_provider`.

use super::common::{COUNT, DEPTH, EXPORTERS, LENGTH};
use super::types::{EMPTY, Kind, Point, Property, Type, boolean, integer, list, object, text, texts};

pub(super) static TRACER_PROVIDER: Type = Type::new(
    "TracerProvider",
    &[
        list("processors", &Kind::Object(&SPAN_PROCESSOR)).required(),
        object("limits", &SPAN_LIMITS),
        object("sampler", &SAMPLER).or("parent_based"),
        object("id_generator", &ID_GENERATOR).or("random"),
        object("tracer_configurator/development", &TRACER_CONFIGURATOR),
    ],
);

static SPAN_PROCESSOR: Type =
    Type::new("SpanProcessor", &[object("batch", &BATCH_SPAN_PROCESSOR), object("simple", &SIMPLE_SPAN_PROCESSOR)])
        .at(Point::SpanProcessor);

static BATCH_SPAN_PROCESSOR: Type = Type::new(
    "BatchSpanProcessor",
    &[
        integer("schedule_delay", 0).or("5000"),
        integer("export_timeout", 0).or("30000"),
        integer("max_queue_size", 1).or("2048"),
        integer("max_export_batch_size", 1).or("512"),
        object("exporter", &SPAN_EXPORTER).required(),
    ],
);

static SIMPLE_SPAN_PROCESSOR: Type = Type::new("SimpleSpanProcessor", &[object("exporter", &SPAN_EXPORTER).required()]);

static SPAN_EXPORTER: Type = Type::new("SpanExporter", EXPORTERS).at(Point::SpanExporter);

static SPAN_LIMITS: Type = Type::new(
    "SpanLimits",
    &[
        LENGTH,
        DEPTH.without_effect("attributes of spans have no nested values"),
        COUNT,
        integer("event_count_limit", 0).or("128"),
        integer("link_count_limit", 0).or("128"),
        integer("event_attribute_count_limit", 0).or("128"),
        integer("link_attribute_count_limit", 0).or("128"),
    ],
);

static ID_GENERATOR: Type = Type::new("IdGenerator", &[object("random", &EMPTY)]).at(Point::Fixed);

const NOT_YET: &str = "this version has no samplers that compose";

static SAMPLER: Type = Type::new(
    "Sampler",
    &[
        object("always_off", &EMPTY),
        object("always_on", &EMPTY),
        object("always_record", &ALWAYS_RECORD),
        object("composite/development", &COMPOSABLE_SAMPLER).refused(NOT_YET),
        object("jaeger_remote/development", &JAEGER_REMOTE).refused("no sampler asks a Jaeger agent"),
        object("parent_based", &PARENT_BASED),
        object("probability/development", &RATIO_PROBABILITY)
            .refused("this version has no consistent probability sampler; use trace_id_ratio_based"),
        object("trace_id_ratio_based", &RATIO_TRACE_ID),
    ],
)
.at(Point::Sampler);

static ALWAYS_RECORD: Type = Type::new("AlwaysRecordSampler", &[object("root", &SAMPLER).required()]);

static JAEGER_REMOTE: Type = Type::new(
    "ExperimentalJaegerRemoteSampler",
    &[text("endpoint").required(), integer("interval", 0).or("60000"), object("initial_sampler", &SAMPLER).required()],
);

static PARENT_BASED: Type = Type::new(
    "ParentBasedSampler",
    &[
        object("root", &SAMPLER).or("always_on"),
        object("remote_parent_sampled", &SAMPLER).or("always_on"),
        object("remote_parent_not_sampled", &SAMPLER).or("always_off"),
        object("local_parent_sampled", &SAMPLER).or("always_on"),
        object("local_parent_not_sampled", &SAMPLER).or("always_off"),
    ],
);

const RATIO: Property = Property::new("ratio", Kind::Number(0.0, 1.0)).or("1.0");
static RATIO_TRACE_ID: Type = Type::new("TraceIdRatioBasedSampler", &[RATIO]);
static RATIO_PROBABILITY: Type = Type::new("ExperimentalProbabilitySampler", &[RATIO]);

static COMPOSABLE_SAMPLER: Type = Type::new(
    "ExperimentalComposableSampler",
    &[
        object("always_off", &EMPTY),
        object("always_on", &EMPTY),
        object("parent_threshold", &PARENT_THRESHOLD),
        object("probability", &COMPOSABLE_PROBABILITY),
        object("rule_based", &RULE_BASED),
    ],
)
.at(Point::Fixed);

static PARENT_THRESHOLD: Type =
    Type::new("ExperimentalComposableParentThresholdSampler", &[object("root", &COMPOSABLE_SAMPLER).required()]);
static COMPOSABLE_PROBABILITY: Type = Type::new("ExperimentalComposableProbabilitySampler", &[RATIO]);
static RULE_BASED: Type = Type::new("ExperimentalComposableRuleBasedSampler", &[list("rules", &Kind::Object(&RULE))]);

static RULE: Type = Type::new(
    "ExperimentalComposableRuleBasedSamplerRule",
    &[
        object("attribute_values", &RULE_VALUES),
        object("attribute_patterns", &RULE_PATTERNS),
        list("span_kinds", &Kind::OneOf(&["internal", "server", "client", "producer", "consumer"])),
        list("parent", &Kind::OneOf(&["none", "remote", "local"])),
        object("sampler", &COMPOSABLE_SAMPLER).required(),
    ],
);
static RULE_VALUES: Type = Type::new(
    "ExperimentalComposableRuleBasedSamplerRuleAttributeValues",
    &[text("key").required(), texts("values").required()],
);
static RULE_PATTERNS: Type = Type::new(
    "ExperimentalComposableRuleBasedSamplerRuleAttributePatterns",
    &[text("key").required(), texts("included"), texts("excluded")],
);

static TRACER_CONFIGURATOR: Type = Type::new(
    "ExperimentalTracerConfigurator",
    &[object("default_config", &TRACER_CONFIG), list("tracers", &Kind::Object(&TRACER_MATCHER))],
);
static TRACER_MATCHER: Type = Type::new(
    "ExperimentalTracerMatcherAndConfig",
    &[text("name").required(), object("config", &TRACER_CONFIG).required()],
);
static TRACER_CONFIG: Type = Type::new("ExperimentalTracerConfig", &[boolean("enabled").or("true")]);
