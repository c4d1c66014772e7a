//! The types of `tracer_provider`, and those of tail sampling.

use super::common::{COUNT, DEPTH, EXPORTERS, LENGTH};
use super::resource::ATTRIBUTE;
use super::types::{EMPTY, Kind, Point, Property, Type, boolean, integer, list, milliseconds, object, text, texts};

pub(super) static TRACER_PROVIDER: Type = Type::new(
    "TracerProvider",
    &[
        list("processors", &Kind::Object(&SPAN_PROCESSOR)).required(),
        object("limits", &SPAN_LIMITS).code("with_span_limits"),
        object("sampler", &SAMPLER)
            .or("parent_based")
            .counterpart("OTEL_TRACES_SAMPLER")
            .code("with_sampler")
            .control("set_sampler"),
        object("id_generator", &ID_GENERATOR).or("random").code("with_id_generator"),
        object("tracer_configurator/development", &TRACER_CONFIGURATOR)
            .code("with_tracer_config")
            .control("set_tracer_config"),
    ],
);

static SPAN_PROCESSOR: Type = Type::new(
    "SpanProcessor",
    &[
        object("batch", &BATCH_SPAN_PROCESSOR).code("with_span_batch"),
        object("simple", &SIMPLE_SPAN_PROCESSOR).code("with_span_processor"),
    ],
)
.at(Point::SpanProcessor);

static BATCH_SPAN_PROCESSOR: Type = Type::new(
    "BatchSpanProcessor",
    &[
        milliseconds("schedule_delay", 0)
            .or("5000")
            .counterpart("OTEL_BSP_SCHEDULE_DELAY")
            .code("BatchConfig::with_schedule_delay")
            .control("set_span_batch_delay"),
        milliseconds("export_timeout", 0)
            .or("30000")
            .counterpart("OTEL_BSP_EXPORT_TIMEOUT")
            .code("BatchConfig::with_export_timeout"),
        integer("max_queue_size", 1)
            .or("2048")
            .counterpart("OTEL_BSP_MAX_QUEUE_SIZE")
            .code("BatchConfig::with_max_queue_size"),
        integer("max_export_batch_size", 1)
            .or("512")
            .counterpart("OTEL_BSP_MAX_EXPORT_BATCH_SIZE")
            .code("BatchConfig::with_max_batch_size"),
        object("exporter", &SPAN_EXPORTER).required().counterpart("OTEL_TRACES_EXPORTER").code("with_span_exporter"),
    ],
);

static SIMPLE_SPAN_PROCESSOR: Type =
    Type::new("SimpleSpanProcessor", &[object("exporter", &SPAN_EXPORTER).required().code("with_span_exporter")]);

static SPAN_EXPORTER: Type = Type::new("SpanExporter", EXPORTERS).at(Point::SpanExporter);

static SPAN_LIMITS: Type = Type::new(
    "SpanLimits",
    &[
        LENGTH.counterpart("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT").code("AttributeLimits::new"),
        DEPTH.without_effect("attributes of spans have no nested values"),
        COUNT.counterpart("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT").code("AttributeLimits::new"),
        integer("event_count_limit", 0).or("128").counterpart("OTEL_SPAN_EVENT_COUNT_LIMIT").code("SpanLimits::events"),
        integer("link_count_limit", 0).or("128").counterpart("OTEL_SPAN_LINK_COUNT_LIMIT").code("SpanLimits::links"),
        integer("event_attribute_count_limit", 0)
            .or("128")
            .counterpart("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT")
            .code("SpanLimits::attributes_per_event"),
        integer("link_attribute_count_limit", 0)
            .or("128")
            .counterpart("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT")
            .code("SpanLimits::attributes_per_link"),
    ],
);

static ID_GENERATOR: Type = Type::new("IdGenerator", &[object("random", &EMPTY)]).at(Point::Fixed);

static SAMPLER: Type = Type::new(
    "Sampler",
    &[
        object("adaptive", &ADAPTIVE),
        object("always_off", &EMPTY),
        object("always_on", &EMPTY),
        object("always_record", &ALWAYS_RECORD),
        object("composite/development", &COMPOSABLE_SAMPLER).code("Composite::new"),
        object("jaeger_remote/development", &JAEGER_REMOTE).refused("no sampler asks a Jaeger agent"),
        object("parent_based", &PARENT_BASED),
        object("probability/development", &RATIO_PROBABILITY),
        object("rate_limiting", &RATE_LIMITING),
        object("trace_id_ratio_based", &RATIO_TRACE_ID),
    ],
)
.at(Point::Sampler);

