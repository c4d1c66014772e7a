//! With tail sampling, exemplars lead only to traces that were kept, over both exporters and whatever the sampler decides.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use opentelemetry::trace::{Span, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use serde_json::Value;
use telemark::otlp::JsonLinesExporter;
use telemark::prometheus::PrometheusExporter;
use telemark::tail_sampling::{Policy, TailSampling};
use telemark_sdk::config::Env;
use telemark_sdk::install::Telemetry;
use telemark_sdk::metrics::{Aggregation, ExemplarFilter, ReaderConfig, TemporalityPreference, View};
use telemark_sdk::runtime::{ManualRuntime, Runtime};
use telemark_sdk::sampling::{AlwaysOff, AlwaysOn, Sampler};
use telemark_sdk::signal::Metrics;
use telemark_sdk::testing::InMemoryExporter;
use telemark_sdk::time::Deadline;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// Returns the exemplars of the metrics that were exported since the last call, as `metric trace`.
    fn exemplars(&self) -> BTreeSet<String> {
        let text = String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap();
        let mut found = BTreeSet::new();
        for line in text.lines() {
            visit(&serde_json::from_str(line).unwrap(), "", &mut found);
        }
        found
    }
}

/// Finds the trace ids of all exemplars, with the name of the metric around them.
fn visit(value: &Value, metric: &str, found: &mut BTreeSet<String>) {
    let metric = value.get("name").and_then(Value::as_str).unwrap_or(metric);
    if let Some(exemplars) = value.get("exemplars").and_then(Value::as_array) {
        for exemplar in exemplars {
            let trace = exemplar["traceId"].as_str().unwrap_or("no trace");
            found.insert(format!("{metric} {trace}"));
        }
    }
    match value {
        Value::Array(items) => items.iter().for_each(|item| visit(item, metric, found)),
        Value::Object(entries) => entries.values().for_each(|value| visit(value, metric, found)),
        _ => {}
    }
}

