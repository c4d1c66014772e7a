//! Many threads that record while the telemetry is flushed or shut down. Every span is exported or counted as dropped.
#![allow(clippy::expect_used, reason = "the test sees that the scenario fails")]
#![allow(clippy::disallowed_methods, reason = "a program with threads of its own")]

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use telemark::Guard;
use telemark_sdk::batch::BatchConfig;
use telemark_sdk::time::Deadline;

use super::exporters::Lines;

const THREADS: usize = 16;
const SPANS: u64 = 2_000;

/// Records on all threads while `meanwhile` runs. Its second argument returns the number of spans recorded so far, and
/// its third returns true once all threads have finished.
fn record(file: &Path, meanwhile: impl FnOnce(&Guard, &dyn Fn() -> u64, &dyn Fn() -> bool)) {
    // A small queue, so that some spans are dropped.
    let batch = BatchConfig::SPANS.with_max_queue_size(256).with_max_batch_size(64);
    let batch = batch.with_schedule_delay(Duration::from_millis(1));
    let telemetry = telemark::builder().with_span_exporter(Lines::new(file)).with_span_batch(batch).init();
    let telemetry = telemetry.expect("the first init of the process");
    let (made, running) = (AtomicU64::new(0), AtomicU64::new(THREADS as u64));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..SPANS {
                    let _span = telemark::span("span").enter();
                    if Context::current().span().is_recording() {
                        made.fetch_add(1, Ordering::Relaxed);
                    }
                }
                running.fetch_sub(1, Ordering::Release);
            });
        }
        let all_ended = || running.load(Ordering::Acquire) == 0;
        meanwhile(&telemetry, &|| made.load(Ordering::Relaxed), &all_ended);
    });
    // Spans that were still open when the telemetry ended are counted as dropped after shutdown.
    let ended = telemetry.shutdown(Deadline::after(Duration::from_secs(20)));
    let made = made.into_inner();
    let [health] = telemetry.health().traces[..] else {
        println!("there is more than one exporter");
        return;
    };
    let counted = health.exported + health.failed + health.dropped_queue_full + health.dropped_after_shutdown;
    let written = std::fs::read_to_string(file).unwrap_or_default();
    let lines = written.lines().filter(|line| *line == "span").count() as u64;
    println!("shutdown: {:?}", ended.is_ok());
    println!("something was exported: {}", health.exported > 0);
    println!("everything is counted: {}", if made == counted { "yes".into() } else { format!("{made} {health:?}") });
    println!("everything counted as exported is there: {}", lines == health.exported);
}

pub(crate) fn flushes(file: &Path) {
    record(file, |telemetry, _, all_ended| {
        while !all_ended() {
            if let Err(error) = telemetry.force_flush(Deadline::after(Duration::from_secs(20))) {
                println!("a flush failed: {error}");
            }
        }
    });
}

pub(crate) fn shutdown(file: &Path) {
    record(file, |telemetry, made, _| {
        while made() < THREADS as u64 * SPANS / 4 {
            std::thread::yield_now();
        }
        if let Err(error) = telemetry.shutdown(Deadline::after(Duration::from_secs(20))) {
            println!("the shutdown failed: {error}");
        }
    });
}
