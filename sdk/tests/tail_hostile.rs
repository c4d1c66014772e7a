//! Tail sampling with hostile callers and limits that are far too small: no panic, bounded memory, and each span is counted once.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::trace::{
    Span, SpanContext, SpanId, Status, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer,
};
use opentelemetry::{Context, KeyValue};
use telemark_sdk::batch::BatchConfig;
use telemark_sdk::config::Env;
use telemark_sdk::error::ExportError;
use telemark_sdk::export::{Batch, ExportReport, Exporter};
use telemark_sdk::id::{IdGenerator, RandomIds};
use telemark_sdk::install::Telemetry;
use telemark_sdk::runtime::{ManualRuntime, Runtime};
use telemark_sdk::signal::Traces;
use telemark_sdk::stages::tail::{Budget, Policy, TailSampling};
use telemark_sdk::testing::ManualClock;
use telemark_sdk::time::{Clock, Deadline};
use telemark_sdk::trace::SdkTracer;

/// Counts spans and drops them. Fails as long as it is told to.
#[derive(Clone, Default)]
struct Counts {
    exported: Arc<AtomicU64>,
    fails: Arc<AtomicU64>,
}

impl Exporter<Traces> for Counts {
    fn export(&mut self, batch: Batch<'_, Traces>, _: Deadline) -> Result<ExportReport, ExportError> {
        if self.fails.load(Ordering::Relaxed) > 0 {
            return Err(ExportError::unavailable("the receiver is gone"));
        }
        self.exported.fetch_add(batch.len() as u64, Ordering::Relaxed);
        Ok(ExportReport::accepted())
    }
}

fn telemetry(tail: TailSampling, exporter: Counts, runtime: Runtime, clock: Clock) -> Telemetry {
    Telemetry::builder(Env::from_pairs([("OTEL_METRICS_EXPORTER", "none"), ("OTEL_LOGS_EXPORTER", "none")]))
        .with_runtime(runtime)
        .with_clock(clock)
        .with_span_batch(BatchConfig::SPANS.with_schedule_delay(Duration::from_millis(50)))
        .with_span_exporter(exporter)
        .with_tail_sampling(tail)
        .build()
        .unwrap()
}

/// Shuts the telemetry down, and checks that each of `made` spans is in one count, and that nothing is held.
fn check_counts(telemetry: &Telemetry, exporter: &Counts, made: u64) {
    telemetry.shutdown(Deadline::after(Duration::from_secs(20))).unwrap();
    let health = &telemetry.health().traces[0];
    let dropped = health.dropped_queue_full + health.dropped_queue_bytes_full + health.dropped_after_shutdown;
    assert_eq!(health.exported + health.failed + dropped + health.dropped_by_stage, made, "{health:?}");
    assert_eq!(health.exported, exporter.exported.load(Ordering::Relaxed));
    let held = telemetry.health().tail.unwrap();
    assert_eq!((held.held_traces, held.held_spans, held.held_bytes), (0, 0, 0));
}

/// Answers a request. Returns the number of recorded spans: after the shutdown, none is recorded.
fn request(tracer: &SdkTracer, parent: &Context, fails: bool) -> u64 {
    let root = parent.with_span(tracer.start_with_context("GET /", parent));
    let mut recorded = u64::from(root.span().is_recording());
    for _ in 0..2 {
        let mut child = tracer.start_with_context("SELECT", &root);
        recorded += u64::from(child.is_recording());
        child.set_attribute(KeyValue::new("text", "x".repeat(100)));
        if fails {
            child.set_status(Status::error("no"));
        }
    }
    recorded
}

fn policies() -> TailSampling {
    let budget = Budget::per_second(0.001);
    TailSampling::new()
        .keep(Policy::errors())
        .keep(Policy::when(|trace| if trace.span_count() % 2 == 0 { panic!("bad") } else { false }))
        .keep(Policy::slowest(0.5).within(&budget))
        .keep(Policy::probability(1e-9))
}

/// Threads record while the telemetry is flushed, the receiver fails and returns, and everything is shut down in the middle of it.
#[test]
#[allow(clippy::disallowed_methods, reason = "a test of several threads")]
fn limits_of_one_lose_no_span_uncounted_under_load_and_shutdown() {
    const EACH: u64 = 1500;
    let all = policies;
    for tail in [
        all().with_max_traces(1),
        all().with_max_traces(0),
        all().with_max_spans(1),
        all().with_max_bytes(1024),
        all().with_max_bytes(0).with_grace(Duration::ZERO).with_deadline(Duration::ZERO),
        all().with_grace(Duration::MAX).with_deadline(Duration::MAX),
    ] {
        let exporter = Counts::default();
        let telemetry = telemetry(tail, exporter.clone(), Runtime::Thread, Clock::system());
        let (tracer, done, made) = (telemetry.tracer("shop"), AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for number in 0..EACH {
                        made.fetch_add(request(&tracer, &Context::new(), number % 7 == 0), Ordering::Relaxed);
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            while done.load(Ordering::Relaxed) < 2 * EACH {
                exporter.fails.store(done.load(Ordering::Relaxed) % 2, Ordering::Relaxed);
                let _ = telemetry.force_flush(Deadline::after(Duration::from_secs(1)));
            }
            exporter.fails.store(0, Ordering::Relaxed);
            telemetry.shutdown(Deadline::after(Duration::from_secs(20))).unwrap();
        });
        check_counts(&telemetry, &exporter, made.into_inner());
    }
}

