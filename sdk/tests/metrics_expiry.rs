//! Series that nothing records into any more, and series that code removes.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider;
use proptest::prelude::*;
use telemark_sdk::config::Env;
use telemark_sdk::install::Telemetry;
use telemark_sdk::metrics::{
    Aggregation, MetricData, Number, PullReader, ReaderConfig, ScopeMetrics, SdkMeterProvider, TemporalityPreference,
    View,
};
use telemark_sdk::testing::{TestTelemetry, metrics_text};
use telemark_sdk::time::Deadline;

const MINUTE: Duration = Duration::from_secs(60);

fn kv(value: &str) -> [KeyValue; 1] {
    [KeyValue::new("k", value.to_owned())]
}

/// Series expire after ten minutes.
fn expiring(view: impl IntoIterator<Item = View>) -> TestTelemetry {
    TestTelemetry::new().with_metrics(ReaderConfig::new(), |builder| {
        view.into_iter().fold(builder.with_series_expiry(10 * MINUTE), |builder, view| builder.with_view(view))
    })
}

#[track_caller]
fn check(telemetry: &TestTelemetry, expected: &str) {
    let expected: Vec<_> = expected.lines().map(str::trim).collect();
    assert_eq!(telemetry.metrics().lines().collect::<Vec<_>>(), expected);
}

/// Returns the seconds from the start of the test to the start of each series.
fn starts(telemetry: &TestTelemetry, began: u64) -> BTreeMap<String, u64> {
    let mut starts = BTreeMap::new();
    for metric in telemetry.collect().iter().flat_map(|scope| &scope.metrics) {
        let MetricData::Sum { points, .. } = &metric.data else { panic!("{metric:?}") };
        for point in points {
            let start = (point.start.as_nanos() - began) / 1_000_000_000;
            starts.insert(format!("{:?}", point.attributes[0].value.as_str()), start);
        }
    }
    starts
}

#[test]
fn every_kind_of_series_expires_after_its_last_measurement() {
    let telemetry = expiring([View::of("e").with_aggregation(Aggregation::exponential())]);
    let meter = telemetry.meter("test");
    let (counter, up_down) = (meter.u64_counter("c").build(), meter.i64_up_down_counter("u").build());
    let (gauge, float) = (meter.f64_gauge("g").build(), meter.f64_counter("f").build());
    let (histogram, exponential) = (meter.f64_histogram("h").build(), meter.f64_histogram("e").build());
    let record = |value| {
        counter.add(1, &kv(value));
        up_down.add(-1, &kv(value));
        gauge.record(1.0, &kv(value));
        float.add(1.0, &kv(value));
        histogram.record(1.0, &kv(value));
        exponential.record(1.0, &kv(value));
    };
    let values = || {
        let metrics = telemetry.metrics();
        let value = |line: &str| line.split_once("k=").unwrap().1.split_once('}').unwrap().0.to_owned();
        let values: BTreeSet<_> = metrics.lines().map(value).collect();
        assert_eq!(metrics.lines().count(), 6 * values.len(), "{metrics}");
        values.into_iter().collect::<String>()
    };
    record("a");
    record("b");
    assert_eq!(values(), "ab");
    for _ in 0..3 {
        telemetry.clock.advance(5 * MINUTE);
        record("b");
    }
    assert_eq!(values(), "b");
    assert_eq!(telemetry.meter_provider().expired_series(), 6);
    telemetry.clock.advance(9 * MINUTE);
    assert_eq!(values(), "b");
    telemetry.clock.advance(MINUTE);
    assert_eq!(values(), "");
    record("a");
    assert_eq!(values(), "a");
}

#[test]
fn what_is_measured_again_and_again_stays_though_its_value_does_not_change() {
    let telemetry = expiring([]);
    let meter = telemetry.meter("test");
    let (counter, up_down, gauge) =
        (meter.u64_counter("c").build(), meter.f64_up_down_counter("u").build(), meter.i64_gauge("g").build());
    for _ in 0..5 {
        counter.add(0, &[]);
        up_down.add(1.0, &[]);
        up_down.add(-1.0, &[]);
        gauge.record(7, &[]);
        check(&telemetry, "c sum 0\ng gauge 7\nu up-down sum 0");
        telemetry.clock.advance(10 * MINUTE);
    }
    check(&telemetry, "");
}

