//! Tail sampling short of room: local roots that are lost on their way, and exporters that are slower than what is released.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry::logs::Severity;
use opentelemetry::trace::{Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use telemark_sdk::batch::{BatchConfig, Held, Stage, Verdict};
use telemark_sdk::error::ExportError;
use telemark_sdk::export::{Batch, ExportReport, Exporter};
use telemark_sdk::install::TelemetryBuilder;
use telemark_sdk::runtime::{ManualRuntime, Runtime};
use telemark_sdk::signal::Traces;
use telemark_sdk::stages::limits::ItemLimits;
use telemark_sdk::stages::tail::{Policy, TailSampling};
use telemark_sdk::time::Deadline;
use telemark_sdk::trace::SpanData;

use support::{Service, builder, end};

fn exported(service: &Service) -> String {
    service.spans.items().iter().map(|span| span.name.to_string()).collect::<Vec<_>>().join(", ")
}

/// Checks that a trace is decided soon after its local root was lost, with the spans that are there, and without waiting for the
/// deadline.
fn check_loss(
    loss: &str,
    configure: impl FnOnce(TelemetryBuilder) -> TelemetryBuilder,
    before: impl FnOnce(&Service, &Context),
) {
    let service = Service::with(TailSampling::new().keep(Policy::errors()).with_logs_held(true), configure);
    let root = service.start("GET /", &Context::new());
    service.say(&root, "held", Severity::Info);
    service.fail("SELECT", &root);
    service.pass(Duration::ZERO);
    let other = service.start("GET /", &Context::new());
    service.say(&other, "of a trace without spans", Severity::Info);
    before(&service, &root);
    end(&root);
    end(&other);
    (0..3).for_each(|_| service.pass(Duration::from_millis(100)));
    let (names, health) = (exported(&service), service.health());
    assert!(names.starts_with("SELECT") && !names.contains("GET"), "{loss}: {names}");
    assert_eq!((health.held_traces, health.at_deadline), (0, 0), "{loss}");
    // Its log records follow, also those of a trace of which nothing has arrived.
    let logs = || service.logs.items().len();
    assert_eq!((logs(), service.telemetry.health().logs[0].dropped_by_stage), (1, 1), "{loss}");
    // What starts in the trace later is not lost.
    service.pass(Duration::from_secs(1));
    service.fail("late", &root);
    (0..3).for_each(|_| service.pass(Duration::from_millis(100)));
    assert!(exported(&service).contains("late"), "{loss}");
}

/// Loses spans called `GET /` in some way.
struct Loses {
    process: fn() -> Verdict,
    hold: fn(),
}

impl Stage<Traces> for Loses {
    fn process(&mut self, span: &mut SpanData) -> Verdict {
        if span.name == "GET /" { (self.process)() } else { Verdict::Keep }
    }

    fn hold(&mut self, _: Held<Traces>) {
        (self.hold)();
    }
}

#[test]
fn a_local_root_that_is_lost_holds_its_trace_up_no_longer() {
    fn stage(process: fn() -> Verdict, hold: fn()) -> impl FnOnce(TelemetryBuilder) -> TelemetryBuilder {
        move |builder| builder.with_span_stage(Loses { process, hold })
    }
    let nothing = |_: &Service, _: &Context| ();
    check_loss("dropped", stage(|| Verdict::Drop, || ()), nothing);
    check_loss("panics", stage(|| panic!("bad"), || ()), nothing);
    check_loss("held and dropped", stage(|| Verdict::Hold, || ()), nothing);
    check_loss("panics while it holds", stage(|| Verdict::Hold, || panic!("bad")), nothing);
    let small = |builder: TelemetryBuilder| builder.with_span_batch(BatchConfig::SPANS.with_max_queue_size(4));
    check_loss("queue full", small, |service, root| (0..4).for_each(|_| service.fail("filler", root)));
    let light = |builder: TelemetryBuilder| builder.with_span_batch(BatchConfig::SPANS.with_max_queue_bytes(60_000));
    check_loss("bytes full", light, |service, root| {
        let filler = service.start("filler", root);
        filler.span().set_attribute(KeyValue::new("text", "x".repeat(59_000)));
        filler.span().set_status(Status::error("no"));
        end(&filler);
    });
    let slow = |builder: TelemetryBuilder| builder.with_item_limits(ItemLimits::new().with_max_spans_per_second(5));
    check_loss("too many a second", slow, |service, root| (0..4).for_each(|_| service.fail("filler", root)));
}

/// Counts spans and drops them.
struct Counts(Arc<AtomicUsize>);

impl Exporter<Traces> for Counts {
    fn export(&mut self, batch: Batch<'_, Traces>, _: Deadline) -> Result<ExportReport, ExportError> {
        self.0.fetch_add(batch.len(), Ordering::Relaxed);
        Ok(ExportReport::accepted())
    }
}

#[test]
fn what_is_released_takes_no_memory_beside_the_queue_of_the_exporter() {
    const TRACES: usize = 50_000;
    let (exported, runtime) = (Arc::new(AtomicUsize::new(0)), ManualRuntime::new());
    let waits = Duration::from_secs(3600);
    let tail = TailSampling::new().keep(Policy::always()).with_grace(waits).with_deadline(waits);
    let telemetry = builder(Runtime::Manual(runtime.clone()))
        .with_span_exporter(Counts(exported.clone()))
        .with_tail_sampling(tail.with_max_bytes(1 << 30))
        .build()
        .unwrap();
    let tracer = telemetry.tracer("shop");
    for number in 0..TRACES {
        let root = Context::new().with_span(tracer.start_with_context("GET /", &Context::new()));
        for _ in 0..2 {
            let child = root.with_span(tracer.start_with_context("SELECT", &root));
            child.span().set_attribute(KeyValue::new("path", "/carts/4711/items".to_owned()));
            end(&child);
        }
        end(&root);
        if number % 500 == 499 {
            runtime.run_timers();
        }
    }
    let held = telemetry.health().tail.unwrap();
    assert_eq!((held.held_spans, exported.load(Ordering::Relaxed)), (3 * TRACES as u64, 0));
    let memory = allocation_counter::measure(|| telemetry.force_flush(Deadline::NEVER).unwrap());
    assert_eq!(exported.load(Ordering::Relaxed), 3 * TRACES, "a flush waits for the exporter");
    assert!(memory.bytes_max < 1_000_000, "{memory:?}");
    assert!(memory.bytes_current < -30_000_000, "{memory:?}");
}
