//! The memory of tail sampling: what 50,000 waiting traces take, and that nothing grows in an hour.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use opentelemetry::trace::{Span, SpanContext, Status, TraceContextExt, TraceFlags, TraceState, Tracer};
use opentelemetry::{Context, KeyValue};
use telemark_sdk::batch::BatchConfig;
use telemark_sdk::config::Env;
use telemark_sdk::id::{IdGenerator, RandomIds};
use telemark_sdk::install::Telemetry;
use telemark_sdk::runtime::{ManualRuntime, Runtime};
use telemark_sdk::signal::Traces;
use telemark_sdk::stages::tail::{Policy, TailSampling};
use telemark_sdk::testing::{InMemoryExporter, ManualClock};
use telemark_sdk::trace::SdkTracer;

struct Service {
    telemetry: Telemetry,
    tracer: SdkTracer,
    exporter: InMemoryExporter<Traces>,
    clock: ManualClock,
    runtime: ManualRuntime,
}

fn service(tail: TailSampling) -> Service {
    let (exporter, clock, runtime) = (InMemoryExporter::new(), ManualClock::new(), ManualRuntime::new());
    let telemetry = Telemetry::builder(Env::from_pairs([("OTEL_LOGS_EXPORTER", "none")]))
        .with_runtime(Runtime::Manual(runtime.clone()))
        .with_clock(clock.clock())
        .with_span_batch(BatchConfig::SPANS.with_max_queue_size(1 << 16))
        .with_span_exporter(exporter.clone())
        .with_tail_sampling(tail)
        .build()
        .unwrap();
    Service { tracer: telemetry.tracer("shop"), telemetry, exporter, clock, runtime }
}

/// Ends three spans with three attributes each.
fn answer(tracer: &SdkTracer, name: &str, fails: bool, is_remote: bool) {
    let (trace, span) = (RandomIds.trace_id(), RandomIds.span_id());
    let remote = SpanContext::new(trace, span, TraceFlags::SAMPLED, is_remote, TraceState::NONE);
    let parent = Context::new().with_remote_span_context(remote);
    let mut root = tracer.start_with_context(name.to_owned(), &parent);
    let here = SpanContext::new(trace, root.span_context().span_id(), TraceFlags::SAMPLED, false, TraceState::NONE);
    let inside = Context::new().with_remote_span_context(here);
    let attributes = || {
        [
            KeyValue::new("http.request.method", "GET"),
            KeyValue::new("http.response.status_code", 200),
            KeyValue::new("url.path", "/carts/4711/items".to_owned()),
        ]
    };
    for child in ["SELECT", "GET"] {
        let mut child = tracer.start_with_context(child, &inside);
        child.set_attributes(attributes());
    }
    root.set_attributes(attributes());
    if fails {
        root.set_status(Status::error("no"));
    }
}

/// Checks what 50,000 waiting traces take that come in fifty parts, with this time between two of them.
fn check_fifty_thousand(between: Duration) {
    const TRACES: usize = 50_000;
    let waits = Duration::from_secs(3600);
    let tail = TailSampling::new().keep(Policy::errors()).with_grace(waits).with_deadline(waits);
    let mut started = None;
    let memory = allocation_counter::measure(|| {
        let Service { tracer, clock, runtime, .. } = started.insert(service(tail));
        for number in 0..TRACES {
            answer(tracer, "GET /carts/{id}/items", false, true);
            if number % 1000 == 999 {
                clock.advance(between);
                runtime.run_timers();
            }
        }
    });
    let held = started.unwrap().telemetry.health().tail.unwrap();
    assert_eq!((held.held_traces, held.held_spans, held.evicted.total), (TRACES as u64, 3 * TRACES as u64, 0));
    let bytes = memory.bytes_current;
    assert!((40_000_000..=64 << 20).contains(&bytes), "{bytes}");
    // What the sampler counts is at least what it takes, with what it remembers about decisions.
    assert!(bytes < held.held_bytes as i64, "{bytes} {held:?}");
}

#[test]
fn fifty_thousand_waiting_traces_take_less_than_64_mb() {
    // After two seconds, spans are moved out of the chunks in which they arrived.
    check_fifty_thousand(Duration::from_secs(1));
}

#[test]
fn so_do_those_of_a_burst_which_wait_in_the_chunks_in_which_they_arrived() {
    check_fifty_thousand(Duration::from_millis(10));
}

#[test]
fn the_durations_of_many_names_take_less_than_640_kb() {
    let Service { telemetry: _telemetry, tracer, exporter, clock, runtime } =
        service(TailSampling::new().keep(Policy::slowest(0.99)).with_max_traces(2000));
    let answers = |names: u32| {
        for number in 0..1000 {
            let name = format!("GET /{}/{}", number % names, "x".repeat(240));
            answer(&tracer, &name, false, true);
        }
        clock.advance(Duration::from_secs(1));
        (0..2).for_each(|_| runtime.run_timers());
        exporter.clear();
    };
    (0..10).for_each(|_| answers(1));
    let memory = allocation_counter::measure(|| (0..3).for_each(|_| answers(1000)));
    assert!((500_000..640_000).contains(&memory.bytes_current), "{memory:?}");
}

#[test]
fn nothing_grows_in_an_hour() {
    let tail = TailSampling::new()
        .keep(Policy::errors())
        .keep(Policy::slowest(0.99))
        .keep(Policy::per_second(2.0))
        .with_max_traces(500);
    let Service { telemetry, tracer, exporter, clock, runtime } = service(tail);
    let minutes = |minutes: u32| {
        let memory = allocation_counter::measure(|| {
            for second in 0..60 * minutes {
                for number in 0..20_u32 {
                    // Names without end, and spans whose local root never ends here.
                    let name = if number == 0 { format!("GET /{}", second * 31 % 4093) } else { "GET /".to_owned() };
                    clock.advance(Duration::from_millis(u64::from(number)));
                    answer(&tracer, &name, number == 7, number != 3);
                }
                clock.advance(Duration::from_millis(810));
                (0..2).for_each(|_| runtime.run_timers());
                exporter.clear();
            }
        });
        memory.bytes_current
    };
    minutes(20);
    let grown = [minutes(20), minutes(20)];
    assert!(grown.iter().all(|bytes| *bytes < 200_000), "{grown:?}");
    let health = telemetry.health().tail.unwrap();
    assert!(health.held_traces <= 40 && health.evicted.total == 0, "{health:?}");
    let kept: u64 = health.kept.iter().map(|(_, count)| count.total).sum();
    assert_eq!(kept + health.dropped.total + health.held_traces, 20 * 3600);
}