#[test]
fn a_series_that_was_given_up_begins_anew_with_its_own_start() {
    let telemetry = expiring([View::of_all().with_cardinality_limit(2)]);
    let counter = telemetry.meter("test").u64_counter("c").build();
    let began = telemetry.clock.clock().now().as_nanos();
    counter.add(5, &kv("a"));
    counter.add(5, &kv("b"));
    assert_eq!(starts(&telemetry, began), [("\"a\"".to_owned(), 0), ("\"b\"".to_owned(), 0)].into());
    telemetry.clock.advance(10 * MINUTE);
    counter.add(1, &kv("b"));
    check(&telemetry, "c{k=b} sum 6");
    // This thread looks up its series, and no longer holds the other one.
    counter.add(1, &kv("b"));
    check(&telemetry, "c{k=b} sum 7");
    // Its place in the limit is free.
    counter.add(3, &kv("c"));
    check(&telemetry, "c{k=b} sum 7\nc{k=c} sum 3");
    telemetry.clock.advance(10 * MINUTE);
    counter.add(1, &kv("c"));
    telemetry.collect();
    counter.add(1, &kv("c"));
    telemetry.collect();
    counter.add(2, &kv("a"));
    check(&telemetry, "c{k=a} sum 2\nc{k=c} sum 5");
    assert_eq!(starts(&telemetry, began), [("\"a\"".to_owned(), 1200), ("\"c\"".to_owned(), 600)].into());
    assert_eq!(telemetry.meter_provider().expired_series(), 2);
}

#[test]
fn a_bound_series_disappears_and_continues_with_its_total() {
    let telemetry = expiring([]);
    let bound = telemetry.meter("test").u64_counter("c").build().bind(&kv("a"));
    let began = telemetry.clock.clock().now().as_nanos();
    bound.add(5);
    check(&telemetry, "c{k=a} sum 5");
    telemetry.clock.advance(10 * MINUTE);
    check(&telemetry, "");
    telemetry.clock.advance(10 * MINUTE);
    check(&telemetry, "");
    bound.add(1);
    check(&telemetry, "c{k=a} sum 6");
    assert_eq!(starts(&telemetry, began), [("\"a\"".to_owned(), 0)].into());
}

/// A thread that holds the series records into it without a look at the store.
#[test]
fn a_series_that_an_idle_thread_holds_loses_nothing() {
    let telemetry = expiring([]);
    let counter = telemetry.meter("test").u64_counter("c").build();
    std::thread::scope(|scope| {
        let (go, gone) = mpsc::channel::<()>();
        let (done, is_done) = mpsc::channel();
        let counter = &counter;
        let thread = scope.spawn(move || {
            counter.add(5, &kv("a"));
            done.send(()).unwrap();
            gone.recv().unwrap();
            counter.add(1, &kv("a"));
            done.send(()).unwrap();
        });
        is_done.recv().unwrap();
        check(&telemetry, "c{k=a} sum 5");
        for _ in 0..3 {
            telemetry.clock.advance(10 * MINUTE);
            check(&telemetry, "");
        }
        go.send(()).unwrap();
        is_done.recv().unwrap();
        check(&telemetry, "c{k=a} sum 6");
        thread.join().unwrap();
    });
    telemetry.clock.advance(10 * MINUTE);
    check(&telemetry, "");
    check(&telemetry, "");
    counter.add(2, &kv("a"));
    check(&telemetry, "c{k=a} sum 2");
}

/// Each thread records once and then waits, as those of a pool do, so that it never lets go of its series.
#[test]
fn series_that_idle_threads_hold_leave_their_places_to_others() {
    let telemetry = expiring([View::of_all().with_cardinality_limit(3)]);
    let counter = telemetry.meter("test").u64_counter("c").build();
    std::thread::scope(|scope| {
        let counter = &counter;
        let parked = |values: [&'static str; 3]| {
            let (go, gone) = mpsc::channel::<()>();
            let (done, is_done) = mpsc::channel();
            let thread = scope.spawn(move || {
                values.iter().for_each(|value| counter.add(1, &kv(value)));
                done.send(()).unwrap();
                gone.recv().unwrap();
                values.iter().for_each(|value| counter.add(1, &kv(value)));
                done.send(()).unwrap();
            });
            is_done.recv().unwrap();
            (thread, go, is_done)
        };
        let expire = || {
            telemetry.collect();
            telemetry.clock.advance(10 * MINUTE);
            check(&telemetry, "");
        };
        let (first, go, is_done) = parked(["a", "b", "c"]);
        expire();
        // The places of the first three are free.
        let second = parked(["d", "e", "f"]);
        check(&telemetry, "c{k=d} sum 1\nc{k=e} sum 1\nc{k=f} sum 1");
        expire();
        // Twice the limit is in memory, so that further series share that of the overflow.
        counter.add(1, &kv("g"));
        check(&telemetry, "c{otel.metric.overflow=true} sum 1");
        // Nothing of what is held is lost.
        go.send(()).unwrap();
        is_done.recv().unwrap();
        check(&telemetry, "c{k=a} sum 2\nc{k=b} sum 2\nc{k=c} sum 2\nc{otel.metric.overflow=true} sum 1");
        let (second, go, _is_done) = second;
        go.send(()).unwrap();
        first.join().unwrap();
        second.join().unwrap();
    });
    // The threads have ended, so that what has expired can be given up.
    for _ in 0..2 {
        telemetry.clock.advance(10 * MINUTE);
        telemetry.collect();
    }
    counter.add(1, &kv("g"));
    check(&telemetry, "c{k=g} sum 1");
}