fn caller(trace: TraceId, state: TraceState) -> Context {
    let remote = SpanContext::new(trace, SpanId::from(7), TraceFlags::SAMPLED, true, state);
    Context::new().with_remote_span_context(remote)
}

/// More local roots of one trace run at the same time than an entry of the table counts.
#[test]
fn one_trace_id_for_all_requests() {
    let (exporter, clock, runtime) = (Counts::default(), ManualClock::new(), ManualRuntime::new());
    let tail = TailSampling::new().keep(Policy::errors()).with_max_spans(10_000);
    let telemetry = telemetry(tail, exporter.clone(), Runtime::Manual(runtime.clone()), clock.clock());
    let (tracer, parent) = (telemetry.tracer("shop"), caller(TraceId::from(1), TraceState::NONE));
    let running: Vec<_> = (0..70_000).map(|_| tracer.start_with_context("GET /", &parent)).collect();
    let mut made = running.len() as u64;
    for number in 0..60_000 {
        made += request(&tracer, &parent, number == 30_000);
        if number % 500 == 0 {
            clock.advance(Duration::from_millis(50));
            runtime.run_timers();
            assert!(telemetry.health().tail.unwrap().held_spans <= 10_000);
        }
    }
    for (number, root) in running.into_iter().enumerate() {
        drop(root);
        if number % 1000 == 0 {
            runtime.run_timers();
        }
    }
    check_counts(&telemetry, &exporter, made);
}

#[test]
fn trace_states_of_callers_count_in_the_limits_and_are_harmless() {
    let (exporter, clock, runtime) = (Counts::default(), ManualClock::new(), ManualRuntime::new());
    let waits = Duration::from_secs(3600);
    let tail = TailSampling::new().keep(Policy::head_sampled()).with_grace(waits).with_max_bytes(8 << 20);
    let telemetry = telemetry(tail, exporter.clone(), Runtime::Manual(runtime.clone()), clock.clock());
    let tracer = telemetry.tracer("shop");
    let entries = ["th:", "rv:zz;th:0", "th:ffffffffffffffff;rv:1", "th:8;th:0;x:y", ";;;:::", "rv:00000000000000"];
    let memory = allocation_counter::measure(|| {
        for number in 0..3000 {
            let ot = format!("{};{}", entries[number % entries.len()], "p:8".repeat(70));
            let others = (0..31).map(|key| (format!("vendor{key}"), "v".repeat(250)));
            let ot = [("ot".to_owned(), ot.chars().take(256).collect())];
            let state = TraceState::from_key_value(ot.into_iter().chain(others)).unwrap();
            request(&tracer, &caller(RandomIds.trace_id(), state), false);
            if number % 100 == 0 {
                runtime.run_timers();
            }
        }
        (0..2).for_each(|_| runtime.run_timers());
    });
    let held = telemetry.health().tail.unwrap();
    assert!(held.evicted.total > 0 && held.held_bytes <= 8 << 20, "{held:?}");
    assert!(memory.bytes_current < 16 << 20, "{memory:?} {held:?}");
    check_counts(&telemetry, &exporter, 9000);
}

#[test]
fn a_clock_that_jumps_ahead_delays_no_decision() {
    let (exporter, clock, runtime) = (Counts::default(), ManualClock::new(), ManualRuntime::new());
    let tail = TailSampling::new().keep(Policy::per_second(5.0)).keep(Policy::slowest(0.9)).keep(Policy::errors());
    let telemetry = telemetry(tail, exporter.clone(), Runtime::Manual(runtime.clone()), clock.clock());
    let tracer = telemetry.tracer("shop");
    for step in 0..200_u64 {
        for _ in 0..20 {
            request(&tracer, &Context::new(), step % 5 == 0);
        }
        // From nothing to eight years.
        clock.advance(Duration::from_secs(1_u64 << (step * 11 % 29)).saturating_sub(Duration::from_secs(1)));
        (0..2).for_each(|_| runtime.run_timers());
    }
    clock.advance(Duration::from_secs(60));
    (0..2).for_each(|_| runtime.run_timers());
    assert_eq!(telemetry.health().tail.unwrap().held_traces, 0);
    check_counts(&telemetry, &exporter, 200 * 20 * 3);
}
