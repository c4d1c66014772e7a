//! Uses providers, tracers and spans from several threads concurrently.
#![allow(clippy::disallowed_methods, reason = "a test of several threads")]
#![allow(clippy::unwrap_used, reason = "test helpers")]

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Barrier};

use opentelemetry::trace::{Span, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use telemark_sdk::config::Env;
use telemark_sdk::install::Telemetry;
use telemark_sdk::signal::Traces;
use telemark_sdk::testing::{InMemoryExporter, TestTelemetry};
use telemark_sdk::time::Deadline;

const THREADS: usize = 4;
const SPANS: usize = 200;

#[test]
fn one_provider_serves_many_threads() {
    let exporter = InMemoryExporter::new();
    let env = Env::from_pairs([("OTEL_BSP_MAX_QUEUE_SIZE", "100000")]);
    let telemetry = Telemetry::builder(env).with_span_exporter(exporter.clone()).build().unwrap();
    let (provider, shared) = (telemetry.tracer_provider(), telemetry.tracer("shared"));
    let start = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (start, shared) = (&start, &shared);
            scope.spawn(move || {
                start.wait();
                let name = format!("of thread {thread}");
                let own = provider.tracer_with_scope(InstrumentationScope::builder(name).build());
                for index in 0..SPANS {
                    own.start("own").end();
                    shared.start("shared").end();
                    if index % 50 == 0 {
                        provider.force_flush(Deadline::NEVER).unwrap();
                    }
                }
            });
        }
    });
    telemetry.shutdown(Deadline::NEVER).unwrap();
    let mut counts = BTreeMap::new();
    for span in exporter.items() {
        *counts.entry(span.scope.name().to_owned()).or_insert(0) += 1;
    }
    let mut expected: BTreeMap<_, _> = (0..THREADS).map(|thread| (format!("of thread {thread}"), SPANS)).collect();
    expected.insert("shared".to_owned(), THREADS * SPANS);
    assert_eq!(counts, expected);
}

#[test]
fn one_span_is_changed_by_many_threads() {
    let telemetry = TestTelemetry::new();
    let context = Context::new().with_span(telemetry.tracer("test").start("shared"));
    let start = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (start, context) = (&start, &context);
            scope.spawn(move || {
                start.wait();
                for index in 0..20 {
                    context.span().set_attribute(KeyValue::new(format!("{thread}.{index}"), index));
                    context.span().add_event(format!("{thread}"), vec![]);
                }
            });
        }
    });
    context.span().end();
    drop(context);
    let span = &telemetry.spans()[0];
    let events = |thread: usize| span.events.iter().filter(|event| event.name == thread.to_string()).count();
    assert_eq!(span.own_attributes.len(), THREADS * 20);
    assert_eq!((0..THREADS).map(events).collect::<Vec<_>>(), [20; THREADS]);
}

/// Starts telemetry with a queue that is large enough for all spans in a test, and an exporter that counts them.
fn counting(exporter: &InMemoryExporter<Traces>) -> Telemetry {
    let env =
        Env::from_pairs([("OTEL_BSP_MAX_QUEUE_SIZE", "1000000"), ("OTEL_RUST_BSP_MAX_QUEUE_BYTES", "2000000000")]);
    Telemetry::builder(env).with_span_exporter(exporter.clone()).build().unwrap()
}

fn arrived(exporter: &InMemoryExporter<Traces>) -> usize {
    exporter.items().iter().map(|span| span.context.span_id()).collect::<HashSet<_>>().len()
}

#[test]
fn ten_thousand_short_threads_lose_no_span() {
    let exporter = InMemoryExporter::new();
    let telemetry = counting(&exporter);
    let tracer = telemetry.tracer("test");
    for round in 0..500 {
        std::thread::scope(|scope| {
            (0..20).for_each(|_| drop(scope.spawn(|| tracer.start("short").end())));
        });
        if round % 100 == 0 {
            telemetry.tracer_provider().force_flush(Deadline::NEVER).unwrap();
        }
    }
    telemetry.shutdown(Deadline::NEVER).unwrap();
    assert_eq!(arrived(&exporter), 10_000);
}

#[test]
fn a_hundred_thousand_tasks_on_two_workers_lose_no_span() {
    const TASKS: usize = 100_000;
    let exporter = InMemoryExporter::new();
    let telemetry = counting(&exporter);
    let tracer = Arc::new(telemetry.tracer("test"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let tracer = tracer.clone();
                tokio::spawn(async move {
                    let mut span = tracer.start("task");
                    // The task may continue, and the span may end, on the other worker.
                    tokio::task::yield_now().await;
                    span.end();
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    telemetry.shutdown(Deadline::NEVER).unwrap();
    assert_eq!(arrived(&exporter), TASKS);
}