#[test]
fn the_overflow_expires_and_readers_and_views_have_their_own_time() {
    let views = [View::of("kept").with_series_expiry(Duration::MAX), View::of("c").with_cardinality_limit(1)];
    let telemetry = expiring(views);
    let meter = telemetry.meter("test");
    let counter = meter.u64_counter("c").build();
    counter.add(1, &kv("a"));
    counter.add(1, &kv("b"));
    meter.u64_counter("kept").build().add(1, &[]);
    check(&telemetry, "c{k=a} sum 1\nc{otel.metric.overflow=true} sum 1\nkept sum 1");
    telemetry.clock.advance(10 * MINUTE);
    check(&telemetry, "kept sum 1");

    let of_reader = ReaderConfig::new().with_series_expiry(MINUTE);
    let telemetry = TestTelemetry::new().with_metrics(of_reader, |builder| builder.with_series_expiry(Duration::MAX));
    telemetry.meter("test").u64_counter("c").build().add(1, &[]);
    check(&telemetry, "c sum 1");
    telemetry.clock.advance(MINUTE);
    check(&telemetry, "");
}

#[test]
fn deltas_and_observed_totals_are_as_without_expiry() {
    let delta = ReaderConfig::new().with_temporality(TemporalityPreference::Delta);
    let telemetry = TestTelemetry::new().with_metrics(delta, |builder| builder.with_series_expiry(Duration::ZERO));
    let meter = telemetry.meter("test");
    meter.u64_observable_counter("o").with_callback(|observer| observer.observe(5, &[])).build();
    let counter = meter.u64_counter("c").build();
    for (add, expected) in [(1, "c delta sum 1\no delta sum 5"), (0, "c delta sum 0\no delta sum 0")] {
        counter.add(add, &[]);
        telemetry.clock.advance(MINUTE);
        check(&telemetry, expected);
    }
    check(&telemetry, "o delta sum 0");
    assert_eq!(telemetry.meter_provider().expired_series(), 0);
}

#[test]
fn a_removed_series_begins_anew_and_others_stay() {
    for (preference, prefix) in [(TemporalityPreference::Cumulative, ""), (TemporalityPreference::Delta, "delta ")] {
        let config = ReaderConfig::new().with_temporality(preference);
        let telemetry = TestTelemetry::new().with_metrics(config, |builder| builder);
        let counter = telemetry.meter("test").u64_counter("Orders").build();
        let set = |tenant: &'static str, route: &'static str| {
            [KeyValue::new("tenant", tenant), KeyValue::new("route", route)]
        };
        let add = || {
            counter.add(1, &set("a", "x"));
            counter.add(1, &set("a", "y"));
            counter.add(1, &set("b", "x"));
        };
        add();
        let provider = telemetry.meter_provider();
        assert_eq!(provider.remove_series("orders", &[KeyValue::new("tenant", "a")]), 2);
        assert_eq!(provider.remove_series("orders", &[KeyValue::new("tenant", "a")]), 0);
        assert_eq!(provider.remove_series("invoices", &[]), 0);
        assert_eq!(provider.remove_series("orders", &[KeyValue::new("tenant", "b"), KeyValue::new("zone", 1)]), 0);
        check(&telemetry, &format!("Orders{{route=x,tenant=b}} {prefix}sum 1"));
        add();
        let of_b = if prefix.is_empty() { 2 } else { 1 };
        check(
            &telemetry,
            &format!(
                "Orders{{route=x,tenant=a}} {prefix}sum 1
                 Orders{{route=x,tenant=b}} {prefix}sum {of_b}
                 Orders{{route=y,tenant=a}} {prefix}sum 1"
            ),
        );
        let bound = counter.bind(&set("c", "z"));
        bound.add(4);
        // Those that the last collection contains, and that of the bound instrument, which stays.
        assert_eq!(provider.remove_series("Orders", &[]), 3);
        check(&telemetry, &format!("Orders{{route=z,tenant=c}} {prefix}sum 4"));
        add();
        assert_eq!(telemetry.metrics().lines().count(), if prefix.is_empty() { 4 } else { 3 });
    }
}