static ALWAYS_RECORD: Type = Type::new("AlwaysRecordSampler", &[object("root", &SAMPLER).required()]);

static JAEGER_REMOTE: Type = Type::new(
    "ExperimentalJaegerRemoteSampler",
    &[
        text("endpoint").required(),
        milliseconds("interval", 0).or("60000"),
        object("initial_sampler", &SAMPLER).required(),
    ],
);

static PARENT_BASED: Type = Type::new(
    "ParentBasedSampler",
    &[
        object("root", &SAMPLER).or("always_on").code("ParentBased::new"),
        object("remote_parent_sampled", &SAMPLER).or("always_on").code("ParentBased::with_remote_parent_sampled"),
        object("remote_parent_not_sampled", &SAMPLER)
            .or("always_off")
            .code("ParentBased::with_remote_parent_not_sampled"),
        object("local_parent_sampled", &SAMPLER).or("always_on").code("ParentBased::with_local_parent_sampled"),
        object("local_parent_not_sampled", &SAMPLER)
            .or("always_off")
            .code("ParentBased::with_local_parent_not_sampled"),
    ],
);

const RATIO: Property = Property::new("ratio", Kind::Number(0.0, 1.0)).or("1.0");
static RATIO_TRACE_ID: Type =
    Type::new("TraceIdRatioBasedSampler", &[RATIO.counterpart("OTEL_TRACES_SAMPLER_ARG").code("TraceIdRatio::new")]);
static RATIO_PROBABILITY: Type = Type::new("ExperimentalProbabilitySampler", &[RATIO.code("Probability::new")]);

const TRACES_PER_SECOND: Property = Property::new("traces_per_second", Kind::Number(0.0, f64::MAX)).required();
static RATE_LIMITING: Type = Type::new("RateLimiting", &[TRACES_PER_SECOND.code("RateLimiting::new")]);
static ADAPTIVE: Type = Type::new("Adaptive", &[TRACES_PER_SECOND.code("Adaptive::new")]);

/// `adaptive`, `annotating` and `rate_limiting` are not part of the standard schema.
static COMPOSABLE_SAMPLER: Type = Type::new(
    "ExperimentalComposableSampler",
    &[
        object("adaptive", &ADAPTIVE),
        object("always_off", &EMPTY),
        object("always_on", &EMPTY),
        object("annotating", &ANNOTATING),
        object("parent_threshold", &PARENT_THRESHOLD),
        object("probability", &COMPOSABLE_PROBABILITY),
        object("rate_limiting", &RATE_LIMITING),
        object("rule_based", &RULE_BASED),
    ],
)
.at(Point::Fixed);

static ANNOTATING: Type = Type::new(
    "Annotating",
    &[
        list("attributes", &Kind::Object(&ATTRIBUTE)).required().code("Annotating::new"),
        object("sampler", &COMPOSABLE_SAMPLER).required().code("Annotating::new"),
    ],
);

static PARENT_THRESHOLD: Type = Type::new(
    "ExperimentalComposableParentThresholdSampler",
    &[object("root", &COMPOSABLE_SAMPLER).required().code("ParentThreshold::new")],
);
static COMPOSABLE_PROBABILITY: Type =
    Type::new("ExperimentalComposableProbabilitySampler", &[RATIO.code("Probability::new")]);
static RULE_BASED: Type = Type::new(
    "ExperimentalComposableRuleBasedSampler",
    &[list("rules", &Kind::Object(&RULE)).code("RuleBased::with_rule")],
);

