//! Limits on the spans of a trace, on the spans of a second, and on the bytes of an item, as programs set them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use opentelemetry::logs::{AnyValue, LogRecord, Logger};
use opentelemetry::trace::{Span, SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer};
use opentelemetry::{Context, KeyValue};
use telemark_sdk::batch::{Stage, Verdict};
use telemark_sdk::config::Env;
use telemark_sdk::install::{Telemetry, TelemetryBuilder};
use telemark_sdk::metrics::PullReader;
use telemark_sdk::signal::{Logs, Traces};
use telemark_sdk::stages::limits::ItemLimits;
use telemark_sdk::testing::{InMemoryExporter, ManualClock, metrics_text, tree};
use telemark_sdk::time::Deadline;
use telemark_sdk::trace::SpanData;

const TIMEOUT: Duration = Duration::from_secs(20);

struct Exported {
    telemetry: Telemetry,
    spans: InMemoryExporter<Traces>,
    logs: InMemoryExporter<Logs>,
    clock: ManualClock,
}

impl Exported {
    fn new(limits: ItemLimits, change: impl FnOnce(TelemetryBuilder) -> TelemetryBuilder) -> Self {
        let (spans, logs, clock) = (InMemoryExporter::new(), InMemoryExporter::new(), ManualClock::new());
        let builder = Telemetry::builder(Env::from_pairs::<&str, &str>([]))
            .with_clock(clock.clock())
            .with_span_exporter(spans.clone())
            .with_log_exporter(logs.clone())
            .with_item_limits(limits);
        Exported { telemetry: change(builder).build().unwrap(), spans, logs, clock }
    }

    fn spans(&self) -> Vec<SpanData> {
        self.telemetry.flush(TIMEOUT).unwrap();
        self.spans.items()
    }
}

fn attribute(span: &SpanData, key: &str) -> Option<String> {
    span.attributes().find(|one| one.key.as_str() == key).map(|one| one.value.to_string())
}

#[test]
fn a_trace_keeps_its_first_spans_and_its_roots_say_how_many_are_missing() {
    let exported = Exported::new(ItemLimits::new().with_max_spans_per_trace(10), |builder| builder);
    let tracer = exported.telemetry.tracer("test");
    tracer.in_span("loop", |_| (0..1000).for_each(|_| tracer.in_span("query", |_| ())));
    tracer.in_span("other", |_| tracer.in_span("query", |_| ()));
    // Part of a trace that another process has begun.
    let state = SpanContext::new(TraceId::from(7), SpanId::from(7), TraceFlags::SAMPLED, true, TraceState::NONE);
    let remote = Context::new().with_remote_span_context(state);
    for _ in 0..2 {
        let mut root = tracer.start_with_context("request", &remote);
        let inside = remote.with_remote_span_context(SpanContext::new(
            TraceId::from(7),
            root.span_context().span_id(),
            TraceFlags::SAMPLED,
            false,
            TraceState::NONE,
        ));
        (0..8).for_each(|_| drop(tracer.start_with_context("query", &inside)));
        root.end();
    }
    let spans = exported.spans();
    let roots: Vec<_> = spans.iter().filter(|span| span.name != "query").collect();
    let told: Vec<_> =
        roots.iter().map(|span| (&*span.name, attribute(span, "telemark.trace.dropped_spans"))).collect();
    // The first root has taken one of the ten places of its trace.
    let expected =
        [("loop", Some("990".to_owned())), ("other", None), ("request", None), ("request", Some("7".to_owned()))];
    assert_eq!(told, expected);
    assert_eq!(spans.len(), 4 + 10 + 1 + 9);
    let health = exported.telemetry.health();
    assert_eq!(health.limits.unwrap().dropped_over_trace, 997);
    assert_eq!((health.traces[0].dropped_by_stage, health.traces[0].exported), (997, 24));
}

