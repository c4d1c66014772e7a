//! Tests short-lived threads that record until the very end of their lives. No measurement may be lost.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "a test of threads")]

use std::cell::RefCell;
use std::thread;

use opentelemetry::metrics::{BoundCounter, Counter, Histogram};
use telemark_sdk::instrument::spans::span;
use telemark_sdk::metrics::{ReaderConfig, TemporalityPreference};
use telemark_sdk::testing::TestTelemetry;

const THREADS: u64 = 2000;
const AT_ONCE: u64 = 8;

#[derive(Clone)]
struct Instruments {
    counter: Counter<u64>,
    bound: BoundCounter<u64>,
    sum: Counter<f64>,
    histogram: Histogram<u64>,
}

impl Instruments {
    fn record(&self) {
        self.counter.add(1, &[]);
        self.bound.add(1);
        self.sum.add(0.5, &[]);
        self.histogram.record(1, &[]);
    }
}

/// Records once more when its thread exits.
struct AtTheEnd(Instruments);

impl Drop for AtTheEnd {
    fn drop(&mut self) {
        self.0.record();
    }
}

thread_local!(static AT_THE_END: RefCell<Option<AtTheEnd>> = const { RefCell::new(None) });

/// Creates the value that records at thread exit either before or after the thread's own measurements, because
/// thread-local values are destroyed in reverse order of creation.
fn live(instruments: &Instruments, n: u64) {
    let prepare = || AT_THE_END.set(Some(AtTheEnd(instruments.clone())));
    if n % 2 == 0 {
        prepare();
        instruments.record();
    } else {
        instruments.record();
        prepare();
    }
}

fn check(temporality: TemporalityPreference, collections: u64) {
    let telemetry = TestTelemetry::new();
    let telemetry = telemetry.with_metrics(ReaderConfig::new().with_temporality(temporality), |builder| builder);
    let meter = telemetry.meter("test");
    let counter = meter.u64_counter("counter").build();
    let instruments = Instruments {
        bound: counter.bind(&[]),
        counter,
        sum: meter.f64_counter("sum").build(),
        histogram: meter.u64_histogram("histogram").build(),
    };
    let (mut counted, mut summed, mut measured) = (0.0, 0.0, 0.0);
    let mut collect = || {
        for line in telemetry.metrics().lines() {
            let value = |text: &str| -> Option<f64> { line.split_once(text)?.1.split(' ').next()?.parse().ok() };
            let total = match line.split(' ').next().unwrap() {
                "counter" => (&mut counted, value("sum ")),
                "sum" => (&mut summed, value("sum sum ").or(value("delta sum "))),
                _ => (&mut measured, value("count=")),
            };
            match temporality {
                TemporalityPreference::Delta => *total.0 += total.1.unwrap(),
                _ => *total.0 = total.1.unwrap(),
            }
        }
    };
    for _ in 0..collections {
        for _ in 0..THREADS / AT_ONCE / collections {
            let threads: Vec<_> = (0..AT_ONCE)
                .map(|n| {
                    let instruments = instruments.clone();
                    thread::spawn(move || live(&instruments, n))
                })
                .collect();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        }
        collect();
    }
    // Each thread records once from its body and once from a destructor. There are two counters.
    let lives = 2.0 * THREADS as f64;
    assert_eq!((counted, summed, measured), (2.0 * lives, lives / 2.0, lives), "{temporality:?}");
}

#[test]
fn short_threads_that_record_until_their_end_lose_nothing() {
    check(TemporalityPreference::Cumulative, 1);
    check(TemporalityPreference::Delta, 10);
}

#[test]
fn spans_of_short_threads_are_counted_exactly() {
    let telemetry = TestTelemetry::with(|builder| builder.with_span_counts());
    for _ in 0..THREADS / AT_ONCE {
        let context = telemetry.context();
        let threads: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                let context = context.clone();
                thread::spawn(move || {
                    let _attached = context.attach();
                    span("short").in_scope(|| ());
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
    let metrics = telemetry.metrics();
    let started = metrics.lines().find(|line| line.starts_with("otel.sdk.span.started")).unwrap();
    assert!(started.ends_with(&format!(" sum {THREADS}")), "{started}");
}
