//! The memory that waiting spans occupy. It is bounded in bytes regardless of the shape of the spans, and large enough
//! for large spans if the receiver can keep up.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use telemark_sdk::batch::{BatchConfig, BatchProcessor};
use telemark_sdk::runtime::{ManualRuntime, Runtime};
use telemark_sdk::signal::Traces;
use telemark_sdk::testing::InMemoryExporter;
use telemark_sdk::time::{Deadline, Timestamp};
use telemark_sdk::trace::{SpanData, SpanEvent};
use telemark_sdk::{Batch, ExportError, ExportReport, Exporter, Resource};

const MIB: usize = 1 << 20;

fn span() -> SpanData {
    let context = SpanContext::new(TraceId::from(1), SpanId::from(1), TraceFlags::SAMPLED, false, TraceState::NONE);
    SpanData::new(context, "span", InstrumentationScope::builder("test").build().into())
}

fn attributes(number: usize, bytes: usize) -> Vec<KeyValue> {
    (0..number).map(|n| KeyValue::new(format!("key {n}"), "x".repeat(bytes))).collect()
}

fn with_attributes(number: usize, bytes: usize) -> SpanData {
    let mut span = span();
    span.own_attributes = attributes(number, bytes);
    span
}

fn with_events(number: usize, bytes: usize) -> SpanData {
    let mut span = span();
    for _ in 0..number {
        span.events.push(SpanEvent::new("event", Timestamp::default(), attributes(1, bytes)), usize::MAX);
    }
    span
}

/// Blocks in its first export until the test releases it.
struct Hangs(Sender<()>, Receiver<()>);

impl Exporter<Traces> for Hangs {
    fn export(&mut self, _: Batch<'_, Traces>, _: Deadline) -> Result<ExportReport, ExportError> {
        let _ = self.0.send(());
        let _ = self.1.recv();
        Ok(ExportReport::accepted())
    }
}

/// Ends `spans` spans while an export is blocked. The first spans are being exported, and the others wait.
fn check_hanging(name: &str, config: BatchConfig, spans: usize, make: impl Fn() -> SpanData) {
    let (started, starts) = channel();
    let (release, released) = channel();
    let processor =
        BatchProcessor::start(Hangs(started, released), Resource::empty(), config, &Runtime::Thread).unwrap();
    // Everything that is waiting was allocated on this thread.
    let measured = allocation_counter::measure(|| {
        (0..spans).for_each(|_| processor.add(make()));
        // Regardless of the shape of the spans, their total size wakes the worker long before the delay has passed.
        starts.recv_timeout(Duration::from_secs(60)).unwrap();
        (0..spans).for_each(|_| processor.add(make()));
    });
    let peak = usize::try_from(measured.bytes_max).unwrap();
    let health = processor.health();
    assert!(health.dropped_queue_bytes_full > 0, "{name}: {health:?}");
    let bound = config.max_queue_bytes() + 16 * MIB;
    assert!(peak <= bound, "{name}: {} MiB at the peak, {} MiB are allowed", peak / MIB, bound / MIB);
    drop(release);
    assert!(processor.shutdown(Deadline::NEVER).is_ok());
    let health = processor.health();
    assert_eq!(
        health.exported + health.dropped_queue_full + health.dropped_queue_bytes_full,
        2 * spans as u64,
        "{name}"
    );
}

#[test]
fn memory_is_bounded_in_bytes_though_the_exporter_hangs() {
    let config = BatchConfig::SPANS.with_schedule_delay(Duration::from_secs(3600));
    check_hanging("128 attributes of 8 KB", config, 150, || with_attributes(128, 8 << 10));
    check_hanging("128 events of 8 KB", config, 150, || with_events(128, 8 << 10));
    check_hanging("an attribute of 1 MB", config, 150, || with_attributes(1, 1 << 20));
    let many = config.with_max_queue_size(1 << 20);
    check_hanging("128 numbers", many, 12_000, || {
        let mut span = span();
        span.own_attributes = (0..128).map(|n| KeyValue::new("key", n)).collect();
        span
    });
    check_hanging("ordinary spans", many, 150_000, || with_attributes(3, 20));
    let small = config.with_max_queue_bytes(MIB);
    check_hanging("a small budget", small, 2000, || with_attributes(16, 100));
}

#[test]
fn what_is_being_exported_counts() {
    let (started, starts) = channel();
    let (release, released) = channel();
    let config = BatchConfig::SPANS.with_max_queue_bytes(100_000).with_max_batch_size(1);
    let processor =
        BatchProcessor::start(Hangs(started, released), Resource::empty(), config, &Runtime::Thread).unwrap();
    let dropped = || processor.health().dropped_queue_bytes_full;
    processor.add(with_attributes(1, 60_000));
    starts.recv().unwrap();
    processor.add(with_attributes(1, 60_000));
    assert_eq!(dropped(), 1, "the exporter has the first one in hand");
    release.send(()).unwrap();
    processor.flush(Deadline::NEVER).unwrap();
    processor.add(with_attributes(1, 60_000));
    assert_eq!(dropped(), 1);
    drop(release);
}

#[test]
fn a_batch_is_full_in_bytes_too() {
    let exporter = InMemoryExporter::<Traces>::new();
    let runtime = ManualRuntime::new();
    let manual = Runtime::Manual(runtime.clone());
    let processor = BatchProcessor::start(exporter.clone(), Resource::empty(), BatchConfig::SPANS, &manual).unwrap();
    (0..10).for_each(|_| processor.add(with_attributes(1, 1 << 20)));
    processor.flush(Deadline::NEVER).unwrap();
    assert_eq!(exporter.batches(), [3, 3, 3, 1]);
    processor.add(with_attributes(1, 20 << 20));
    processor.flush(Deadline::NEVER).unwrap();
    assert_eq!(exporter.batches()[4..], [1], "a span that is larger than a batch has one of its own");
}

/// A receiver that is twice as fast as the program: during the export of a batch, half as many new spans end as the
/// batch contains.
struct TwiceAsFast {
    processor: Arc<OnceLock<BatchProcessor<Traces>>>,
}

impl Exporter<Traces> for TwiceAsFast {
    fn export(&mut self, batch: Batch<'_, Traces>, _: Deadline) -> Result<ExportReport, ExportError> {
        let processor = self.processor.get().unwrap();
        (0..batch.len() / 2).for_each(|_| processor.add(with_attributes(128, 1 << 10)));
        Ok(ExportReport::accepted())
    }
}

#[test]
fn large_spans_at_half_the_rate_of_the_receiver_all_arrive() {
    let processor = Arc::new(OnceLock::new());
    let exporter = TwiceAsFast { processor: processor.clone() };
    let runtime = ManualRuntime::new();
    let manual = Runtime::Manual(runtime.clone());
    let started = BatchProcessor::start(exporter, Resource::empty(), BatchConfig::SPANS, &manual).unwrap();
    assert!(processor.set(started).is_ok());
    let processor = processor.get().unwrap();
    for _ in 0..2000 {
        processor.add(with_attributes(128, 1 << 10));
        runtime.run_woken();
    }
    processor.shutdown(Deadline::NEVER).unwrap();
    let health = processor.health();
    // Spans that ended during the shutdown were too late.
    assert_eq!((health.dropped_queue_full, health.dropped_queue_bytes_full), (0, 0), "{health:?}");
    assert!(health.exported >= 2000, "{health:?}");
}
