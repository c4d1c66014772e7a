//! What a file has for an effect, and that the file of the variables has theirs.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use opentelemetry::trace::{SpanKind, TraceId, Tracer};
use opentelemetry::{Context, KeyValue};
use proptest::prelude::*;

use super::super::model::Model;
use super::super::pipeline::Processing;
use super::super::{Components, Factory, Pipeline, Telemetry, TelemetryBuilder};
use crate::config::tree::Printed;
use crate::config::{Data, Env, Item, Settings, Tree, VARIABLES, schema};
use crate::error::ConfigError;
use crate::logs::LogVolume;
use crate::metrics::{PullReader, View};
use crate::runtime::Runtime;
use crate::sampling::{AlwaysOff, Sampler, SamplingRequest};
use crate::signal::{Logs, Metrics, Traces};
use crate::stages::limits::ItemLimits;
use crate::testing::InMemoryExporter;
use crate::trace::SpanProcessor;

static COMPONENTS: Components = Components::NONE
    .with_span_exporters(&[
        Factory::new("otlp", |_| Ok(Pipeline::new(InMemoryExporter::new()))).only_for_variables(),
        Factory::new("otlp_http", |_| Ok(Pipeline::new(InMemoryExporter::new()))).only_for_files(),
        Factory::new("otlp_grpc", |_| Ok(Pipeline::new(InMemoryExporter::new()))).only_for_files(),
        Factory::new("console", |_| Ok(Pipeline::new(InMemoryExporter::new()))),
    ])
    .with_log_exporters(&[
        Factory::new("otlp", |_| Ok(Pipeline::new(InMemoryExporter::new()))).only_for_variables(),
        Factory::new("otlp_http", |_| Ok(Pipeline::new(InMemoryExporter::new()))).only_for_files(),
        Factory::new("otlp_grpc", |_| Ok(Pipeline::new(InMemoryExporter::new()))).only_for_files(),
        Factory::new("console", |_| Ok(Pipeline::new(InMemoryExporter::new()))),
    ])
    .with_metric_exporters(&[
        Factory::new("otlp", |_| Ok(Pipeline::new(InMemoryExporter::new()))).only_for_variables(),
        Factory::new("otlp_http", |_| Ok(Pipeline::new(InMemoryExporter::new()))).only_for_files(),
        Factory::new("otlp_grpc", |_| Ok(Pipeline::new(InMemoryExporter::new()))).only_for_files(),
        Factory::new("prometheus", |_| Ok(Pipeline::reader(PullReader::default()))).only_for_variables(),
        Factory::new("prometheus/development", |_| Ok(Pipeline::reader(PullReader::default()))).only_for_files(),
    ])
    .with_config_files(Ok(|path: &Path, _: &Env| Err(ConfigError::state("read", path.display().to_string()))));

fn builder(variables: &[(&str, &str)]) -> TelemetryBuilder {
    let env = Env::from_pairs(variables.iter().copied());
    Telemetry::builder(env).with_components(&COMPONENTS).with_runtime(Runtime::Manual(Default::default()))
}

/// Parses a file in a small part of YAML: `key: value` with indented mappings, and `- ` for the entries of lists. Texts are in quotes.
fn tree(text: &str) -> Tree {
    fn block(lines: &mut std::iter::Peekable<std::vec::IntoIter<(usize, String)>>, indent: usize) -> Item {
        let (mut entries, mut items) = (Vec::new(), Vec::new());
        while let Some((at, line)) = lines.peek().cloned() {
            if at < indent {
                break;
            }
            lines.next();
            if let Some(rest) = line.strip_prefix("- ") {
                let mut inner = vec![(at + 2, rest.to_owned())];
                while let Some(next) = lines.next_if(|(next, _)| *next > at) {
                    inner.push(next);
                }
                items.push(block(&mut inner.into_iter().peekable(), at + 2));
                continue;
            }
            let (key, value) = line.split_once(':').unwrap_or((&line, ""));
            let item = match value.trim() {
                "" if lines.peek().is_some_and(|(next, _)| *next > at) => block(lines, at + 1),
                value => scalar(value),
            };
            entries.push((key.to_owned(), item));
        }
        if items.is_empty() { Item::mapping(entries) } else { Item::new(items) }
    }
    fn scalar(text: &str) -> Item {
        if let Some(list) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            return Item::new(list.split(", ").filter(|one| !one.is_empty()).map(scalar).collect::<Vec<_>>());
        }
        match text {
            "" => Item::new(Data::Null),
            "true" => Item::new(true),
            "false" => Item::new(false),
            text => match (text.parse::<i64>(), text.parse::<f64>()) {
                (Ok(number), _) => Item::new(number),
                (_, Ok(number)) => Item::new(number),
                _ => Item::new(text.trim_matches('"').trim_end_matches('"')),
            },
        }
    }
    let lines: Vec<_> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| (line.len() - line.trim_start().len(), line.trim_start().to_owned()))
        .collect();
    let root = block(&mut lines.into_iter().peekable(), 0);
    let format = ("file_format".to_owned(), Item::new("1.2"));
    Tree::new("file", Item::mapping([format].into_iter().chain(root.entries().iter().cloned())))
}

/// Describes everything that a builder would start, except for random ids.
fn outline(builder: TelemetryBuilder) -> Result<String, ConfigError> {
    let TelemetryBuilder { env, mut model, .. } = builder;
    match model.file.take() {
        Some(tree) => drop(model.complete_from_file(&tree, &env, &COMPONENTS, true)?),
        None => model.complete(&env, &COMPONENTS, true)?,
    }
    Ok(outline_of(model))
}