static RULE: Type = Type::new(
    "ExperimentalComposableRuleBasedSamplerRule",
    &[
        object("attribute_values", &RULE_VALUES).code("Rule::with_attribute_values"),
        object("attribute_patterns", &RULE_PATTERNS).code("Rule::with_attribute_patterns"),
        list("span_kinds", &Kind::OneOf(&["internal", "server", "client", "producer", "consumer"]))
            .code("Rule::with_kinds"),
        list("parent", &Kind::OneOf(&["none", "remote", "local"])).code("Rule::with_parents"),
        // Not part of the standard schema.
        texts("span_names").code("Rule::with_span_names"),
        object("sampler", &COMPOSABLE_SAMPLER).required().code("Rule::new"),
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
    &[
        object("default_config", &TRACER_CONFIG).code("Configurator::new"),
        list("tracers", &Kind::Object(&TRACER_MATCHER)).code("Configurator::with_scopes"),
    ],
);
static TRACER_MATCHER: Type = Type::new(
    "ExperimentalTracerMatcherAndConfig",
    &[text("name").required(), object("config", &TRACER_CONFIG).required()],
);
static TRACER_CONFIG: Type =
    Type::new("ExperimentalTracerConfig", &[boolean("enabled").or("true").code("TracerConfig::with_enabled")]);

pub(super) static TAIL_SAMPLING: Type = Type::new(
    "distribution.telemark.tail_sampling",
    &[
        list("policies", &Kind::Object(&TAIL_POLICY)).required().code("TailSampling::keep"),
        list("budgets", &Kind::Object(&TAIL_BUDGET)).code("Budget::per_second"),
        integer("max_traces", 1).or("50000").code("TailSampling::with_max_traces"),
        integer("max_spans", 1).or("500000").code("TailSampling::with_max_spans"),
        integer("max_bytes", 1).or("100663296").code("TailSampling::with_max_bytes"),
        milliseconds("deadline", 0).or("30000").code("TailSampling::with_deadline"),
        milliseconds("grace", 0).or("100").code("TailSampling::with_grace"),
        boolean("hold_logs").or("false").code("TailSampling::with_logs_held"),
        boolean("tell_errors").or("false").code("TailSampling::with_errors_told"),
    ],
);

static TAIL_BUDGET: Type =
    Type::new("TailSamplingBudget", &[text("name").required(), number("traces_per_second").required()]);

static TAIL_POLICY: Type = Type::new(
    "TailSamplingPolicy",
    &[
        object("always", &TAIL_PLAIN).code("Policy::always"),
        object("all", &TAIL_ALL).code("Policy::all"),
        object("attribute", &TAIL_VALUES).code("Policy::attribute"),
        object("baggage", &TAIL_VALUES).code("Policy::baggage"),
        object("errors", &TAIL_PLAIN).code("Policy::errors"),
        object("head_sampled", &TAIL_PLAIN).code("Policy::head_sampled"),
        object("more_spans_than", &TAIL_SPANS).code("Policy::more_spans_than"),
        object("not", &TAIL_NOT).code("Policy::not"),
        object("per_second", &TAIL_RATE).code("Policy::per_second"),
        object("probability", &TAIL_PROBABILITY).code("Policy::probability"),
        object("root_name", &TAIL_NAMES).code("Policy::root_name"),
        object("slower_than", &TAIL_SLOWER).code("Policy::slower_than"),
        object("slowest", &TAIL_SLOWEST).code("Policy::slowest"),
    ],
)
.at(Point::Fixed);

/// The name of a policy, and the budget within which it keeps traces.
const NAME: Property = text("name").code("Policy::named");
const BUDGET: Property = text("budget").code("Policy::within");

const fn number(name: &'static str) -> Property {
    Property::new(name, Kind::Number(0.0, f64::MAX))
}

static TAIL_PLAIN: Type = Type::new("TailSamplingPlain", &[NAME, BUDGET]);
static TAIL_ALL: Type =
    Type::new("TailSamplingAll", &[list("policies", &Kind::Object(&TAIL_POLICY)).required(), NAME, BUDGET]);
static TAIL_NOT: Type = Type::new("TailSamplingNot", &[object("policy", &TAIL_POLICY).required(), NAME, BUDGET]);
static TAIL_VALUES: Type = Type::new("TailSamplingValues", &[text("key").required(), texts("values"), NAME, BUDGET]);
static TAIL_NAMES: Type = Type::new("TailSamplingNames", &[texts("patterns").required(), NAME, BUDGET]);
static TAIL_SPANS: Type = Type::new("TailSamplingSpans", &[integer("spans", 0).required(), NAME, BUDGET]);
static TAIL_SLOWER: Type = Type::new("TailSamplingSlower", &[milliseconds("duration", 0).required(), NAME, BUDGET]);
static TAIL_SLOWEST: Type =
    Type::new("TailSamplingSlowest", &[Property::new("quantile", Kind::Number(0.0, 1.0)).required(), NAME, BUDGET]);
static TAIL_PROBABILITY: Type = Type::new(
    "TailSamplingProbability",
    &[Property::new("ratio", Kind::Number(f64::MIN_POSITIVE, 1.0)).required(), NAME, BUDGET],
);
static TAIL_RATE: Type = Type::new("TailSamplingRate", &[number("traces").required(), NAME]);
