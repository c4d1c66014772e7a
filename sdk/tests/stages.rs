//! Stages in front of the exporters: the items that they drop and edit, and how each item is counted. No test waits
//! for time to pass.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

use opentelemetry::trace::{Span, SpanContext, SpanId, TraceFlags, TraceId, TraceState, Tracer, TracerProvider};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use telemark_sdk::Resource;
use telemark_sdk::batch::{BatchConfig, BatchProcessor, Held, Processor, Stage, StagedProcessor, Verdict};
use telemark_sdk::config::Env;
use telemark_sdk::diag::{Counters, SignalHealth};
use telemark_sdk::error::ExportError;
use telemark_sdk::install::Telemetry;
use telemark_sdk::runtime::{ManualRuntime, Runtime};
use telemark_sdk::signal::Traces;
use telemark_sdk::testing::InMemoryExporter;
use telemark_sdk::time::Deadline;
use telemark_sdk::trace::{Scope, SpanData};

/// A stage that calls a function.
struct Run<F>(F);

impl<F: FnMut(&mut SpanData) -> Verdict + Send + 'static> Stage<Traces> for Run<F> {
    fn process(&mut self, span: &mut SpanData) -> Verdict {
        (self.0)(span)
    }
}

fn span(name: &str) -> SpanData {
    let context = SpanContext::new(TraceId::from(1), SpanId::from(1), TraceFlags::SAMPLED, false, TraceState::NONE);
    SpanData::new(context, name.to_owned(), Scope::from(InstrumentationScope::builder("test").build()))
}

/// Returns the names and attributes of the spans passed to an exporter.
fn exported(exporter: &InMemoryExporter<Traces>) -> String {
    let text = |span: &SpanData| {
        let attributes = span.attributes().map(|a| format!(" {}={}", a.key, a.value)).collect::<String>();
        format!("{}{attributes}", span.name)
    };
    exporter.items().iter().map(text).collect::<Vec<_>>().join(", ")
}

fn counts(health: &[SignalHealth]) -> Vec<(u64, u64)> {
    health.iter().map(|health| (health.exported, health.dropped_by_stage)).collect()
}

#[test]
fn two_exporters_see_the_same_spans_that_stages_edited_and_miss_those_that_they_dropped() {
    let exporters = [InMemoryExporter::<Traces>::new(), InMemoryExporter::new()];
    let shown = Arc::new(AtomicUsize::new(0));
    let count = shown.clone();
    let telemetry = Telemetry::builder(Env::from_pairs([("", "")]))
        .with_runtime(Runtime::Manual(ManualRuntime::new()))
        .with_span_exporter(exporters[0].clone())
        .with_span_exporter(exporters[1].clone())
        .with_span_stage(Run(move |span: &mut SpanData| {
            count.fetch_add(1, Ordering::Relaxed);
            if span.name == "health" { Verdict::Drop } else { Verdict::Keep }
        }))
        .with_span_stage(Run(|span: &mut SpanData| {
            let secret = span.own_attributes.iter_mut().find(|attribute| attribute.key.as_str() == "card");
            secret.unwrap().value = "…".into();
            Verdict::Keep
        }))
        .build()
        .unwrap();
    let tracer = telemetry.tracer_provider().tracer("shop");
    for name in ["pay", "health", "refund"] {
        tracer.start(name).set_attribute(KeyValue::new("card", "1234"));
    }
    telemetry.force_flush(Deadline::NEVER).unwrap();
    for exporter in &exporters {
        assert_eq!(exported(exporter), "pay card=…, refund card=…");
    }
    assert_eq!(shown.load(Ordering::Relaxed), 3, "each span is shown once, though there are two exporters");
    assert_eq!(counts(&telemetry.health().traces), [(2, 1), (2, 1)]);
}

/// Starts a stage with one processor per exporter behind it, on a runtime that the test drives.
fn staged<const N: usize>(
    stage: impl Stage<Traces>,
    exporters: [&InMemoryExporter<Traces>; N],
    config: BatchConfig,
    runtime: &Runtime,
) -> StagedProcessor<Traces> {
    let behind = |exporter: &InMemoryExporter<Traces>| -> Box<dyn Processor<Traces>> {
        Box::new(BatchProcessor::start(exporter.clone(), Resource::empty(), config, runtime).unwrap())
    };
    let processors = exporters.into_iter().map(behind).collect();
    StagedProcessor::start(vec![Box::new(stage)], processors, config, runtime).unwrap()
}

fn health(processor: &StagedProcessor<Traces>) -> Vec<SignalHealth> {
    processor.all_counters().iter().map(|counters| counters.snapshot()).collect()
}