fn outline_of(model: Model) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &dyn std::fmt::Debug| _ = writeln!(text, "{name}: {value:?}");
    line("disabled", &model.is_disabled);
    let resource = model.resource.iter().filter(|one| one.key.as_str() != "service.instance.id");
    line("resource", &resource.map(|one| format!("{}={:?}", one.key, one.value)).collect::<Vec<_>>());
    line("schema_url", &model.resource.schema_url());
    line("propagator", &model.propagator.as_ref().map(|one| one.fields().map(str::to_owned).collect::<Vec<_>>()));
    line("program", &(model.self_metrics, model.records_panics, model.handles_termination));
    line("limits", &(model.limits, model.signals.metrics.provider.has_series_expiry()));
    if model.is_disabled == Some(true) {
        return text;
    }
    let traces = model.signals.traces;
    line(
        "spans",
        &(traces.is_off, traces.limits.unwrap_or_default(), traces.exceptions, traces.baggage, traces.filter),
    );
    let sampler = traces.sampler.unwrap_or_else(|| Box::new(crate::sampling::ParentBased::default()));
    line("sampler", &sampler.description());
    line("span processors", &traces.pipelines.outline());
    // Without an exporter, the other settings of the signal have no effect.
    let logs = model.signals.logs;
    let processors = logs.pipelines.outline();
    if !processors.is_empty() {
        line("logs", &(logs.limits.unwrap_or_default(), logs.volume, logs.baggage, logs.filter));
    }
    line("log processors", &processors);
    let metrics = model.signals.metrics;
    let readers = metrics.pipelines.outline();
    if !readers.is_empty() {
        line("metrics", &(metrics.exemplars.unwrap_or_default(), metrics.provider));
    }
    line("readers", &readers);
    text
}