#[test]
fn only_a_number_of_spans_is_taken_each_second_with_and_without_stages() {
    struct Nothing;
    impl Stage<Traces> for Nothing {
        fn process(&mut self, _: &mut SpanData) -> Verdict {
            Verdict::Keep
        }
    }
    let limits = ItemLimits::new().with_max_spans_per_second(5);
    for is_staged in [false, true] {
        let exported =
            Exported::new(limits, |builder| if is_staged { builder.with_span_stage(Nothing) } else { builder });
        let tracer = exported.telemetry.tracer("test");
        for second in 0..3 {
            (0..20).for_each(|number| tracer.in_span(format!("{second}.{number}"), |_| ()));
            exported.clock.advance(Duration::from_secs(1));
        }
        let names: Vec<_> = exported.spans().iter().map(|span| span.name.to_string()).collect();
        let expected: Vec<_> = (0..3).flat_map(|second| (0..5).map(move |n| format!("{second}.{n}"))).collect();
        assert_eq!(names, expected);
        let health = exported.telemetry.health();
        assert_eq!((health.traces[0].dropped_by_stage, health.limits.unwrap().dropped_over_rate), (45, 45));
    }
}

#[test]
fn large_items_lose_their_largest_parts_and_are_counted() {
    let limits = ItemLimits::new().with_max_span_bytes(10_000).with_max_log_record_bytes(10_000);
    let exported = Exported::new(limits, |builder| builder);
    let tracer = exported.telemetry.tracer("test");
    let mut span = tracer.start("upload");
    span.set_attribute(KeyValue::new("file.content", "x".repeat(1 << 20)));
    span.set_attribute(KeyValue::new("file.name", "a.txt"));
    span.end();
    tracer.in_span("small", |_| ());
    let logger = opentelemetry::logs::LoggerProvider::logger(exported.telemetry.logger_provider(), "test");
    for body in ["x".repeat(1 << 20), "short".to_owned()] {
        let mut record = logger.create_log_record();
        record.set_body(AnyValue::from(body));
        record.add_attribute("k", "v");
        logger.emit(record);
    }
    let spans = exported.spans();
    assert_eq!(tree(&spans), "upload file.name=a.txt (1 attributes dropped)\nsmall\n");
    assert_eq!(spans[0].dropped_attributes, 1);
    let bodies: Vec<_> =
        exported.logs.items().iter().map(|record| format!("{:?}", record.body().unwrap()).len()).collect();
    assert!((4000..10_000).contains(&bodies[0]) && bodies[1] < 100, "{bodies:?}");
    let limits = exported.telemetry.health().limits.unwrap();
    assert_eq!((limits.cut_spans, limits.cut_log_records), (1, 1));
}

#[test]
fn what_limits_drop_and_cut_is_a_metric_of_the_sdk() {
    let limits = ItemLimits::new()
        .with_max_spans_per_trace(10)
        .with_max_spans_per_second(30)
        .with_max_span_bytes(10_000)
        .with_max_log_record_bytes(10_000);
    let reader = PullReader::default();
    let exported = Exported::new(limits, |builder| builder.with_metric_reader(reader.clone()).with_self_metrics());
    let tracer = exported.telemetry.tracer("test");
    // Twelve spans in one trace, of which one is too large; then eighteen in traces of their own, and seven too many in this second.
    tracer.in_span("trace", |cx| {
        cx.span().set_attribute(KeyValue::new("large", "x".repeat(20_000)));
        (0..11).for_each(|_| tracer.in_span("query", |_| ()));
    });
    (0..25).for_each(|_| tracer.in_span("alone", |_| ()));
    let logger = exported.telemetry.logger("test");
    let mut record = logger.create_log_record();
    record.set_body(AnyValue::from("x".repeat(20_000)));
    logger.emit(record);
    exported.telemetry.flush(TIMEOUT).unwrap();
    let metrics = metrics_text(&reader.collect(Deadline::NEVER).unwrap());
    let shown: Vec<_> = metrics.lines().filter(|line| line.starts_with("telemark.sdk.limits.")).collect();
    assert_eq!(
        shown,
        [
            "telemark.sdk.limits.cut[{item}]{telemark.limit.name=max_log_record_bytes} sum 1",
            "telemark.sdk.limits.cut[{item}]{telemark.limit.name=max_span_bytes} sum 1",
            "telemark.sdk.limits.dropped[{span}]{telemark.limit.name=max_spans_per_second} sum 7",
            "telemark.sdk.limits.dropped[{span}]{telemark.limit.name=max_spans_per_trace} sum 1",
        ]
    );
}

#[test]
fn without_limits_there_is_neither_a_stage_nor_a_count() {
    let exported = Exported::new(ItemLimits::new(), |builder| builder);
    assert_eq!(exported.telemetry.health().limits, None);
    let shown = format!("{:?}", exported.telemetry.tracer_provider());
    assert!(!shown.contains("Staged") && !shown.contains("RateLimited"), "{shown}");
}