#[test]
fn a_stage_that_panics_drops_the_span_and_harms_no_other() {
    let exporter = InMemoryExporter::new();
    let panics = Run(|span: &mut SpanData| if span.name == "bad" { panic!("bad") } else { Verdict::Keep });
    let runtime = Runtime::Manual(ManualRuntime::new());
    let processor = staged(panics, [&exporter], BatchConfig::SPANS, &runtime);
    ["good", "bad", "better"].into_iter().for_each(|name| processor.add(span(name)));
    processor.flush(Deadline::NEVER).unwrap();
    assert_eq!(exported(&exporter), "good, better");
    assert_eq!(counts(&health(&processor)), [(2, 1)]);
}

/// A processor of the program's that panics when it is given a span called `bad`.
#[derive(Debug)]
struct Fragile(BatchProcessor<Traces>);

impl Processor<Traces> for Fragile {
    fn add(&self, item: SpanData) {
        assert_ne!(item.name, "bad");
        self.0.add(item);
    }

    fn flush(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.0.flush(deadline)
    }

    fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.0.shutdown(deadline)
    }

    fn all_counters(&self) -> Vec<Arc<Counters>> {
        vec![self.0.counters()]
    }
}

#[test]
fn a_processor_that_panics_behind_the_stages_costs_no_other_span_and_no_room() {
    let exporter = InMemoryExporter::new();
    let runtime = Runtime::Manual(ManualRuntime::new());
    let config = BatchConfig::SPANS.with_max_queue_size(3);
    let behind = BatchProcessor::start(exporter.clone(), Resource::empty(), config, &runtime).unwrap();
    let keeps = Run(|_: &mut SpanData| Verdict::Keep);
    let processor =
        StagedProcessor::start(vec![Box::new(keeps)], vec![Box::new(Fragile(behind))], config, &runtime).unwrap();
    for _ in 0..3 {
        ["good", "bad", "better"].into_iter().for_each(|name| processor.add(span(name)));
        processor.flush(Deadline::NEVER).unwrap();
    }
    assert_eq!(exported(&exporter), "good, better, good, better, good, better");
    assert_eq!(health(&processor)[0].dropped_queue_full, 0);
}

#[test]
fn stages_run_once_a_batch_waits_and_when_their_timer_fires() {
    let exporter = InMemoryExporter::new();
    let manual = ManualRuntime::new();
    let config = BatchConfig::SPANS.with_max_queue_size(8).with_max_batch_size(3);
    let keeps = Run(|_: &mut SpanData| Verdict::Keep);
    let processor = staged(keeps, [&exporter], config, &Runtime::Manual(manual.clone()));
    (0..2).for_each(|_| processor.add(span("s")));
    assert_eq!(manual.run_woken(), 0, "two of three: no stage is woken");
    processor.add(span("s"));
    // The stages run first, followed by the exporter that they have woken.
    assert_eq!((manual.run_woken(), manual.run_woken()), (1, 1));
    assert_eq!(exporter.batches(), [3]);
    processor.add(span("s"));
    (0..2).for_each(|_| manual.run_timers());
    assert_eq!(exporter.batches(), [3, 1]);
}

#[test]
fn a_full_queue_before_the_stages_and_a_late_span_count_for_each_exporter() {
    let exporters = [InMemoryExporter::new(), InMemoryExporter::new()];
    let config = BatchConfig::SPANS.with_max_queue_size(4).with_max_batch_size(4);
    let keeps = Run(|_: &mut SpanData| Verdict::Keep);
    let processor = staged(keeps, exporters.each_ref(), config, &Runtime::Manual(ManualRuntime::new()));
    (0..7).for_each(|_| processor.add(span("s")));
    processor.shutdown(Deadline::NEVER).unwrap();
    processor.add(span("late"));
    let ends = |health: SignalHealth| [health.exported, health.dropped_queue_full, health.dropped_after_shutdown];
    assert_eq!(health(&processor).into_iter().map(ends).collect::<Vec<_>>(), [[4, 3, 1]; 2]);
    assert_eq!(exporters[0].shutdowns() + exporters[1].shutdowns(), 2);
}

#[test]
fn no_telemetry_is_made_of_a_stage_and_it_never_runs_on_a_thread_of_the_host() {
    let exporter = InMemoryExporter::new();
    let host = std::thread::current().id();
    let looks = Run(move |_: &mut SpanData| {
        let is_alone = Context::is_current_telemetry_suppressed() && std::thread::current().id() != host;
        if is_alone { Verdict::Keep } else { Verdict::Drop }
    });
    let processor = staged(looks, [&exporter], BatchConfig::SPANS, &Runtime::Thread);
    processor.add(span("s"));
    processor.flush(Deadline::NEVER).unwrap();
    assert_eq!(exported(&exporter), "s");
}