#[track_caller]
fn check(file: &str, expected: &[&str]) {
    let text = outline(builder(&[]).with_config(tree(file))).unwrap();
    for part in expected {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}

#[track_caller]
fn check_error(file: &str, expected: &[&str]) {
    let error = outline(builder(&[]).with_config(tree(file))).unwrap_err().to_string();
    let found: Vec<_> = error.lines().skip(1).map(str::trim).collect();
    assert_eq!(found, expected, "{error}");
}

const BATCH: &str = "
tracer_provider:
  processors:
    - batch:
        exporter:
          console:
";

#[test]
fn an_absent_provider_or_propagator_means_none() {
    check("", &["propagator: Some([])", "spans: (true,", "span processors: []", "log processors: []", "readers: []"]);
    let telemetry = builder(&[]).with_config(tree("")).build().unwrap();
    assert!(!telemetry.tracer("test").enabled());
    let span = telemetry.tracer("test").span_builder("a").with_kind(SpanKind::Server).start(&telemetry.tracer("test"));
    assert!(!opentelemetry::trace::Span::span_context(&span).is_valid(), "no provider, no ids");
    check(&format!("{BATCH}  sampler:\n    always_on:\n"), &["spans: (false,", "sampler: \"AlwaysOnSampler\""]);
}

#[test]
fn the_processors_of_a_file_have_their_own_schedules() {
    let batch = "batch:\n        schedule_delay: 1\n        export_timeout: 0\n        max_queue_size: 100\n        max_export_batch_size: 200\n        exporter:\n          console:\n";
    let file = format!(
        "tracer_provider:\n  processors:\n    - {batch}    - simple:\n        exporter:\n          otlp_http:\n"
    );
    check(
        &file,
        &[
            "span processors: [\"BatchConfig { max_queue_size: 100, max_queue_bytes: 67108864, max_batch_size: 200, schedule_delay: 1ms, \
           export_timeout: 18446744073709551615.999999999s }\", \"simple\"]",
        ],
    );
    let logs = "logger_provider:\n  processors:\n    - batch:\n        exporter:\n          console:\ndistribution:\n  telemark:\n    max_queue_bytes:\n      logs: 5\n";
    check(
        logs,
        &[
            "log processors: [\"BatchConfig { max_queue_size: 2048, max_queue_bytes: 5, max_batch_size: 512, schedule_delay: 1s,",
        ],
    );
}

#[test]
fn limits_of_a_provider_win_over_those_for_all_signals() {
    let file = format!(
        "attribute_limits:\n  attribute_count_limit: 5\n  attribute_value_length_limit: 6\n  attribute_value_depth_limit: 7\n{BATCH}  \
         limits:\n    attribute_count_limit: 1\n    event_count_limit: 2\n    link_count_limit: 3\n    event_attribute_count_limit: 4\n\
         logger_provider:\n  processors:\n    - simple:\n        exporter:\n          console:\n"
    );
    check(
        &file,
        &[
            "SpanLimits { attributes: AttributeLimits { count: 1, value_length: Some(6) }, events: 2, links: 3, attributes_per_event: 4, \
             attributes_per_link: 128 }",
            "LogRecordLimits { attributes: AttributeLimits { count: 5, value_length: Some(6) }, value_depth: 7 }",
        ],
    );
}

#[test]
fn samplers() {
    let with = |sampler: &str| {
        let text = outline(builder(&[]).with_config(tree(&format!("{BATCH}  sampler:\n    {sampler}\n")))).unwrap();
        text.lines().find_map(|line| line.strip_prefix("sampler: ")).unwrap().to_owned()
    };
    let below = "remoteParentSampled:AlwaysOnSampler,remoteParentNotSampled:AlwaysOffSampler,localParentSampled:AlwaysOnSampler,\
                 localParentNotSampled:AlwaysOffSampler}";
    assert_eq!(with("always_off:"), "\"AlwaysOffSampler\"");
    assert_eq!(with("trace_id_ratio_based:\n      ratio: 0.25"), "\"TraceIdRatioBased{0.250000}\"");
    assert_eq!(with("trace_id_ratio_based:"), "\"TraceIdRatioBased{1.000000}\"");
    assert_eq!(with("parent_based:"), format!("\"ParentBased{{root:AlwaysOnSampler,{below}\""));
    assert_eq!(
        with(
            "parent_based:\n      root:\n        trace_id_ratio_based:\n          ratio: 0\n      local_parent_not_sampled:\n        always_on:"
        ),
        format!(
            "\"ParentBased{{root:TraceIdRatioBased{{0.000000}},{}\"",
            below.replace("localParentNotSampled:AlwaysOff", "localParentNotSampled:AlwaysOn")
        )
    );
    assert!(with("always_record:\n      root:\n        always_off:").contains("AlwaysOff"));
    assert_eq!(with("probability/development:"), "\"ProbabilitySampler{1.000000}\"");
    assert_eq!(with("probability/development:\n      ratio: 0.25"), "\"ProbabilitySampler{0.250000}\"");
    assert_eq!(
        with("rate_limiting:\n      traces_per_second: 100"),
        "\"CompositeSampler{ComposableParentThresholdSampler{RateLimiting{100/s}}}\""
    );
    assert_eq!(
        with("adaptive:\n      traces_per_second: 2.5"),
        "\"CompositeSampler{ComposableParentThresholdSampler{Adaptive{2.5/s per name}}}\""
    );
}

/// Every name of a composite sampler has its effect.
#[test]
fn composite_samplers() {
    let file = format!(
        "{BATCH}  sampler:
    composite/development:
      rule_based:
        rules:
          - span_names: [\"GET /health*\"]
            parent: [none, remote]
            sampler:
              always_off:
          - attribute_values:
              key: tenant
              values: [\"17\"]
            attribute_patterns:
              key: url.path
              included: [\"/a*\"]
              excluded: [\"*.css\"]
            span_kinds: [server, consumer]
            sampler:
              annotating:
                attributes:
                  - name: rule
                    value: tenants
                  - name: n
                    value: 3
                    type: int
                sampler:
                  always_on:
          - parent: [local]
            sampler:
              parent_threshold:
                root:
                  probability:
                    ratio: 0.5
          - attribute_patterns:
              key: limited
            sampler:
              rate_limiting:
                traces_per_second: 5
          - sampler:
              adaptive:
                traces_per_second: 7
"
    );
    let TelemetryBuilder { env, mut model, .. } = builder(&[]);
    model.complete_from_file(&tree(&file), &env, &COMPONENTS, true).unwrap();
    let sampler = model.signals.traces.sampler.unwrap();
    assert_eq!(
        sampler.description(),
        "CompositeSampler{ComposableRuleBasedSampler{span_names&parent:ComposableAlwaysOffSampler,\
         span_kinds&tenant&url.path:ComposableAnnotatingSampler{ComposableAlwaysOnSampler,attributes:[rule=tenants,n=3]},\
         parent:ComposableParentThresholdSampler{ComposableProbabilitySampler{0.500000}},limited:RateLimiting{5/s},\
         *:Adaptive{7/s per name}}}"
    );
    let context = Context::new();
    let check = |name: &str, kind: SpanKind, path: &'static str, expected: &str| {
        let attributes = [KeyValue::new("tenant", 17), KeyValue::new("url.path", path)];
        let request = SamplingRequest::new(&context, TraceId::from(1), name, &kind).with_attributes(&attributes);
        let result = sampler.sample(&request);
        let added: Vec<_> = result.attributes.iter().map(|a| format!(" {}={}", a.key, a.value)).collect();
        assert_eq!(format!("{:?}{}", result.decision, added.concat()), expected, "{name} {kind:?} {path}");
    };
    check("GET /healthz", SpanKind::Server, "/a", "Drop");
    check("GET /a", SpanKind::Server, "/a", "RecordAndSample rule=tenants n=3");
    check("GET /a", SpanKind::Consumer, "/a", "RecordAndSample rule=tenants n=3");
    check("GET /a", SpanKind::Client, "/a", "RecordAndSample");
    check("GET /a", SpanKind::Server, "/a.css", "RecordAndSample");
    assert!(sampler.wants_attributes() && !sampler.drops_below_unsampled_parents());
}

#[test]
fn resources() {
    let file = "
resource:
  attributes_list: \"service.name=listed,team=a%2Cb,team2=c\"
  schema_url: \"https://example.com/schema\"
  detection/development:
    attributes:
      included: [\"process.*\", \"service.*\"]
      excluded: [\"process.runtime.*\"]
    detectors:
      - host:
      - process:
      - service:
  attributes:
    - name: \"service.name\"
      value: \"shop\"
    - name: \"empty\"
      value:
    - name: \"flags\"
      value: [true, false]
      type: bool_array
    - name: \"ratio\"
      value: 1
      type: double
";
    let model = |variables: &[(&str, &str)], file: &str| {
        let TelemetryBuilder { env, mut model, .. } = builder(variables);
        model.complete_from_file(&tree(file), &env, &COMPONENTS, true).unwrap();
        model
    };
    let resource = model(&[("OTEL_SERVICE_NAME", "variable")], file).resource;
    let get = |key: &str| resource.get(key).map(ToString::to_string);
    assert_eq!(get("service.name").as_deref(), Some("shop"));
    assert_eq!(get("team").as_deref(), Some("a,b"));
    assert_eq!(
        (get("flags"), get("ratio"), get("empty")),
        (Some("[true,false]".to_owned()), Some("1".to_owned()), None)
    );
    assert!(get("process.pid").is_some() && get("service.instance.id").is_some());
    assert!(get("process.runtime.name").is_none() && get("host.arch").is_none());
    assert_eq!(resource.schema_url(), Some("https://example.com/schema"));
    let plain = model(&[("OTEL_SERVICE_NAME", "variable")], "").resource;
    let keys: Vec<_> = plain.iter().map(|one| one.key.as_str()).collect();
    assert_eq!(keys, ["service.name", "telemetry.sdk.language", "telemetry.sdk.name", "telemetry.sdk.version"]);
    assert!(plain.get("service.name").unwrap().as_str().starts_with("unknown_service:"));
    let detected = model(
        &[("OTEL_SERVICE_NAME", "variable")],
        "resource:\n  detection/development:\n    detectors:\n      - service:\n",
    );
    assert_eq!(detected.resource.get("service.name").unwrap().as_str(), "variable");
}

#[test]
fn propagators_of_both_lists_are_merged() {
    let file =
        "propagator:\n  composite:\n    - tracecontext:\n    - b3:\n  composite_list: \"b3, baggage,tracecontext\"\n";
    check(file, &["propagator: Some([\"traceparent\", \"tracestate\", \"b3\", \"baggage\"])"]);
    check_error(
        "propagator:\n  composite_list: \"xray\"\n",
        &[
            "propagator.composite_list: the propagator \"xray\" cannot be used: expected one of tracecontext, baggage, b3, b3multi, jaeger, ottrace",
        ],
    );
}

#[test]
fn readers_and_views() {
    let file = "
meter_provider:
  exemplar_filter: always_off
  readers:
    - periodic:
        interval: 5
        timeout: 6
        max_export_batch_size/development: 7
        exporter:
          otlp_http:
    - pull:
        exporter:
          prometheus/development:
  views:
    - selector:
        instrument_name: \"http.*\"
        instrument_type: histogram
        unit: \"s\"
        meter_name: \"m\"
        meter_version: \"v\"
        meter_schema_url: \"u\"
      stream:
        description: \"text\"
        aggregation_cardinality_limit: 9
        attribute_keys:
          included: [\"http.*\"]
          excluded: [\"http.request.*\"]
        aggregation:
          explicit_bucket_histogram:
            boundaries: [1, 2.5]
            record_min_max: false
    - selector:
        instrument_name: \"a\"
      stream:
        name: \"b\"
        aggregation:
          base2_exponential_bucket_histogram:
            max_scale: 3
            max_size: 4
";
    check(
        file,
        &[
            "readers: [\"PeriodicConfig { interval: 5ms, timeout: 6ms, max_batch_size: 7 }\", \"ready\"]",
            "metrics: (AlwaysOff,",
            "Selector { name: \"http.*\", kind: Some(Histogram), unit: Some(\"s\"), meter_name: Some(\"m\"), meter_version: Some(\"v\"), \
             meter_schema_url: Some(\"u\") }",
            "Matching(Patterns { included: Some([\"http.*\"]), excluded: [\"http.request.*\"] })",
            "ExplicitBucketHistogram { boundaries: [1.0, 2.5], record_min_max: false }",
            "limit: Some(9)",
            "Base2ExponentialHistogram { max_size: 4, max_scale: 3, record_min_max: true }",
        ],
    );
    let wildcard = "meter_provider:\n  readers:\n    - pull:\n        exporter:\n          prometheus/development:\n  views:\n    - selector:\n        instrument_name: \"a*\"\n      stream:\n        name: \"b\"\n";
    check_error(
        wildcard,
        &[
            "meter_provider.views[0].stream: cannot be used, because it gives one name to instruments with several names",
        ],
    );
}

#[test]
fn a_reader_has_the_cardinality_limits_of_the_file() {
    static LIMITS: std::sync::Mutex<String> = std::sync::Mutex::new(String::new());
    let factory = Factory::<Metrics>::new("limited", |node| {
        let reader = PullReader::new(node.reader_config());
        *LIMITS.lock().unwrap() = format!("{:?}", node.reader_config().limit);
        Ok(Pipeline::reader(reader))
    });
    let file = "meter_provider:\n  readers:\n    - pull:\n        exporter:\n          limited:\n        cardinality_limits:\n          default: 3\n          histogram: 9\n";
    outline(builder(&[]).with_metric_exporter_factory(factory).with_config(tree(file))).unwrap();
    assert_eq!(*LIMITS.lock().unwrap(), "PerKind([3, 3, 9, 3, 3, 3, 3])");
}

#[test]
fn loggers_are_configured_by_the_first_pattern_that_matches() {
    use opentelemetry::logs::{LogRecord, Logger, Severity};

    let file = "
logger_provider:
  processors:
    - simple:
        exporter:
          console:
  logger_configurator/development:
    default_config:
      enabled: false
    loggers:
      - name: \"app.noisy\"
        config:
          minimum_severity: error
      - name: \"app.*\"
        config:
          enabled: true
";
    let exporter = InMemoryExporter::<Logs>::new();
    let telemetry =
        builder(&[]).with_additional_log_exporter(exporter.clone()).with_config(tree(file)).build().unwrap();
    for name in ["app.noisy", "app.quiet", "other"] {
        let logger = telemetry.logger(name);
        for severity in [Severity::Warn, Severity::Error] {
            let mut record = logger.create_log_record();
            record.set_severity_number(severity);
            record.set_body(name.into());
            logger.emit(record);
        }
    }
    telemetry.force_flush(crate::time::Deadline::after(Duration::from_secs(10))).unwrap();
    let text = crate::testing::logs_text(&exporter.items());
    assert_eq!(text.matches("app.noisy").count(), 1, "{text}");
    assert_eq!((text.matches("app.quiet").count(), text.matches("other").count()), (2, 0), "{text}");
}

#[test]
fn tracers_and_meters_are_configured_by_the_first_pattern_that_matches() {
    let file = "
tracer_provider:
  processors:
    - simple:
        exporter:
          console:
  tracer_configurator/development:
    default_config:
      enabled: false
    tracers:
      - name: \"app.?\"
        config:
          enabled: true
meter_provider:
  readers:
    - pull:
        exporter:
          prometheus/development:
  meter_configurator/development:
    meters:
      - name: \"noisy*\"
        config:
          enabled: false
";
    let (spans, metrics) = (InMemoryExporter::<Traces>::new(), PullReader::default());
    let builder =
        builder(&[]).with_additional_span_exporter(spans.clone()).with_additional_metric_reader(metrics.clone());
    let telemetry = builder.with_config(tree(file)).build().unwrap();
    for name in ["app.a", "app.ab", "other"] {
        telemetry.tracer(name).in_span(name, |_| ());
    }
    for name in ["noisy.one", "quiet"] {
        telemetry.meter(name).u64_counter(name).build().add(1, &[]);
    }
    telemetry.force_flush(crate::time::Deadline::after(Duration::from_secs(10))).unwrap();
    assert_eq!(spans.items().iter().map(|span| span.name.as_ref()).collect::<Vec<_>>(), ["app.a"]);
    let text = crate::testing::metrics_text(&metrics.collect(crate::time::Deadline::NEVER).unwrap());
    assert!(text.contains("quiet") && !text.contains("noisy"), "{text}");
}

#[test]
fn disabled_records_nothing_and_keeps_the_resource_and_propagation() {
    let file = format!("disabled: true\npropagator:\n  composite:\n    - tracecontext:\n{BATCH}");
    check(&file, &["disabled: Some(true)", "propagator: Some([\"traceparent\", \"tracestate\"])"]);
}

#[test]
fn settings_of_this_distribution_have_the_effect_of_their_variables() {
    let file = "logger_provider:\n  processors:\n    - batch:\n        exporter:\n          otlp_http:\ndistribution:\n  telemark:\n    spans: \"warn\"\n    panics: true\n    self_metrics: true\n    termination_handler_disabled: true\n    \
                baggage_attributes: [\"user\", \"team*\"]\n    exception_signal: \"logs/dup\"\n    logs:\n      filter: \"error\"\n      max_per_minute: 5\n";
    let variables = [
        ("OTEL_RUST_SPANS", "warn"),
        ("OTEL_RUST_PANICS", "true"),
        ("OTEL_RUST_SELF_METRICS", "true"),
        ("OTEL_RUST_TERMINATION_HANDLER_DISABLED", "true"),
        ("OTEL_RUST_BAGGAGE_ATTRIBUTES", "user,team*"),
        ("OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN", "logs/dup"),
        ("OTEL_RUST_LOGS", "error"),
        ("OTEL_RUST_LOGS_MAX_PER_MINUTE", "5"),
    ];
    let lines = |text: &str| -> Vec<String> {
        let is_own = |line: &&str| ["program", "logs"].iter().any(|name| line.starts_with(&format!("{name}:")));
        text.lines().filter(is_own).map(str::to_owned).collect()
    };
    let of_file = outline(builder(&[]).with_config(tree(file))).unwrap();
    let of_variables = outline(builder(&variables)).unwrap();
    assert_eq!(lines(&of_file), lines(&of_variables));
    let tail = |text: &str| {
        text.lines().find(|line| line.starts_with("spans: ")).unwrap().split("}, Some").nth(1).map(str::to_owned)
    };
    assert_eq!(tail(&of_file), tail(&of_variables));
    check_error(
        "distribution:\n  telemark:\n    spans: \"app=loud\"\n",
        &[
            "distribution.telemark.spans: OTEL_RUST_SPANS=\"app=loud\" cannot be used: expected target=level, a target or a level: off, error, \
         warn, info, debug or trace",
        ],
    );
}

#[test]
fn limits_of_items_and_series_are_read_and_checked() {
    let file = "distribution:\n  telemark:\n    limits:\n      max_spans_per_trace: 7\n      max_spans_per_second: 8\n      \
                max_span_bytes: 5000\n      max_log_record_bytes: 6000\n      series_expiry: 60000\n";
    let text = outline(builder(&[]).with_config(tree(file))).unwrap();
    let expected = "limits: (Some(ItemLimits { spans_per_trace: Some(7), spans_per_second: Some(8), span_bytes: Some(5000), \
                    log_record_bytes: Some(6000) }), true)\n";
    assert!(text.contains(expected), "{text}");
    let code = builder(&[]).with_item_limits(ItemLimits::new().with_max_spans_per_trace(1)).with_config(tree(file));
    assert!(
        outline(code).unwrap().contains("limits: (Some(ItemLimits { spans_per_trace: Some(1), spans_per_second: None")
    );
    check_error(
        "distribution:\n  telemark:\n    limits:\n      max_span_bytes: 5\n      max_spans: 1\n",
        &[
            "distribution.telemark.limits.max_span_bytes=\"5\" cannot be used: expected a whole number of at least 4096",
            "distribution.telemark.limits.max_spans is no property of distribution.telemark.limits: expected one of \
             max_spans_per_trace, max_spans_per_second, max_span_bytes, max_log_record_bytes and series_expiry",
        ],
    );
}

#[test]
fn missing_policies_of_tail_sampling_are_said_once() {
    let tail = "distribution.telemark.tail_sampling";
    let empty = format!("{tail}.policies: is an empty list: expected at least one TailSamplingPolicy");
    check_error("distribution:\n  telemark:\n    tail_sampling:\n      policies: []\n", &[&empty]);
    let misspelt = format!("{tail}.polices is no property of {tail}, is policies meant?");
    let required = format!("{tail}.policies: is required, with a list with at least one TailSamplingPolicy");
    check_error("distribution:\n  telemark:\n    tail_sampling:\n      polices: [errors: ]\n", &[&misspelt, &required]);
}

#[test]
fn code_goes_before_the_file() {
    let file = format!(
        "{BATCH}  sampler:\n    always_on:\n  limits:\n    event_count_limit: 1\nresource:\n  attributes:\n    - name: \"service.name\"\n      value: \"file\"\n"
    );
    let builder = builder(&[])
        .with_sampler(AlwaysOff)
        .with_service_name("code")
        .with_span_exporter(InMemoryExporter::<Traces>::new());
    let text = outline(builder.with_config(tree(&file))).unwrap();
    for part in [
        "sampler: \"AlwaysOffSampler\"",
        "service.name=String(Owned(\\\"code\\\"))",
        "events: 1",
        "span processors: [\"BatchConfig",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}

#[test]
fn schedules_of_code_go_before_those_of_the_file() {
    let delay = Duration::from_millis(77);
    let batch = "  processors:\n    - batch:\n        schedule_delay: 1\n        exporter:\n          console:\n";
    let file = format!(
        "tracer_provider:\n{batch}logger_provider:\n{batch}meter_provider:\n  readers:\n    - periodic:\n        interval: 1\n        exporter:\n          \
         otlp_http:\n"
    );
    let of_file = outline(builder(&[]).with_config(tree(&file))).unwrap();
    assert!(!of_file.contains("77ms"), "{of_file}");
    let builder = builder(&[])
        .with_span_batch(crate::batch::BatchConfig::spans_from_env(&Env::default()).with_schedule_delay(delay))
        .with_log_batch(crate::batch::BatchConfig::logs_from_env(&Env::default()).with_schedule_delay(delay))
        .with_metric_periods(crate::metrics::PeriodicConfig::default().with_interval(delay));
    let of_code = outline(builder.with_config(tree(&file))).unwrap();
    assert_eq!(of_code.matches("77ms").count(), 3, "{of_code}");
}

#[test]
fn settings_of_components_without_settings_are_refused() {
    let file = "propagator:\n  composite:\n    - mine:\n        a: 1\nresource:\n  detection/development:\n    detectors:\n      - mine:\n          b: 1\n\
        tracer_provider:\n  processors:\n    - none:\n        c: 1\n";
    let builder = builder(&[])
        .with_propagator_factory(crate::propagation::PropagatorFactory::new("mine", || {
            Box::new(crate::propagation::Propagators::none())
        }))
        .with_resource_detector(crate::resource::Detector::new("mine", |_, _| crate::resource::Resource::empty()));
    let error = outline(builder.with_config(tree(file))).unwrap_err().to_string();
    let found: Vec<_> = error.lines().skip(1).map(str::trim).collect();
    let expected = [
        "propagator.composite[0].mine.a",
        "resource.detection/development.detectors[0].mine.b",
        "tracer_provider.processors[0].none.c",
    ];
    assert_eq!(found, expected.map(|path| format!("{path} is no setting of this component, which has no settings")));
}

#[test]
fn other_variables_have_no_effect_and_are_named() {
    let variables = [
        ("OTEL_TRACES_SAMPLER", "always_off"),
        ("OTEL_SERVICE_NAME", "x"),
        ("OTEL_BSP_SCHEDULE_DELAY", "1"),
        ("PATH", "/"),
    ];
    let TelemetryBuilder { env, mut model, .. } = builder(&variables);
    model.complete_from_file(&tree(BATCH), &env, &COMPONENTS, true).unwrap();
    assert_eq!(model.ignored, ["OTEL_SERVICE_NAME", "OTEL_TRACES_SAMPLER", "OTEL_BSP_SCHEDULE_DELAY"]);
    assert_eq!(
        outline(builder(&variables).with_config(tree(BATCH))).unwrap(),
        outline(builder(&[]).with_config(tree(BATCH))).unwrap()
    );
    let used = crate::config::Origin::at(1, 1, ["OTEL_SERVICE_NAME".to_owned()]);
    let root = Item::mapping([("file_format", Item::new("1.2").with_origin(used))]);
    let TelemetryBuilder { env, mut model, .. } = builder(&variables);
    model.complete_from_file(&Tree::new("file", root), &env, &COMPONENTS, true).unwrap();
    assert_eq!(model.ignored, ["OTEL_TRACES_SAMPLER", "OTEL_BSP_SCHEDULE_DELAY"]);
}

#[test]
fn the_version_of_the_format() {
    let with = |version: &str| {
        let tree = Tree::new("file", Item::mapping([("file_format", Item::new(version))]));
        let TelemetryBuilder { env, mut model, .. } = builder(&[]);
        match model.complete_from_file(&tree, &env, &COMPONENTS, true) {
            Ok(env) => env.take_warnings().iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
            Err(error) => error.to_string().lines().nth(1).unwrap_or_default().trim().to_owned(),
        }
    };
    for version in ["1.2", "1.0", "1.1", "1.0-rc.2"] {
        assert_eq!(with(version), "", "{version}");
    }
    assert!(with("1.3").contains("file_format: is newer than 1.2"), "{}", with("1.3"));
    for version in ["0.4", "2.0"] {
        assert!(with(version).ends_with("cannot be used: expected version 1.2 or another of 1"), "{}", with(version));
    }
    for version in ["1", "", "1.x", "1.2.3", "latest"] {
        assert!(with(version).contains("expected"), "{version}: {}", with(version));
    }
}

#[derive(Debug)]
struct Quiet;

impl SpanProcessor for Quiet {
    fn on_end(&self, _: crate::trace::SpanData) {}

    fn flush(&self, _: crate::time::Deadline) -> Result<(), crate::error::ExportError> {
        Ok(())
    }

    fn shutdown(&self, _: crate::time::Deadline) -> Result<(), crate::error::ExportError> {
        Ok(())
    }
}

#[test]
fn components_of_the_program_are_selected_by_name_and_their_settings_are_checked() {
    fn with(builder: TelemetryBuilder) -> TelemetryBuilder {
        builder
            .with_sampler_factory("mine", |node| {
                let keep = node.settings().and_then(|settings| settings.boolean("keep"));
                Ok(if keep == Some(true) {
                    Box::new(crate::sampling::AlwaysOn) as Box<dyn Sampler>
                } else {
                    Box::new(AlwaysOff)
                })
            })
            .with_span_processor_factory("quiet", |_| Ok(Box::new(Quiet)))
            .with_resource_detector(crate::resource::Detector::new("mine", |_, _| {
                crate::resource::Resource::new([opentelemetry::KeyValue::new("found", 1)])
            }))
            .with_span_exporter_factory(Factory::new("mine", |node| {
                let settings = node.settings().ok_or_else(|| ConfigError::state("mine", "is for files"))?;
                match settings.integer("size", 1..=5) {
                    Some(5) => Err(ConfigError::invalid("size", "5", "not five")),
                    _ => Ok(Pipeline::new(InMemoryExporter::new())),
                }
            }))
    }
    let file = |size: &str, keep: &str| {
        format!(
            "tracer_provider:\n  processors:\n    - quiet:\n    - simple:\n        exporter:\n          mine:\n            size: {size}\n  sampler:\n    \
             mine:\n      {keep}: true\nresource:\n  detection/development:\n    detectors:\n      - mine:\n"
        )
    };
    let text = outline(with(builder(&[])).with_config(tree(&file("2", "keep")))).unwrap();
    assert!(text.contains("sampler: \"AlwaysOnSampler\"") && text.contains("\"found=I64(1)\""), "{text}");
    let error = |size, keep| {
        let error = outline(with(builder(&[])).with_config(tree(&file(size, keep)))).unwrap_err().to_string();
        error.lines().skip(1).map(|line| line.trim().to_owned()).collect::<Vec<_>>()
    };
    let at = "tracer_provider.processors[1].simple.exporter.mine.size";
    assert_eq!(
        error("9", "kept"),
        [
            "tracer_provider.sampler.mine.kept is no setting of this component, is keep meant?".to_owned(),
            format!("{at}=\"9\" cannot be used: expected a whole number from 1 to 5"),
        ]
    );
    assert_eq!(error("5", "keep"), [format!("{at}=\"5\" cannot be used: expected not five")]);
    check_error(
        &file("1", "keep"),
        &[
            "resource.detection/development.detectors[0].mine: x",
        ][..0]
            .iter()
            .copied()
            .chain([
                "tracer_provider.processors[0].quiet is no known SpanProcessor: expected one of batch, simple and none",
                "tracer_provider.processors[1].simple.exporter.mine is no known SpanExporter: expected one of otlp_http, otlp_grpc, \
                 otlp_file/development and console",
                "tracer_provider.sampler.mine is no known Sampler: expected one of adaptive, always_off, always_on, always_record, \
                 composite/development, parent_based, probability/development, rate_limiting and trace_id_ratio_based",
            ])
            .collect::<Vec<_>>(),
    );
}

#[test]
fn the_variable_names_a_file_and_a_builder_without_a_reader_refuses_it() {
    let variables = [("OTEL_CONFIG_FILE", "/etc/otel.yaml")];
    assert_eq!(builder(&variables).build().unwrap_err().to_string(), "read: /etc/otel.yaml");
    static MISSING: Components = Components::NONE.with_config_files(Err("the feature `config-file` of telemark"));
    let error = builder(&variables).with_components(&MISSING).build().unwrap_err().to_string();
    assert_eq!(
        error,
        "OTEL_CONFIG_FILE=\"/etc/otel.yaml\" cannot be used: expected no file, or the feature `config-file` of telemark, which reads files"
    );
}

#[test]
fn the_effective_configuration_names_the_origin_of_each_value() {
    let variables =
        [("OTEL_SERVICE_NAME", "shop"), ("OTEL_BSP_SCHEDULE_DELAY", "7"), ("OTEL_METRICS_EXPORTER", "none")];
    let telemetry = builder(&variables).with_sampler(AlwaysOff).build().unwrap();
    let config = telemetry.config();
    let printed = Printed::new(&config).to_string();
    for line in [
        "value: shop # OTEL_SERVICE_NAME\n",
        "schedule_delay: 7 # OTEL_BSP_SCHEDULE_DELAY\n",
        "max_queue_size: 2048 # default\n",
        "endpoint: \"http://localhost:4318/v1/traces\" # default\n",
        "code: [sampler] # code\n",
    ] {
        assert!(printed.contains(line), "{line}\n{printed}");
    }
    assert!(!printed.contains("meter_provider"), "{printed}");
    let again = builder(&[]).with_config(config).build().unwrap();
    assert_eq!(again.health().traces.len(), 1);
}

#[test]
fn what_code_changes_is_shown_as_a_run_time_change() {
    let lines = |telemetry: &Telemetry| -> Vec<String> {
        let printed = Printed::new(&telemetry.config()).to_string();
        let changed = printed.lines().filter(|line| line.contains("run-time change"));
        changed.map(|line| line.trim().replace(" # run-time change, code", "")).collect()
    };
    let variables = [("OTEL_RUST_LOGS_MAX_PER_MINUTE", "7"), ("OTEL_TRACES_EXPORTER", "none")];
    let telemetry = builder(&variables).with_log_limits(Default::default()).build().unwrap();
    let control = telemetry.control();
    assert_eq!(lines(&telemetry), [""; 0]);
    control.set_log_volume(LogVolume::new().with_sampling_by("id", 0.5));
    control.set_meter_config(Default::default());
    control.set_logs_enabled(false);
    control.disable();
    let expected = [
        "max_per_minute:",
        "sampled_traces_only: false",
        "sampling_attribute: id",
        "sampling_ratio: 0.5",
        "- logs_disabled",
        "- meter_config",
        "disabled: true",
    ];
    assert_eq!(lines(&telemetry), expected);
    // It is a file that can be used.
    assert!(builder(&[]).with_config(telemetry.config()).check().is_ok());
    control.enable();
    control.set_logs_enabled(true);
    assert_eq!(lines(&telemetry)[4..], ["- meter_config", "disabled: false"]);
    // Nothing of a disabled SDK can change.
    let telemetry = builder(&[("OTEL_SDK_DISABLED", "true")]).build().unwrap();
    telemetry.control().enable();
    telemetry.control().set_sampler(AlwaysOff);
    assert_eq!(lines(&telemetry), [""; 0]);
}

#[test]
fn debug_shows_no_secret() {
    let file = "instrumentation/development:\n  java:\n    token: s3cret\n";
    let variables = [("OTEL_EXPORTER_OTLP_HEADERS", "authorization=s3cret")];
    for builder in [builder(&variables), builder(&variables).with_config(tree(file))] {
        let shown = format!("{builder:?} {:?}", builder.env());
        assert!(shown.contains("OTEL_EXPORTER_OTLP_HEADERS") && !shown.contains("s3cret"), "{shown}");
        let telemetry = builder.build().unwrap();
        let shown = format!("{telemetry:?} {:?} {:?}", telemetry.config(), telemetry.config().root());
        assert!(shown.contains("Tree { name: ") && !shown.contains("s3cret"), "{shown}");
    }
    let item = Item::new("s3cret");
    let tree = Tree::new("file", item.clone());
    let shown = format!("{item:?} {:?}", Settings::new(&item, &crate::config::Report::new(&tree)));
    assert!(shown.contains("Text(…)") && !shown.contains("s3cret"), "{shown}");
}

#[test]
fn the_file_of_no_variables_has_the_effect_of_the_defaults() {
    let file = builder(&[]).config_of_variables();
    assert_eq!(outline(builder(&[])).unwrap(), outline(builder(&[]).with_config(file.clone())).unwrap());
    // Written out, the defaults change nothing.
    let completed = schema::completed(&file);
    assert_eq!(outline(builder(&[])).unwrap(), outline(builder(&[]).with_config(completed)).unwrap());
}

/// The variables of the SDK, each with values that have an effect and some that have none.
fn values(name: &str) -> Vec<&'static str> {
    match name {
        "OTEL_TRACES_EXPORTER" | "OTEL_LOGS_EXPORTER" => vec!["otlp", "console", "none", "otlp,console", "zipkin", ""],
        "OTEL_METRICS_EXPORTER" => vec!["otlp", "prometheus", "none", "otlp,prometheus", ""],
        "OTEL_PROPAGATORS" => vec!["b3", "none", "baggage,tracecontext", "b3multi,none", "jaeger", "tracecontext,xray"],
        "OTEL_TRACES_SAMPLER" => vec![
            "always_off",
            "traceidratio",
            "parentbased_traceidratio",
            "parentbased_always_off",
            "ALWAYS_ON",
            "other",
        ],
        "OTEL_TRACES_SAMPLER_ARG" => vec!["0.25", "1", "2", "x"],
        "OTEL_SERVICE_NAME" => vec!["shop", "true", "12", "a: b # c", "${X}", "$$"],
        "OTEL_RESOURCE_ATTRIBUTES" => vec!["a=b", "service.name=c,d=e%2Cf", "broken", "a=$x"],
        "OTEL_METRICS_EXEMPLAR_FILTER" => vec!["always_on", "ALWAYS_OFF", "other"],
        "OTEL_SDK_DISABLED" => vec!["true", "false", "yes"],
        "OTEL_RUST_SPANS" => vec!["warn", "debug,app=off"],
        "OTEL_RUST_LOGS" => vec!["error", "app=trace"],
        "OTEL_RUST_LOGS_SAMPLING_RATIO" => vec!["0.5", "7"],
        "OTEL_RUST_LOGS_SAMPLING_ATTRIBUTE" => vec!["request.id"],
        "OTEL_RUST_BAGGAGE_ATTRIBUTES" => vec!["user", "user,team*"],
        "OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN" => vec!["logs", "logs/dup", "other"],
        "OTEL_RUST_RESOURCE_DETECTORS" => vec!["none", "process", "os,env", "host,service", "all", "other"],
        name if name.ends_with("_DISABLED") || name.ends_with("_ONLY") => vec!["true", "FALSE", "1"],
        "OTEL_RUST_PANICS" | "OTEL_RUST_SELF_METRICS" => vec!["true", "FALSE", "1"],
        name if name.starts_with("OTEL_BSP") || name.starts_with("OTEL_BLRP") || name.contains("_LIMIT") => {
            vec!["0", "1", "100", "5000", "-1", "x"]
        }
        name if name.contains("METRIC_EXPORT") || name.contains("MAX_") => vec!["1", "100", "0", "x"],
        _ => Vec::new(),
    }
}

fn variables() -> impl Strategy<Value = Vec<(&'static str, &'static str)>> {
    let each: Vec<_> = VARIABLES
        .iter()
        .map(|variable| variable.name)
        .filter(|name| !values(name).is_empty() && !name.contains("VIEWER"))
        .map(|name| {
            proptest::option::weighted(0.4, proptest::sample::select(values(name)))
                .prop_map(move |value| Some((name, value?)))
        })
        .collect();
    each.prop_map(|list| list.into_iter().flatten().collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// spec: the file written from any variables has the same effect
    #[test]
    fn the_file_of_the_variables_has_their_effect(variables in variables()) {
        let file = builder(&variables).config_of_variables();
        let of_variables = outline(builder(&variables));
        prop_assume!(of_variables.is_ok());
        let of_file = outline(builder(&[]).with_config(file.clone()));
        let shown = Printed::new(&file).to_string();
        prop_assert_eq!(of_variables.unwrap(), of_file.unwrap_or_else(|error| error.to_string()), "{}", shown);
    }
}

impl<S: super::super::pipeline::PipelineSignal> super::super::pipeline::Pipelines<S> {
    /// Describes the schedule of each pipeline.
    fn outline(self) -> Vec<String> {
        self.each(|processing, schedule| match processing {
            Some(Processing::Own(schedule, _)) => format!("{schedule:?}"),
            Some(Processing::Simple) => "simple".to_owned(),
            Some(Processing::Shared) => schedule.map(|schedule| format!("{schedule:?}")).unwrap_or_default(),
            None => "ready".to_owned(),
        })
    }
}

#[test]
fn the_test_sees_a_difference() {
    assert_ne!(outline(builder(&[])).unwrap(), outline(builder(&[("OTEL_BSP_SCHEDULE_DELAY", "1")])).unwrap());
    let _ = (View::of("a"), Settings::new);
}

/// Returns the time for which this thread has run.
#[cfg(target_os = "linux")]
fn thread_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

#[cfg(target_os = "linux")]
#[test]
fn values_of_a_mebibyte_take_linear_time_and_few_warnings() {
    const LISTS: [&str; 7] = [
        "OTEL_RESOURCE_ATTRIBUTES",
        "OTEL_RUST_RESOURCE_DETECTORS",
        "OTEL_PROPAGATORS",
        "OTEL_TRACES_EXPORTER",
        "OTEL_RUST_SPANS",
        "OTEL_RUST_LOGS",
        "OTEL_RUST_BAGGAGE_ATTRIBUTES",
    ];
    let many = |end: &str| {
        let items = (0..1 << 20).rev().map(|at| format!("k{at:x}{end},"));
        items
            .scan(1_usize << 20, |left, item| {
                Some(item).filter(|item| {
                    *left = left.saturating_sub(item.len());
                    *left > 0
                })
            })
            .collect::<String>()
    };
    for end in ["=1", "=info", ""] {
        let value = many(end);
        for name in LISTS {
            let before = thread_time();
            let warnings = builder(&[(name, &value)]).check().map_or(0, |warnings| warnings.len());
            let passed = thread_time() - before;
            // Five times as long as the slowest takes, and a small part of what a comparison of each pair would take.
            assert!(passed < Duration::from_secs(8), "{name} {end:?}: {passed:?}");
            assert!(warnings <= 102, "{name} {end:?}: {warnings}");
        }
    }
}