#[test]
fn a_removed_overflow_makes_room_for_nothing_and_begins_anew() {
    let telemetry = TestTelemetry::new()
        .with_metrics(ReaderConfig::new(), |b| b.with_view(View::of_all().with_cardinality_limit(1)));
    let counter = telemetry.meter("test").u64_counter("c").build();
    ["a", "b", "c"].iter().for_each(|value| counter.add(1, &kv(value)));
    let overflow = [KeyValue::new("otel.metric.overflow", true)];
    assert_eq!(telemetry.meter_provider().remove_series("c", &overflow), 1);
    check(&telemetry, "c{k=a} sum 1");
    counter.add(1, &kv("b"));
    check(&telemetry, "c{k=a} sum 1\nc{otel.metric.overflow=true} sum 1");
}

#[test]
fn the_builder_and_the_control_reach_every_reader() {
    let (reader, clock) = (PullReader::default(), telemark_sdk::testing::ManualClock::new());
    let telemetry = Telemetry::builder(Env::from_pairs::<&str, &str>([]))
        .with_clock(clock.clock())
        .with_metric_reader(reader.clone())
        .with_series_expiry(MINUTE)
        .build()
        .unwrap();
    let counter = telemetry.meter("test").u64_counter("c").build();
    let text = || metrics_text(&reader.collect(Deadline::NEVER).unwrap());
    counter.add(1, &kv("a"));
    counter.add(1, &kv("b"));
    assert_eq!(telemetry.control().remove_series("c", &kv("b")), 1);
    assert_eq!(text(), "c{k=a} sum 1\n");
    clock.advance(MINUTE);
    assert_eq!(text(), "");
}