/// Holds spans back, and passes on two spans once they have the same name.
#[derive(Default)]
struct Pairs(Vec<Held<Traces>>);

impl Stage<Traces> for Pairs {
    fn process(&mut self, span: &mut SpanData) -> Verdict {
        if span.name == "plain" { Verdict::Keep } else { Verdict::Hold }
    }

    fn hold(&mut self, mut span: Held<Traces>) {
        span.own_attributes.push(KeyValue::new("was", "held"));
        self.0.push(span);
    }

    fn release(&mut self, ends: bool, pass_on: &mut dyn FnMut(Held<Traces>)) {
        let names: Vec<_> = self.0.iter().map(|span| span.name.clone()).collect();
        let is_pair = |span: &Held<Traces>| names.iter().filter(|name| **name == span.name).count() == 2;
        let (pairs, others) = std::mem::take(&mut self.0).into_iter().partition(is_pair);
        let pairs: Vec<_> = pairs;
        pairs.into_iter().for_each(pass_on);
        // At the end, the remaining spans are dropped.
        self.0 = if ends { Vec::new() } else { others };
    }
}

#[test]
fn a_stage_holds_spans_back_for_a_later_verdict() {
    let exporter = InMemoryExporter::new();
    let manual = ManualRuntime::new();
    let processor = staged(Pairs::default(), [&exporter], BatchConfig::SPANS, &Runtime::Manual(manual.clone()));
    let run = || (0..2).for_each(|_| manual.run_timers());
    ["a", "plain", "b"].into_iter().for_each(|name| processor.add(span(name)));
    run();
    assert_eq!(exported(&exporter), "plain");
    processor.add(span("a"));
    run();
    assert_eq!(exported(&exporter), "plain, a was=held, a was=held");
    processor.flush(Deadline::NEVER).unwrap();
    assert_eq!(counts(&health(&processor)), [(3, 1)]);
}

#[test]
fn held_spans_count_in_the_bytes_of_the_queue() {
    let exporter = InMemoryExporter::new();
    let config = BatchConfig::SPANS.with_max_queue_bytes(100_000);
    let manual = ManualRuntime::new();
    let processor = staged(Pairs::default(), [&exporter], config, &Runtime::Manual(manual.clone()));
    let refused = || {
        let before = health(&processor)[0].dropped_queue_bytes_full;
        let mut large = span("large");
        large.own_attributes.push(KeyValue::new("text", "x".repeat(60_000)));
        processor.add(large);
        (0..2).for_each(|_| manual.run_timers());
        health(&processor)[0].dropped_queue_bytes_full > before
    };
    assert_eq!((refused(), refused()), (false, true), "the first one is held and takes most of the bytes");
    processor.flush(Deadline::NEVER).unwrap();
    assert!(!refused(), "the stage has dropped the first one");
}

/// For each exporter, every span is counted by exactly one counter, even during shutdown.
#[test]
#[allow(clippy::disallowed_methods, reason = "a test of several threads")]
fn every_span_of_many_threads_ends_in_one_counter_of_each_exporter() {
    const THREADS: u64 = 4;
    const EACH: u64 = 2000;
    let exporters = [InMemoryExporter::new(), InMemoryExporter::new()];
    let config = BatchConfig::SPANS.with_max_queue_size(100).with_max_batch_size(40);
    let mut n = 0u32;
    let drops_thirds = Run(move |_: &mut SpanData| {
        n += 1;
        if n % 3 == 0 { Verdict::Drop } else { Verdict::Keep }
    });
    let processor = staged(drops_thirds, exporters.each_ref(), config, &Runtime::Thread);
    let barrier = Barrier::new(THREADS as usize + 1);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                (0..EACH / 2).for_each(|_| processor.add(span("s")));
                barrier.wait();
                (0..EACH / 2).for_each(|_| processor.add(span("s")));
            });
        }
        barrier.wait();
        processor.shutdown(Deadline::NEVER).unwrap();
    });
    for (health, exporter) in health(&processor).into_iter().zip(&exporters) {
        let dropped = health.dropped_queue_full + health.dropped_after_shutdown + health.dropped_by_stage;
        assert_eq!(health.exported + dropped, THREADS * EACH, "{health:?}");
        assert_eq!(health.exported, exporter.items().len() as u64);
    }
}
