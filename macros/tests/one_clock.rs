//! `#[traced(metrics)]` on installed telemetry: the measured duration equals the span's duration, to the nanosecond, with
//! one clock reading at the start and one at the end. There is only one test, because a process can install telemetry only
//! once.

#![allow(clippy::unwrap_used, clippy::panic, reason = "panics are what is tested")]

mod support;

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};

use support::{block_on, poll_once, yield_now};
use telemark::traced;
use telemark_sdk::config::Env;
use telemark_sdk::install::Telemetry;
use telemark_sdk::metrics::{MetricData, PullReader, ReaderConfig, TemporalityPreference};
use telemark_sdk::signal::Traces;
use telemark_sdk::testing::InMemoryExporter;
use telemark_sdk::time::{Clock, Deadline, TimeSource, Timestamp};

/// A clock that advances by a second with each reading.
struct Ticks(AtomicU64);

impl TimeSource for Ticks {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(1_000_000_000 * self.0.fetch_add(1, Ordering::Relaxed))
    }
}

#[traced(metrics)]
fn plain() {}

#[traced(metrics, ret)]
fn fallible(fails: bool) -> Result<u32, String> {
    if fails { Err("on purpose".to_owned()) } else { Ok(7) }
}

#[traced(metrics)]
fn panics() -> u32 {
    panic!("on purpose")
}

#[traced(metrics, ret)]
async fn work(fails: bool) -> Result<u32, String> {
    yield_now().await;
    if fails { Err("on purpose".to_owned()) } else { Ok(7) }
}

#[traced(metrics)]
async fn panics_late() {
    yield_now().await;
    panic!("on purpose")
}

#[traced(metrics)]
async fn waits() {
    std::future::pending().await
}

#[traced(metrics)]
fn returns_a_box(panics: bool) -> Pin<Box<dyn Future<Output = u32> + Send>> {
    assert!(!panics, "on purpose");
    Box::pin(async { 7 })
}

struct Setup {
    telemetry: Telemetry,
    reader: PullReader,
    exporter: InMemoryExporter<Traces>,
}

impl Setup {
    /// Makes one call and compares its duration, in clock readings, with its span's duration.
    #[track_caller]
    fn check(&self, call: impl FnOnce()) {
        self.exporter.clear();
        // The call may end in a panic.
        drop(catch_unwind(AssertUnwindSafe(call)));
        self.telemetry.force_flush(Deadline::NEVER).unwrap();
        let [span] = &self.exporter.items()[..] else { panic!("one call has one span") };
        let scopes = self.reader.collect(Deadline::NEVER).unwrap();
        let metrics: Vec<_> = scopes.into_iter().flat_map(|scope| scope.metrics).collect();
        let [metric] = &metrics[..] else { panic!("{metrics:?}") };
        let MetricData::Histogram { points, .. } = &metric.data else { panic!("{metric:?}") };
        let [point] = &points[..] else { panic!("{points:?}") };
        let [exemplar] = &point.exemplars[..] else { panic!("{point:?}") };
        assert_eq!(exemplar.span_id, span.context.span_id());
        let seconds = span.duration().as_secs_f64();
        assert_eq!((exemplar.value.as_f64(), point.sum, seconds), (1.0, Some(1.0), 1.0), "{}", span.name);
    }
}

#[test]
fn the_measurement_is_exactly_the_duration_of_the_span() {
    let exporter = InMemoryExporter::new();
    let reader = PullReader::new(ReaderConfig::new().with_temporality(TemporalityPreference::Delta));
    let telemetry = Telemetry::builder(Env::from_pairs([("OTEL_SERVICE_NAME", "test")]))
        .with_clock(Clock::from_source(Ticks(AtomicU64::new(1))))
        .with_metric_reader(reader.clone())
        .with_span_exporter(exporter.clone())
        .build()
        .unwrap()
        .install()
        .unwrap();
    let setup = Setup { telemetry, reader, exporter };
    // The first call of a function creates its histogram, which also reads the clock.
    let twice = |call: &dyn Fn()| {
        drop(catch_unwind(AssertUnwindSafe(call)));
        setup.telemetry.force_flush(Deadline::NEVER).unwrap();
        drop(setup.reader.collect(Deadline::NEVER).unwrap());
        setup.check(call);
    };
    twice(&plain);
    twice(&|| drop(fallible(false)));
    twice(&|| drop(fallible(true)));
    twice(&|| assert_eq!(panics(), 0));
    twice(&|| drop(block_on(work(false))));
    twice(&|| drop(block_on(work(true))));
    twice(&|| block_on(panics_late()));
    twice(&|| assert_eq!(block_on(returns_a_box(false)), 7));
    twice(&|| drop(returns_a_box(false)));
    twice(&|| drop(returns_a_box(true)));
    twice(&|| assert!(poll_once(pin!(waits())).is_pending()));
}