/// A step of the model test.
#[derive(Clone, Debug)]
enum Step {
    Add(u8, u8),
    Advance(u8),
    Collect,
    Remove(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(
        prop_oneof![
            6 => (0u8..5, 0u8..4).prop_map(|(series, value)| Step::Add(series, value)),
            3 => (0u8..12).prop_map(Step::Advance),
            4 => Just(Step::Collect),
            1 => (0u8..5).prop_map(Step::Remove),
        ],
        0..80,
    )
}

/// A series of the model: its total, the collection that found its last measurement, and whether there was one since then.
#[derive(Debug, Default)]
struct Modelled {
    total: u64,
    changed: Option<u64>,
    is_touched: bool,
    is_expired: bool,
    /// True once this thread may no longer hold the series: its next measurement begins a new one.
    may_be_given_up: bool,
}

proptest! {
    /// One thread records. A series that expired continues or begins anew, depending on what the thread has visited since, so the model
    /// accepts both, and checks that nothing else happens.
    #[test]
    fn collections_contain_what_was_used_within_ten_minutes(steps in steps()) {
        let telemetry = expiring([]);
        let counter = telemetry.meter("test").u64_counter("c").build();
        let (mut now, mut model) = (0u64, BTreeMap::<u8, Modelled>::new());
        for step in steps.into_iter().chain([Step::Collect]) {
            match step {
                Step::Add(series, value) => {
                    counter.add(value.into(), &kv(&series.to_string()));
                    let modelled = model.entry(series).or_default();
                    if modelled.is_expired && !modelled.is_touched {
                        modelled.may_be_given_up = true;
                    }
                    modelled.total += u64::from(value);
                    modelled.is_touched = true;
                }
                Step::Advance(minutes) => {
                    telemetry.clock.advance(u32::from(minutes) * MINUTE);
                    now += u64::from(minutes);
                }
                Step::Remove(series) => {
                    let removed = telemetry.meter_provider().remove_series("c", &kv(&series.to_string()));
                    let modelled = model.remove(&series);
                    prop_assert!(removed <= 1);
                    if let Some(modelled) = modelled {
                        prop_assert!(removed == 1 || modelled.is_expired, "{modelled:?}");
                    }
                }
                Step::Collect => {
                    let mut collected = BTreeMap::new();
                    for metric in telemetry.collect().iter().flat_map(|scope| &scope.metrics) {
                        let MetricData::Sum { points, .. } = &metric.data else { unreachable!() };
                        for point in points {
                            let Number::U64(value) = point.value else { unreachable!() };
                            collected.insert(point.attributes[0].value.as_str().parse::<u8>().unwrap(), value);
                        }
                    }
                    for (series, modelled) in &mut model {
                        if std::mem::take(&mut modelled.is_touched) {
                            modelled.changed = Some(now);
                            modelled.is_expired = false;
                        } else if now - modelled.changed.unwrap_or(now) >= 10 {
                            modelled.is_expired = true;
                        }
                        match (collected.remove(series), modelled.is_expired) {
                            (None, true) => {}
                            (Some(value), false) if value == modelled.total => {}
                            // Begun anew: what was added since it expired.
                            (Some(value), false) if modelled.may_be_given_up && value < modelled.total => {
                                modelled.total = value;
                            }
                            (value, _) => prop_assert!(false, "{series}: {value:?} {modelled:?}"),
                        }
                        modelled.may_be_given_up = false;
                    }
                    prop_assert!(collected.is_empty(), "{collected:?}");
                }
            }
        }
    }
}

/// The last total of each series, by its attributes and its start: a series that begins anew is another one.
#[derive(Default)]
struct Lives(HashMap<(String, u64), f64>);

impl Lives {
    fn take(&mut self, scopes: &[ScopeMetrics]) {
        for metric in scopes.iter().flat_map(|scope| &scope.metrics) {
            let mut add = |attributes: &[KeyValue], start: u64, total: f64| {
                let known = self.0.entry((format!("{}{attributes:?}", metric.name), start)).or_default();
                assert!(*known <= total, "a total fell");
                *known = total;
            };
            match &metric.data {
                MetricData::Sum { points, .. } => {
                    for point in points {
                        let Number::U64(value) = point.value else { unreachable!("{point:?}") };
                        add(&point.attributes, point.start.as_nanos(), value as f64);
                    }
                }
                MetricData::Histogram { points, .. } => {
                    for point in points {
                        add(&point.attributes, point.start.as_nanos(), point.count as f64);
                    }
                }
                other => unreachable!("{other:?}"),
            }
        }
    }

    fn total(&self, name: &str) -> f64 {
        self.0.iter().filter(|((key, _), _)| key.starts_with(name)).map(|(_, total)| total).sum()
    }
}

/// Series expire in every other collection, while threads record into them, pause, and end.
#[test]
fn nothing_is_lost_while_series_expire_and_threads_record() {
    const THREADS: u64 = 6;
    const ROUNDS: u64 = 4_000;
    let reader = PullReader::new(ReaderConfig::new().with_series_expiry(Duration::from_nanos(1)));
    let provider = SdkMeterProvider::builder().with_reader(reader.clone()).build();
    let done = AtomicBool::new(false);
    let lives = std::thread::scope(|scope| {
        let collector = scope.spawn(|| {
            let mut lives = Lives::default();
            loop {
                let is_last = done.load(Ordering::Acquire);
                lives.take(&reader.collect(Deadline::NEVER).unwrap());
                if is_last {
                    return lives;
                }
            }
        });
        let recorders: Vec<_> = (0..THREADS)
            .map(|thread| {
                let meter = provider.meter("soak");
                scope.spawn(move || {
                    let (counter, histogram) = (meter.u64_counter("c").build(), meter.f64_histogram("h").build());
                    let bound = counter.bind(&[KeyValue::new("bound", true)]);
                    for round in 0..ROUNDS {
                        let attributes = [KeyValue::new("series", ((round / 50) % 40) as i64)];
                        counter.add(1, &attributes);
                        histogram.record(1.0, &attributes);
                        bound.add(1);
                        if round % 100 == thread {
                            std::thread::yield_now();
                        }
                    }
                })
            })
            .collect();
        recorders.into_iter().for_each(|thread| thread.join().unwrap());
        done.store(true, Ordering::Release);
        collector.join().unwrap()
    });
    assert_eq!(lives.total("c["), (2 * THREADS * ROUNDS) as f64);
    assert_eq!(lives.total("h["), (THREADS * ROUNDS) as f64);
    assert!(provider.expired_series() > 0, "the test has shown nothing");
}