/// Returns the exemplars of a Prometheus page, as `series trace`.
fn on_page(prometheus: &PrometheusExporter) -> BTreeSet<String> {
    let page = String::from_utf8(prometheus.response_for("application/openmetrics-text", "").body).unwrap();
    let lines = page.lines().filter_map(|line| line.split_once(" # {"));
    lines
        .map(|(series, exemplar)| {
            let series = series.rsplit_once(' ').unwrap().0;
            let trace = exemplar.split("trace_id=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or("none");
            // The labels of the scope are in every series.
            let bucket = series.split("le=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
            format!("{} {bucket} {trace}", series.split('{').next().unwrap())
        })
        .collect()
}

fn check(sampler: impl Sampler, filter: ExemplarFilter, preference: TemporalityPreference) {
    let case = format!("{sampler:?} {filter:?} {preference:?}");
    let (spans, lines, prometheus) = (InMemoryExporter::new(), Lines::default(), PrometheusExporter::new());
    let telemetry = Telemetry::builder(Env::from_pairs([("OTEL_SERVICE_NAME", "test")]))
        .with_runtime(Runtime::Manual(ManualRuntime::new()))
        .with_span_exporter(spans.clone())
        .with_sampler(sampler)
        .with_tail_sampling(TailSampling::new().keep(Policy::errors()))
        .with_exemplar_filter(filter)
        .with_view(View::of("size").with_aggregation(Aggregation::exponential()))
        .with_configured_metric_exporter(
            JsonLinesExporter::<Metrics>::to_writer(lines.clone()),
            ReaderConfig::new().with_temporality(preference),
        )
        .with_metric_reader(prometheus.reader())
        .build()
        .unwrap();
    let tracer = telemetry.tracer("test");
    let meter = telemetry.meter("test");
    let duration = meter.f64_histogram("duration").with_boundaries(vec![1.0, 10.0]).build();
    let (size, calls) = (meter.u64_histogram("size").build(), meter.u64_counter("calls").build());
    let work = |value: f64, fails: bool| {
        let context = Context::new().with_span(tracer.start("work"));
        let guard = context.clone().attach();
        {
            // A child, in whose trace the measurement is made.
            let _child = Context::current_with_span(tracer.start("child")).attach();
            duration.record(value, &[KeyValue::new("kind", "a")]);
            size.record(100, &[]);
            calls.add(1, &[]);
        }
        if fails {
            context.span().set_status(Status::error("failed"));
        }
        drop(guard);
        context.span().end();
        context.span().span_context().trace_id().to_string()
    };
    (0..100).for_each(|_| drop(work(0.5, false)));
    // All that wait are undecided, so nothing leads anywhere yet.
    let undecided = Context::new().with_span(tracer.start("undecided"));
    {
        let _guard = undecided.clone().attach();
        duration.record(5.0, &[KeyValue::new("kind", "a")]);
    }
    assert_eq!(on_page(&prometheus), BTreeSet::new(), "{case}");
    telemetry.force_flush(Deadline::NEVER).unwrap();
    undecided.span().end();
    telemetry.force_flush(Deadline::NEVER).unwrap();
    assert_eq!((on_page(&prometheus), lines.exemplars()), (BTreeSet::new(), BTreeSet::new()), "{case}");
    let kept = work(5.0, true);
    (0..100).for_each(|_| drop(work(20.0, false)));
    telemetry.force_flush(Deadline::NEVER).unwrap();
    let expected =
        |prefixes: &[&str]| prefixes.iter().map(|prefix| format!("{prefix} {kept}")).collect::<BTreeSet<_>>();
    assert_eq!(lines.exemplars(), expected(&["calls", "duration", "size"]), "{case}");
    let on_page = on_page(&prometheus);
    // The buckets of 1 and above 10 have only been filled by traces that were dropped.
    assert!(on_page.is_superset(&expected(&["calls_total ", "duration_bucket 10.0"])), "{case}: {on_page:?}");
    assert!(on_page.iter().all(|exemplar| exemplar.ends_with(&kept)), "{case}: {on_page:?}");
    assert!(!on_page.iter().any(|line| line.starts_with("duration_bucket 1.0")), "{case}: {on_page:?}");
    assert!(!on_page.iter().any(|line| line.starts_with("duration_bucket +Inf")), "{case}: {on_page:?}");
    // The trace is there, and only that.
    let exported: BTreeSet<_> = spans.items().iter().map(|span| span.context.trace_id().to_string()).collect();
    assert_eq!(exported, [kept].into(), "{case}");
}

#[test]
fn exemplars_lead_to_kept_traces_alone() {
    for preference in [TemporalityPreference::Cumulative, TemporalityPreference::Delta] {
        check(AlwaysOn, ExemplarFilter::TraceBased, preference);
        check(AlwaysOff, ExemplarFilter::TraceBased, preference);
        check(AlwaysOff, ExemplarFilter::AlwaysOn, preference);
    }
}

#[test]
fn an_exemplar_filter_that_is_off_stays_off() {
    let prometheus = PrometheusExporter::new();
    let telemetry = Telemetry::builder(Env::from_pairs([("OTEL_SERVICE_NAME", "test")]))
        .with_runtime(Runtime::Manual(ManualRuntime::new()))
        .with_span_exporter(InMemoryExporter::new())
        .with_tail_sampling(TailSampling::new().keep(Policy::probability(1.0)))
        .with_exemplar_filter(ExemplarFilter::AlwaysOff)
        .with_metric_reader(prometheus.reader())
        .build()
        .unwrap();
    let mut span = telemetry.tracer("test").start("work");
    span.set_status(Status::Ok);
    {
        let _guard = Context::new().with_span(span).attach();
        telemetry.meter("test").u64_counter("calls").build().add(1, &[]);
    }
    telemetry.force_flush(Deadline::NEVER).unwrap();
    assert_eq!(on_page(&prometheus), BTreeSet::new());
}
