//! With a metric receiver that is down, slow or refusing, recording stays fast and undelivered points are counted.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram};
use telemark::otlp::{OtlpExporter, RetryConfig};
use telemark_sdk::config::Env;
use telemark_sdk::install::Telemetry;
use telemark_sdk::metrics::PeriodicConfig;
use telemark_sdk::signal::Metrics;
use telemark_sdk::time::Deadline;
use telemark_tests::{Script, Sink, own_time};

/// The time limit for conditions, which is generous to allow for busy machines.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longer than recording takes, and much shorter than any wait for a receiver.
const QUICK: Duration = Duration::from_secs(5);

struct Shop {
    telemetry: Telemetry,
    orders: Counter<u64>,
    duration: Histogram<f64>,
}

impl Shop {
    /// Exports continuously. A single export gives up after `timeout`.
    fn open(endpoint: &str, timeout: Duration) -> Self {
        let env = Env::from_pairs([("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint), ("OTEL_LOG_LEVEL", "none")]);
        let exporter = OtlpExporter::<Metrics>::builder()
            .with_env(&env)
            .with_timeout(timeout)
            .with_retry(RetryConfig::default().with_initial_backoff(Duration::from_millis(1)).with_max_retries(2))
            .build()
            .unwrap();
        let periods = PeriodicConfig::default().with_interval(Duration::from_millis(1));
        let telemetry = Telemetry::builder(env)
            .with_metric_exporter(exporter)
            .with_metric_periods(periods)
            .with_flush_timeout(Duration::from_millis(100))
            .build()
            .unwrap();
        let meter = telemetry.meter("shop");
        let (orders, duration) = (meter.u64_counter("orders").build(), meter.f64_histogram("duration").build());
        Shop { telemetry, orders, duration }
    }

    /// Records a hundred thousand measurements in many series. Returns the elapsed time.
    fn record(&self) -> Duration {
        let start = own_time();
        for i in 0..50_000_i64 {
            self.orders.add(1, &[KeyValue::new("kind", i % 100)]);
            self.duration.record(i as f64, &[]);
        }
        own_time().saturating_sub(start)
    }

    /// Waits until at least `count` points have failed.
    #[track_caller]
    #[allow(clippy::disallowed_methods, reason = "tests have no clock of the sdk")]
    fn await_failed(&self, count: u64) {
        let start = Instant::now();
        while self.telemetry.health().metrics[0].failed < count {
            assert!(start.elapsed() < PATIENCE, "timed out: {:?}", self.telemetry.health().metrics);
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }
}

/// Runs against a receiver that accepts nothing: recording stays fast, every point is counted as failed, and a flush
/// fails by its deadline.
#[track_caller]
fn check_lost(endpoint: &str, timeout: Duration) {
    let shop = Shop::open(endpoint, timeout);
    assert!(shop.record() < QUICK, "recording waited");
    // The counter has a hundred series, and the histogram has one.
    shop.await_failed(101);
    assert!(shop.record() < QUICK, "recording waited");
    let start = own_time();
    shop.telemetry.force_flush(Deadline::after(Duration::from_secs(2))).unwrap_err();
    let took = own_time().saturating_sub(start);
    assert!(took < QUICK, "a flush took {took:?}");
    let health = shop.telemetry.health().metrics[0];
    assert_eq!((health.exported, health.rejected), (0, 0));
    assert!(health.failed >= 101);
    let start = own_time();
    drop(shop);
    let took = own_time().saturating_sub(start);
    assert!(took < QUICK, "the end took {took:?}");
}

#[test]
fn nobody_listens() {
    check_lost(Sink::NOBODY, Duration::from_secs(10));
}

#[test]
fn the_receiver_refuses() {
    for status in [400, 429, 503] {
        let sink = Sink::start(Script::Status(status)).unwrap();
        check_lost(&sink.endpoint(), Duration::from_secs(10));
        assert!(sink.seen() > 0);
    }
}

#[test]
fn the_receiver_closes_the_connection() {
    check_lost(&Sink::start(Script::Close).unwrap().endpoint(), Duration::from_secs(10));
}

#[test]
fn the_receiver_never_answers() {
    check_lost(&Sink::start(Script::Silence).unwrap().endpoint(), Duration::from_millis(50));
}

/// Exports do not pile up behind a slow one. The next export contains everything recorded in the meantime.
#[test]
fn the_receiver_is_slow() {
    let sink = Sink::start(Script::TakeHeld).unwrap();
    let shop = Shop::open(&sink.endpoint(), Duration::from_secs(600));
    assert!(shop.record() < QUICK, "recording waited");
    sink.await_seen(1);
    assert!(shop.record() < QUICK, "recording waited");
    assert_eq!(sink.seen(), 1, "one export at a time");
    sink.let_through(2);
    sink.await_seen(3);
    let points = sink.points().points;
    // Totals are cumulative, so the second export contains all of them.
    let last = points.iter().map(|point| point.time).max().unwrap();
    let orders = points.iter().filter(|point| point.name == "orders" && point.time == last);
    assert_eq!(orders.map(|point| point.value.parse::<u64>().unwrap()).sum::<u64>(), 100_000);
    sink.let_through(1_000_000);
    shop.telemetry.shutdown(Deadline::after(PATIENCE)).unwrap();
    let health = shop.telemetry.health().metrics[0];
    assert_eq!((health.failed, health.rejected), (0, 0));
    assert_eq!(sink.points().points.len() as u64, health.exported);
}
