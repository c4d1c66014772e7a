//! Threads record while a periodic reader exports over OTLP and Prometheus pulls. Nothing is lost or counted twice.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::{TraceContextExt, Tracer};
use telemark::otlp::OtlpExporter;
use telemark::prometheus::PrometheusExporter;
use telemark_sdk::config::Env;
use telemark_sdk::install::Telemetry;
use telemark_sdk::metrics::{Aggregation, PeriodicConfig, ReaderConfig, TemporalityPreference, View};
use telemark_sdk::signal::Metrics;
use telemark_sdk::testing::InMemoryExporter;
use telemark_sdk::time::Deadline;
use telemark_tests::{Point, Script, Sink};

const THREADS: u64 = 8;
const ROUNDS: u64 = 20_000;
/// The number of values of the attribute shared by all threads. The other attribute has one value per thread.
const SHARED: u64 = 7;

/// Returns the number that follows `name=` in the text of a point.
fn field(text: &str, name: &str) -> f64 {
    let (_, rest) = text.split_once(&format!("{name}=")).unwrap();
    rest.split(' ').next().unwrap().parse().unwrap()
}

/// Returns the total for each metric at the receiver: the sum of all points for deltas, and of the last points
/// otherwise.
fn at_the_receiver(points: &[Point]) -> BTreeMap<String, f64> {
    let mut totals = BTreeMap::new();
    let last = points.iter().map(|point| point.time).max().unwrap();
    for point in points.iter().filter(|point| point.kind.starts_with("delta") || point.time == last) {
        let name = point.name.clone();
        if point.kind.ends_with("histogram") {
            *totals.entry(format!("{name}_count")).or_default() += field(&point.value, "count");
            *totals.entry(format!("{name}_sum")).or_default() += field(&point.value, "sum");
        } else {
            *totals.entry(name).or_default() += point.value.parse::<f64>().unwrap();
        }
    }
    totals
}

/// Returns the totals on a Prometheus page.
fn on_the_page(page: &str) -> BTreeMap<String, f64> {
    let mut totals = BTreeMap::new();
    for line in page.lines().filter(|line| !line.starts_with('#') && !line.contains("_bucket{")) {
        let (series, rest) = line.split_once("} ").unwrap_or_else(|| line.split_once(' ').unwrap());
        let name = series.split('{').next().unwrap().trim_end_matches("_total").to_owned();
        if !name.ends_with("_created") && name != "target_info" {
            *totals.entry(name).or_default() += rest.split(' ').next().unwrap().parse::<f64>().unwrap();
        }
    }
    totals
}

fn soak(preference: TemporalityPreference) {
    let sink = Sink::start(Script::Take).unwrap();
    let env =
        || Env::from_pairs([("OTEL_EXPORTER_OTLP_ENDPOINT", sink.endpoint()), ("OTEL_LOG_LEVEL", "none".to_owned())]);
    let prometheus = PrometheusExporter::new();
    let telemetry = Telemetry::builder(env())
        .with_configured_metric_exporter(
            OtlpExporter::<Metrics>::from_env(&env()).unwrap(),
            ReaderConfig::new().with_temporality(preference),
        )
        .with_metric_reader(prometheus.reader())
        .with_metric_periods(PeriodicConfig::default().with_interval(Duration::from_millis(2)))
        .with_view(View::of("size").with_aggregation(Aggregation::exponential()))
        .with_span_exporter(InMemoryExporter::new())
        .build()
        .unwrap();
    let meter = telemetry.meter("soak");
    let orders = meter.u64_counter("orders").build();
    let waiting = meter.i64_up_down_counter("waiting").build();
    let duration = meter.f64_histogram("duration").build();
    let size = meter.u64_histogram("size").build();
    let tracer = telemetry.tracer("soak");

    let ended = AtomicBool::new(false);
    #[allow(clippy::disallowed_methods, reason = "the threads of an application")]
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut last = 0.0;
            while !ended.load(Ordering::Acquire) {
                let response = prometheus.response_for("application/openmetrics-text", "");
                let totals = on_the_page(&String::from_utf8(response.body).unwrap());
                let now = totals.get("orders").copied().unwrap_or_default();
                assert!(now >= last, "the total fell from {last} to {now}");
                last = now;
            }
        });
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (orders, waiting, duration, size, tracer) = (&orders, &waiting, &duration, &size, &tracer);
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        let attributes = [KeyValue::new("shared", (round % SHARED) as i64)];
                        let own = [KeyValue::new("thread", thread as i64)];
                        // Runs every hundredth round in a span, to produce exemplars.
                        let cx = (round % 100 == 0)
                            .then(|| opentelemetry::Context::current_with_span(tracer.start("work")).attach());
                        orders.add(1, &attributes);
                        waiting.add(if round % 2 == 0 { 3 } else { -2 }, &own);
                        duration.record((round % 1000) as f64, &attributes);
                        size.record(round, &own);
                        drop(cx);
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        ended.store(true, Ordering::Release);
    });
    let page = String::from_utf8(prometheus.response_for("application/openmetrics-text", "").body).unwrap();
    telemetry.shutdown(Deadline::after(Duration::from_secs(30))).unwrap();
    let health = telemetry.health().metrics[0];
    let points = sink.points().points;
    assert_eq!((points.len() as u64, 0, 0), (health.exported, health.rejected, health.failed));

    // Integer sums are exact in floating point.
    let each: u64 = (0..ROUNDS).map(|round| round % 1000).sum();
    let expected = BTreeMap::from(
        [
            ("orders", THREADS * ROUNDS),
            ("waiting", THREADS * ROUNDS / 2),
            ("duration_count", THREADS * ROUNDS),
            ("duration_sum", THREADS * each),
            ("size_count", THREADS * ROUNDS),
            ("size_sum", THREADS * (0..ROUNDS).sum::<u64>()),
        ]
        .map(|(name, total)| (name.to_owned(), total as f64)),
    );
    assert_eq!(on_the_page(&page), expected, "{preference:?}");
    assert_eq!(at_the_receiver(&points), expected, "{preference:?}");
    let exports = points.iter().filter(|point| point.name == "waiting").map(|point| point.time);
    assert!(exports.collect::<std::collections::BTreeSet<_>>().len() > 1, "there was one export only");
    assert!(points.iter().any(|point| !point.exemplars.is_empty()) && page.contains(" # {"), "no exemplars");
}

#[test]
fn cumulative() {
    soak(TemporalityPreference::Cumulative);
}

#[test]
fn delta() {
    soak(TemporalityPreference::Delta);
}
