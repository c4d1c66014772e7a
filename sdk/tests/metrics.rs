//! End-to-end tests of metrics: from the API's instruments to points rendered as text.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use opentelemetry::metrics::{Counter, Meter, MeterProvider};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use telemark_sdk::ExportError;
use telemark_sdk::metrics::{
    Aggregation, InstrumentKind, Metric, MetricData, Number, NumberPoint, PullReader, ReaderConfig, ScopeMetrics,
    SdkMeterProvider, Temporality, TemporalityPreference, View,
};
use telemark_sdk::testing::{ManualClock, TestTelemetry, metrics_text};
use telemark_sdk::time::{Deadline, Timestamp};

fn cumulative() -> TestTelemetry {
    TestTelemetry::new()
}

fn delta() -> TestTelemetry {
    with(ReaderConfig::new().with_temporality(TemporalityPreference::Delta), [])
}

fn with(config: ReaderConfig, views: impl IntoIterator<Item = View>) -> TestTelemetry {
    TestTelemetry::new().with_metrics(config, |builder| views.into_iter().fold(builder, |b, view| b.with_view(view)))
}

fn viewed(view: View) -> TestTelemetry {
    with(ReaderConfig::new(), [view])
}

/// Runs `record` with a meter, then checks the metrics collected afterwards.
fn check(telemetry: &TestTelemetry, record: impl FnOnce(&Meter), expected: &str) {
    record(&telemetry.meter("test"));
    let expected: String = expected.lines().map(|line| line.trim().to_owned() + "\n").collect();
    assert_eq!(telemetry.metrics(), expected);
}

fn kv(key: &'static str, value: &'static str) -> KeyValue {
    KeyValue::new(key, value)
}

fn add_each(counter: &Counter<u64>, values: &[&'static str]) {
    values.iter().for_each(|value| counter.add(1, &[kv("k", value)]));
}

#[test]
fn every_instrument_has_its_default_aggregation() {
    check(
        &cumulative(),
        |meter| {
            meter.u64_counter("u64.counter").with_unit("By").build().add(3, &[]);
            meter.f64_counter("f64.counter").build().add(0.5, &[kv("a", "b")]);
            meter.i64_up_down_counter("i64.updown").build().add(-3, &[]);
            meter.f64_up_down_counter("f64.updown").build().add(-0.5, &[]);
            meter.u64_gauge("u64.gauge").build().record(7, &[]);
            meter.i64_gauge("i64.gauge").build().record(-7, &[]);
            meter.f64_gauge("f64.gauge").build().record(0.25, &[]);
            meter.u64_histogram("u64.histogram").build().record(5, &[]);
            meter.f64_histogram("f64.histogram").build().record(5.5, &[]);
            meter.u64_observable_counter("u64.observed.counter").with_callback(|o| o.observe(9, &[])).build();
            meter.f64_observable_counter("f64.observed.counter").with_callback(|o| o.observe(9.5, &[])).build();
            meter.i64_observable_up_down_counter("i64.observed.updown").with_callback(|o| o.observe(-9, &[])).build();
            meter.f64_observable_up_down_counter("f64.observed.updown").with_callback(|o| o.observe(-9.5, &[])).build();
            meter.u64_observable_gauge("u64.observed.gauge").with_callback(|o| o.observe(1, &[])).build();
            meter.i64_observable_gauge("i64.observed.gauge").with_callback(|o| o.observe(-1, &[])).build();
            meter.f64_observable_gauge("f64.observed.gauge").with_callback(|o| o.observe(1.5, &[])).build();
        },
        "f64.counter{a=b} sum 0.5
         f64.gauge gauge 0.25
         f64.histogram histogram count=1 sum=5.5 min=5.5 max=5.5 <=10:1
         f64.observed.counter sum 9.5
         f64.observed.gauge gauge 1.5
         f64.observed.updown up-down sum -9.5
         f64.updown up-down sum -0.5
         i64.gauge gauge -7
         i64.observed.gauge gauge -1
         i64.observed.updown up-down sum -9
         i64.updown up-down sum -3
         u64.counter[By] sum 3
         u64.gauge gauge 7
         u64.histogram histogram count=1 sum=5 min=5 max=5 <=5:1
         u64.observed.counter sum 9
         u64.observed.gauge gauge 1",
    );
}

#[test]
fn the_order_of_attributes_does_not_matter_and_the_last_value_of_a_key_wins() {
    check(
        &cumulative(),
        |meter| {
            let counter = meter.u64_counter("c").build();
            for _ in 0..2 {
                counter.add(1, &[kv("a", "1"), kv("b", "2"), kv("c", "3")]);
                counter.add(10, &[kv("c", "3"), kv("a", "1"), kv("b", "2")]);
                counter.add(100, &[kv("b", "x"), kv("c", "3"), kv("a", "1"), kv("b", "2")]);
                counter.add(1000, &[kv("a", "1"), kv("a", "1"), kv("b", "2")]);
            }
        },
        "c{a=1,b=2,c=3} sum 222
         c{a=1,b=2} sum 2000",
    );
}

#[test]
fn what_cannot_be_a_measurement_is_counted_and_not_taken() {
    let telemetry = cumulative();
    check(
        &telemetry,
        |meter| {
            let counter = meter.f64_counter("c").build();
            let histogram = meter.f64_histogram("h").build();
            let bound = histogram.bind(&[]);
            for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                counter.add(bad, &[]);
                histogram.record(bad, &[]);
                bound.record(bad);
            }
            counter.add(-1.0, &[]);
            counter.add(2.0, &[]);
            histogram.record(-1.0, &[]);
        },
        "c sum 2
         h histogram count=1 sum=-1 min=-1 max=-1 <=0:1",
    );
    assert_eq!(telemetry.meter_provider().rejected_measurements(), 10);
}

#[test]
fn a_sum_stops_at_the_limit_of_its_type() {
    let record = |meter: &Meter| {
        let unsigned = meter.u64_counter("unsigned").build();
        [u64::MAX, u64::MAX, 3].into_iter().for_each(|value| unsigned.add(value, &[]));
        let signed = meter.i64_up_down_counter("signed").build();
        [i64::MAX, i64::MAX].into_iter().for_each(|value| signed.add(value, &[]));
        let float = meter.f64_counter("float").build();
        [f64::MAX, f64::MAX].into_iter().for_each(|value| float.add(value, &[]));
    };
    let (unsigned, signed, float) = (u64::MAX, i64::MAX, f64::MAX);
    let expected = format!("float sum {float}\nsigned up-down sum {signed}\nunsigned sum {unsigned}");
    check(&cumulative(), record, &expected);
    let telemetry = delta();
    check(&telemetry, record, &expected.replace("float", "float delta").replace("unsigned", "unsigned delta"));

    let histogram = with(ReaderConfig::new(), [View::of("*.exponential").with_aggregation(Aggregation::exponential())]);
    for name in ["h", "h.exponential"] {
        let histogram = histogram.meter("test").f64_histogram(name).build();
        [f64::MAX, f64::MAX].into_iter().for_each(|value| histogram.record(value, &[]));
    }
    assert!(!histogram.metrics().contains("sum=inf"), "{}", histogram.metrics());
}

#[test]
fn threads_together_stop_at_the_limit_too() {
    let telemetry = cumulative();
    let counter = telemetry.meter("test").u64_counter("c").build();
    #[allow(clippy::disallowed_methods, reason = "a test of threads")]
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..3).for_each(|_| counter.add(u64::MAX, &[])));
        }
    });
    check(&telemetry, |_| {}, &format!("c sum {}", u64::MAX));
}

#[test]
fn a_bound_instrument_records_into_each_of_its_streams() {
    let views = ["a", "b"].map(|name| View::of("c").with_name(name));
    let telemetry = with(ReaderConfig::new(), views);
    let counter = telemetry.meter("test").u64_counter("c").build().bind(&[]);
    #[allow(clippy::disallowed_methods, reason = "a test of threads")]
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| (0..3).for_each(|_| counter.add(1)));
        }
    });
    check(&telemetry, |_| {}, "a sum 6\nb sum 6");
}

/// Collections take float sums out of their cells, which no thread may therefore own.
#[test]
fn a_bound_float_counter_is_in_each_delta() {
    let telemetry = delta();
    let counter = telemetry.meter("test").f64_counter("c").build();
    let bound = counter.bind(&[]);
    for expected in ["c delta sum 2", "c delta sum 2"] {
        // The first measurement of a thread takes another path than the others.
        (0..3).for_each(|_| bound.add(0.5));
        counter.add(0.5, &[]);
        check(&telemetry, |_| {}, expected);
    }
}

#[test]
fn a_gauge_may_be_infinite_but_sums_and_histograms_stay_finite() {
    let telemetry = with(
        ReaderConfig::new(),
        [
            View::of("both"),
            View::of("both").with_name("both.buckets").with_aggregation(Aggregation::explicit_buckets([0.0])),
            View::of("*.exponential").with_aggregation(Aggregation::exponential()),
            View::of("*.last").with_aggregation(Aggregation::LastValue),
        ],
    );
    check(
        &telemetry,
        |meter| {
            for (name, value) in [("up", f64::INFINITY), ("down", f64::NEG_INFINITY), ("both", f64::INFINITY)] {
                let gauge = meter.f64_gauge(name).build();
                gauge.record(1.0, &[]);
                gauge.record(value, &[]);
                // NaN has no effect: the last value remains.
                gauge.record(f64::NAN, &[]);
            }
            meter.f64_gauge("bound").build().bind(&[]).record(f64::INFINITY);
            meter.f64_observable_gauge("observed").with_callback(|o| o.observe(f64::NEG_INFINITY, &[])).build();
            for name in ["c", "c.exponential", "c.last"] {
                let counter = meter.f64_counter(name).build();
                counter.add(2.0, &[]);
                counter.add(f64::INFINITY, &[]);
                counter.add(f64::NEG_INFINITY, &[]);
            }
            let updown = meter.f64_up_down_counter("updown").build();
            updown.add(3.0, &[]);
            updown.add(f64::NEG_INFINITY, &[]);
        },
        "both gauge inf
         both.buckets histogram count=1 min=1 max=1 <=inf:1
         bound gauge inf
         c sum 2
         c.exponential exponential count=1 sum=2 min=2 max=2 scale=20 +1048575:1
         c.last gauge inf
         down gauge -inf
         observed gauge -inf
         up gauge inf
         updown up-down sum 3",
    );
    // Rejected measurements: NaN by two gauges and by both metrics of the third gauge, infinity by that gauge's
    // histogram, both infinities by two of the counters, one infinity by the third counter, and one by the up-down
    // counter.
    assert_eq!(telemetry.meter_provider().rejected_measurements(), 4 + 1 + 4 + 1 + 1);
    // Infinity does not corrupt a gauge.
    check(
        &telemetry,
        |meter| meter.f64_gauge("up").build().record(5.0, &[]),
        "both gauge inf
         both.buckets histogram count=1 min=1 max=1 <=inf:1
         bound gauge inf
         c sum 2
         c.exponential exponential count=1 sum=2 min=2 max=2 scale=20 +1048575:1
         c.last gauge inf
         down gauge -inf
         observed gauge -inf
         up gauge 5
         updown up-down sum 3",
    );
}

#[test]
fn a_gauge_keeps_its_series_unless_a_reader_or_a_view_wants_only_what_is_new() {
    let record = |meter: &Meter, key: &'static str| {
        meter.u64_gauge("gauge").build().record(1, &[kv("k", key)]);
        meter.u64_counter("counter").build().add(1, &[kv("k", key)]);
        meter.u64_counter("last").build().add(1, &[kv("k", key)]);
        meter.i64_up_down_counter("updown").build().add(1, &[kv("k", key)]);
    };
    let observe = |meter: &Meter| {
        meter.u64_observable_gauge("observed").with_callback(|o| o.observe(9, &[])).build();
    };
    let last = || View::of("last").with_aggregation(Aggregation::LastValue);
    let rest = |telemetry: &TestTelemetry, second: &str, third: &str| {
        telemetry.metrics();
        check(telemetry, |meter| record(meter, "b"), second);
        check(telemetry, |_| (), third);
    };
    let start = |config, views: Vec<View>| {
        let telemetry = with(config, views);
        observe(&telemetry.meter("test"));
        record(&telemetry.meter("test"), "a");
        telemetry
    };
    let delta = || ReaderConfig::new().with_temporality(TemporalityPreference::Delta);

    // Gauges keep their series even if delta temporality is preferred.
    rest(
        &start(delta(), vec![]),
        "counter{k=b} delta sum 1
         gauge{k=a} gauge 1
         gauge{k=b} gauge 1
         last{k=b} delta sum 1
         observed gauge 9
         updown{k=a} up-down sum 1
         updown{k=b} up-down sum 1",
        "gauge{k=a} gauge 1
         gauge{k=b} gauge 1
         observed gauge 9
         updown{k=a} up-down sum 1
         updown{k=b} up-down sum 1",
    );
    // The reader requests deltas for all instruments, including gauges.
    rest(
        &start(ReaderConfig::new().with_temporality_of(|_| Temporality::Delta), vec![last()]),
        "counter{k=b} delta sum 1
         gauge{k=b} gauge 1
         last{k=b} gauge 1
         observed gauge 9
         updown{k=b} delta up-down sum 1",
        "observed gauge 9",
    );
    // The views request only new values. Totals stay cumulative.
    let stale = View::of("*").without_stale_values();
    let other = View::of("last").with_aggregation(Aggregation::LastValue).without_stale_values();
    rest(
        &start(ReaderConfig::new(), vec![stale, other.with_name("last.value")]),
        "counter{k=a} sum 1
         counter{k=b} sum 1
         gauge{k=b} gauge 1
         last.value{k=b} gauge 1
         last{k=a} sum 1
         last{k=b} sum 1
         observed gauge 9
         updown{k=a} up-down sum 1
         updown{k=b} up-down sum 1",
        "counter{k=a} sum 1
         counter{k=b} sum 1
         last{k=a} sum 1
         last{k=b} sum 1
         observed gauge 9
         updown{k=a} up-down sum 1
         updown{k=b} up-down sum 1",
    );
    // One view keeps stale values and the other does not, which produces two metrics.
    let both = vec![View::of("gauge"), View::of("gauge").without_stale_values()];
    let telemetry = with(ReaderConfig::new(), both);
    check(&telemetry, |meter| meter.u64_gauge("gauge").build().record(1, &[]), "gauge gauge 1\ngauge gauge 1");
    check(&telemetry, |_| (), "gauge gauge 1");
}

#[test]
fn temporality_decides_what_is_reported_again() {
    let record = |meter: &Meter| {
        meter.u64_counter("counter").build().add(1, &[]);
        meter.f64_counter("fcounter").build().add(0.1, &[]);
        meter.i64_up_down_counter("updown").build().add(1, &[]);
        meter.u64_histogram("histogram").build().record(1, &[]);
        meter.u64_gauge("gauge").build().record(1, &[]);
    };
    let all = "counter sum 1
         fcounter sum 0.1
         gauge gauge 1
         histogram histogram count=1 sum=1 min=1 max=1 <=5:1
         updown up-down sum 1";
    let telemetry = cumulative();
    check(&telemetry, record, all);
    check(&telemetry, |_| (), all);

    for preference in [TemporalityPreference::Delta, TemporalityPreference::LowMemory] {
        let telemetry = with(ReaderConfig::new().with_temporality(preference), []);
        for round in 1..=3 {
            let expected = format!(
                "counter delta sum 1
                fcounter delta sum 0.1
                gauge gauge 1
                histogram delta histogram count=1 sum=1 min=1 max=1 <=5:1
                updown up-down sum {round}"
            );
            check(&telemetry, record, &expected);
        }
        check(&telemetry, |_| (), "gauge gauge 1\nupdown up-down sum 3");
    }
}

#[test]
fn a_delta_of_zero_is_a_point_too() {
    let telemetry = delta();
    let counter = telemetry.meter("test").u64_counter("c").build();
    check(&telemetry, |_| counter.add(0, &[]), "c delta sum 0");
    check(&telemetry, |_| (), "");
}

/// Formats the start and time of each point, in seconds since `began`.
fn times(telemetry: &TestTelemetry, began: Timestamp) -> String {
    let seconds = |time: Timestamp| time.since(began).as_secs();
    let mut lines = Vec::new();
    for metric in telemetry.collect().iter().flat_map(|scope| &scope.metrics) {
        let MetricData::Sum { points, .. } = &metric.data else { continue };
        for NumberPoint { attributes, start, time, .. } in points {
            let name = attributes.first().map_or("-".to_owned(), |one| one.value.to_string());
            lines.push(format!("{name} {}..{}", seconds(*start), seconds(*time)));
        }
    }
    lines.sort();
    lines.join(", ")
}

#[test]
fn start_times_of_cumulative_series_are_their_own() {
    let telemetry = cumulative();
    let began = telemetry.clock.clock().now();
    let pass = || telemetry.clock.advance(Duration::from_secs(1));
    let counter = telemetry.meter("test").u64_counter("c").build();
    pass();
    add_each(&counter, &["a"]);
    pass();
    assert_eq!(times(&telemetry, began), "a 1..2");
    pass();
    add_each(&counter, &["a", "b"]);
    pass();
    assert_eq!(times(&telemetry, began), "a 1..4, b 3..4");
}

#[test]
fn a_delta_starts_where_the_last_one_ended() {
    let telemetry = delta();
    let began = telemetry.clock.clock().now();
    let pass = || telemetry.clock.advance(Duration::from_secs(1));
    pass();
    let counter = telemetry.meter("test").u64_counter("c").build();
    pass();
    add_each(&counter, &["a"]);
    pass();
    assert_eq!(times(&telemetry, began), "a 1..3");
    pass();
    assert_eq!(times(&telemetry, began), "");
    pass();
    add_each(&counter, &["a", "b"]);
    pass();
    assert_eq!(times(&telemetry, began), "a 4..6, b 4..6");
}

#[test]
fn observed_totals_start_with_the_instrument_or_the_last_collection() {
    for (preference, expected) in [
        (TemporalityPreference::Cumulative, ["- 1..2", "- 1..3"]),
        (TemporalityPreference::Delta, ["- 1..2", "- 2..3"]),
        (TemporalityPreference::LowMemory, ["- 1..2", "- 1..3"]),
    ] {
        let telemetry = with(ReaderConfig::new().with_temporality(preference), []);
        let began = telemetry.clock.clock().now();
        telemetry.clock.advance(Duration::from_secs(1));
        telemetry.meter("test").u64_observable_counter("c").with_callback(|o| o.observe(5, &[])).build();
        for expected in expected {
            telemetry.clock.advance(Duration::from_secs(1));
            assert_eq!(times(&telemetry, began), expected, "{preference:?}");
        }
    }
}

#[test]
fn beyond_the_limit_there_is_one_series_for_all() {
    let telemetry = viewed(View::of_all().with_cardinality_limit(2));
    let counter = telemetry.meter("test").u64_counter("c").build();
    check(&telemetry, |_| add_each(&counter, &["a", "b"]), "c{k=a} sum 1\nc{k=b} sum 1");
    // Existing series keep recording after the limit is reached.
    check(
        &telemetry,
        |_| add_each(&counter, &["c", "d", "c", "a"]),
        "c{k=a} sum 2
         c{k=b} sum 1
         c{otel.metric.overflow=true} sum 3",
    );
    // spec: metrics/sdk.md#overflow-attribute — the series has this boolean attribute and no others.
    let collected = telemetry.collect();
    let MetricData::Sum { points, .. } = &collected[0].metrics[0].data else { panic!("{collected:?}") };
    let overflow = |point: &&NumberPoint| *point.attributes == [KeyValue::new("otel.metric.overflow", true)];
    assert_eq!(points.iter().filter(overflow).count(), 1);
}

/// The attributes of a series have no limits, so their number alone would not bound the memory.
#[test]
fn series_with_large_attributes_are_bounded_in_bytes() {
    for telemetry in [cumulative(), delta()] {
        let counter = telemetry.meter("test").u64_counter("c").build();
        for turn in 0..4 {
            for number in 0..200 {
                counter.add(1, &[KeyValue::new("k", format!("{turn} {number} {}", "x".repeat(100_000)))]);
            }
            let collected = telemetry.collect();
            let MetricData::Sum { points, .. } = &collected[0].metrics[0].data else { panic!("{collected:?}") };
            // 2000 series of 4 KiB, and the one that exceeds this.
            assert!((80..=84).contains(&points.len()), "{}", points.len());
            let total: u64 =
                points.iter().map(|point| if let Number::U64(value) = point.value { value } else { 0 }).sum();
            assert!(total == 200 || total == 200 * (turn + 1), "{total}");
        }
    }
}

/// The text of an array says little about the memory that it takes.
#[test]
fn series_with_arrays_are_bounded_in_bytes() {
    let telemetry = cumulative();
    let counter = telemetry.meter("test").u64_counter("c").build();
    for number in 0..200 {
        let array = std::iter::once(number).chain(std::iter::repeat(0)).take(12_500).collect::<Vec<i64>>();
        counter.add(1, &[KeyValue::new("k", Value::Array(array.into()))]);
    }
    let collected = telemetry.collect();
    let MetricData::Sum { points, .. } = &collected[0].metrics[0].data else { panic!("{collected:?}") };
    assert!((80..=84).contains(&points.len()), "{}", points.len());
}

#[test]
fn the_limit_of_deltas_is_that_of_one_collection() {
    let limit = |_| 2;
    let config = ReaderConfig::new().with_temporality(TemporalityPreference::Delta).with_cardinality_limit(limit);
    let telemetry = with(config, []);
    let counter = telemetry.meter("test").u64_counter("c").build();
    for values in [["a", "b"], ["c", "d"], ["e", "a"], ["a", "b"]] {
        let expected: Vec<_> = {
            let mut sorted = values;
            sorted.sort_unstable();
            sorted.iter().map(|value| format!("c{{k={value}}} delta sum 1")).collect()
        };
        check(&telemetry, |_| add_each(&counter, &values), &expected.join("\n"));
    }
    check(
        &telemetry,
        |_| add_each(&counter, &["x", "y", "z", "z"]),
        "c{k=x} delta sum 1
         c{k=y} delta sum 1
         c{otel.metric.overflow=true} delta sum 2",
    );
    check(&telemetry, |_| (), "");
}

#[test]
fn the_limit_is_2000_after_attributes_were_removed() {
    let telemetry = cumulative();
    let counter = telemetry.meter("test").u64_counter("c").build();
    (0..2001i64).for_each(|n| counter.add(1, &[KeyValue::new("n", n)]));
    assert_eq!(telemetry.metrics().lines().count(), 2001);
    assert!(telemetry.metrics().contains("overflow=true} sum 1\n"));

    let telemetry = viewed(View::of_all().without_attribute_keys(["n"]));
    let counter = telemetry.meter("test").u64_counter("c").build();
    (0..3000i64).for_each(|n| counter.add(1, &[KeyValue::new("n", n)]));
    assert_eq!(telemetry.metrics(), "c sum 3000\n");
}

#[test]
fn the_first_observed_stay_within_the_limit() {
    let telemetry = viewed(View::of_all().with_cardinality_limit(2));
    let values = Arc::new(Mutex::new(vec!["a", "b"]));
    let seen = values.clone();
    telemetry
        .meter("test")
        .u64_observable_counter("c")
        .with_callback(move |o| seen.lock().unwrap().iter().for_each(|value| o.observe(1, &[kv("k", value)])))
        .build();
    check(&telemetry, |_| (), "c{k=a} sum 1\nc{k=b} sum 1");
    *values.lock().unwrap() = vec!["x", "y", "b"];
    check(&telemetry, |_| (), "c{k=b} sum 1\nc{k=x} sum 1\nc{otel.metric.overflow=true} sum 1");
}

#[test]
fn what_is_not_observed_is_not_reported() {
    let telemetry = delta();
    let total = Arc::new(AtomicU64::new(5));
    let seen = total.clone();
    telemetry
        .meter("test")
        .u64_observable_counter("c")
        .with_callback(move |o| match seen.load(Ordering::Relaxed) {
            0 => {}
            n => o.observe(n, &[kv("k", "v")]),
        })
        .build();
    check(&telemetry, |_| (), "c{k=v} delta sum 5");
    total.store(7, Ordering::Relaxed);
    check(&telemetry, |_| (), "c{k=v} delta sum 2");
    total.store(0, Ordering::Relaxed);
    check(&telemetry, |_| (), "");
    total.store(3, Ordering::Relaxed);
    check(&telemetry, |_| (), "c{k=v} delta sum 3");
    // The observed counter has restarted.
    total.store(1, Ordering::Relaxed);
    check(&telemetry, |_| (), "c{k=v} delta sum 1");
}

#[test]
fn observed_sums_are_added_up_where_attributes_are_removed_and_the_last_observation_counts() {
    let telemetry = viewed(View::of_all().with_attribute_keys(["host"]));
    let meter = telemetry.meter("test");
    meter
        .i64_observable_up_down_counter("sum")
        .with_callback(|o| {
            o.observe(1, &[kv("host", "a"), kv("disk", "x")]);
            o.observe(20, &[kv("host", "a"), kv("disk", "y")]);
            o.observe(2, &[kv("disk", "x"), kv("host", "a")]);
        })
        .build();
    meter
        .i64_observable_gauge("gauge")
        .with_callback(|o| [1, 2].iter().for_each(|n| o.observe(*n, &[kv("host", "a"), KeyValue::new("n", *n)])))
        .build();
    check(&telemetry, |_| (), "gauge{host=a} gauge 2\nsum{host=a} up-down sum 22");
}

#[test]
fn views_select_by_all_criteria() {
    let scope = InstrumentationScope::builder("lib").with_version("1.0").with_schema_url("http://s").build();
    let check = |view: View, selected: bool| {
        let telemetry = viewed(view.with_description("new"));
        telemetry
            .meter_provider()
            .meter_with_scope(scope.clone())
            .f64_histogram("http.duration")
            .with_unit("s")
            .build()
            .record(1.0, &[]);
        assert_eq!(&*telemetry.collect()[0].metrics[0].description == "new", selected);
    };
    check(View::of_all(), true);
    check(View::of("HTTP.*").of_kind(InstrumentKind::Histogram).of_unit("s"), true);
    check(View::of("http.?uration").of_meter("lib").of_meter_version("1.0").of_meter_schema_url("http://s"), true);
    check(View::of("http"), false);
    check(View::of_all().of_kind(InstrumentKind::Counter), false);
    check(View::of_all().of_unit("ms"), false);
    check(View::of_all().of_meter("lib2"), false);
    check(View::of_all().of_meter_version("1.1"), false);
    check(View::of_all().of_meter_schema_url("http://t"), false);
}

#[test]
fn views_change_the_stream() {
    let record = |meter: &Meter| {
        let histogram = meter.f64_histogram("h").with_boundaries(vec![1.0, 2.0]).build();
        histogram.record(1.5, &[kv("a", "1"), kv("b", "2")]);
        histogram.record(3.0, &[kv("a", "1"), kv("b", "3")]);
    };
    let one = |view: View, expected: &str| check(&viewed(view), record, expected);
    let keys = || View::of("h").with_attribute_keys(["a"]);
    one(keys(), "h{a=1} histogram count=2 sum=4.5 min=1.5 max=3 <=2:1 <=inf:1");
    one(keys().with_name("9 not valid"), "9 not valid{a=1} histogram count=2 sum=4.5 min=1.5 max=3 <=2:1 <=inf:1");
    one(
        View::of("h").without_attribute_keys(["b"]).with_aggregation(Aggregation::explicit_buckets([2.0, 4.0])),
        "h{a=1} histogram count=2 sum=4.5 min=1.5 max=3 <=2:1 <=4:1",
    );
    let quiet = Aggregation::ExplicitBucketHistogram { boundaries: vec![], record_min_max: false };
    one(keys().with_aggregation(quiet), "h{a=1} histogram count=2 sum=4.5 <=inf:2");
    one(
        keys().with_aggregation(Aggregation::Base2ExponentialHistogram {
            max_size: 2,
            max_scale: 20,
            record_min_max: true,
        }),
        "h{a=1} exponential count=2 sum=4.5 min=1.5 max=3 scale=0 +0:1 +1:1",
    );
    one(
        keys().with_aggregation(Aggregation::Base2ExponentialHistogram {
            max_size: 160,
            max_scale: 1,
            record_min_max: false,
        }),
        "h{a=1} exponential count=2 sum=4.5 scale=1 +1:1 +3:1",
    );
    one(keys().with_aggregation(Aggregation::Sum), "h{a=1} sum 4.5");
    one(keys().with_aggregation(Aggregation::LastValue), "h{a=1} gauge 3");
    one(View::of("h").with_aggregation(Aggregation::Drop), "");
}

#[test]
fn several_views_of_one_instrument_are_several_metrics() {
    let views = [
        View::of("c").with_name("total").with_attribute_keys([""; 0]),
        View::of("c").with_name("by.a").with_attribute_keys(["a"]),
        // An identical stream is not counted a second time.
        View::of("c").with_name("by.a").with_attribute_keys(["a"]),
        // This view is invalid, because it would rename several instruments.
        View::of("*").with_name("x"),
    ];
    check(
        &with(ReaderConfig::new(), views),
        |meter| {
            let counter = meter.u64_counter("c").build();
            counter.add(1, &[kv("a", "1"), kv("b", "1")]);
            counter.add(1, &[kv("a", "2"), kv("b", "1")]);
            meter.u64_counter("other").build().add(1, &[kv("a", "1")]);
        },
        "by.a{a=1} sum 1
         by.a{a=2} sum 1
         other{a=1} sum 1
         total sum 2",
    );
}

#[test]
fn a_reader_has_defaults_for_each_kind() {
    let config = ReaderConfig::new().with_aggregation(|kind| match kind {
        InstrumentKind::Histogram => Aggregation::exponential(),
        InstrumentKind::UpDownCounter => Aggregation::Drop,
        _ => Aggregation::Default,
    });
    check(
        &with(config, [View::of("viewed").with_aggregation(Aggregation::explicit_buckets([1.0]))]),
        |meter| {
            meter.f64_histogram("h").build().record(1.0, &[]);
            meter.f64_histogram("viewed").build().record(1.0, &[]);
            meter.i64_up_down_counter("u").build().add(1, &[]);
        },
        "h exponential count=1 sum=1 min=1 max=1 scale=20 +-1:1
         viewed histogram count=1 sum=1 min=1 max=1 <=1:1",
    );
}

#[test]
fn the_same_instrument_is_one_metric_and_namesakes_are_told_apart() {
    let telemetry = cumulative();
    check(
        &telemetry,
        |meter| {
            for name in ["Requests", "requests"] {
                meter.u64_counter(name).build().add(1, &[]);
            }
            telemetry.meter("test").u64_counter("requests").build().add(1, &[]);
            telemetry.meter("other").u64_counter("requests").build().add(10, &[]);
            meter.i64_up_down_counter("REQUESTS").build().add(5, &[]);
            // The number type and the aggregation are the same, but the kind is different.
            meter.f64_counter("amount").build().add(1.0, &[]);
            meter.f64_up_down_counter("amount").build().add(2.0, &[]);
        },
        "Requests sum 3
         Requests up-down sum 5
         amount sum 1
         amount up-down sum 2
         requests sum 10",
    );
}

#[test]
fn names_that_are_none_do_not_record_and_boundaries_that_are_none_neither() {
    check(
        &cumulative(),
        |meter| {
            meter.u64_counter("1st").build().add(1, &[]);
            meter.u64_counter("").build().bind(&[]).add(1);
            meter.f64_histogram("h").with_boundaries(vec![2.0, 1.0]).build().record(1.0, &[]);
            meter.f64_histogram("n").with_boundaries(vec![f64::NAN]).build().record(1.0, &[]);
            meter.u64_observable_gauge("b c").with_callback(|o| o.observe(1, &[])).build();
        },
        "",
    );
}

#[test]
fn bound_instruments_share_the_series_and_outlive_collections() {
    for (telemetry, is_delta) in [(cumulative(), false), (delta(), true)] {
        let meter = telemetry.meter("test");
        let attributes = [kv("a", "1"), kv("b", "2")];
        let (counter, gauge) = (meter.u64_counter("c").build(), meter.i64_gauge("g").build());
        let (updown, histogram) = (meter.f64_up_down_counter("u").build(), meter.u64_histogram("h").build());
        let bound =
            (counter.bind(&attributes), gauge.bind(&attributes), updown.bind(&attributes), histogram.bind(&attributes));
        assert_eq!(telemetry.metrics(), "", "bound but not recorded");
        for round in 1..=4u64 {
            counter.add(1, &attributes);
            bound.0.add(2);
            bound.1.record(7);
            bound.2.add(-0.5);
            bound.3.record(3);
            let (prefix, n) = if is_delta { ("delta ", 1) } else { ("", round) };
            let expected = format!(
                "c{{a=1,b=2}} {prefix}sum {}\ng{{a=1,b=2}} gauge 7\n\
                 h{{a=1,b=2}} {prefix}histogram count={n} sum={} min=3 max=3 <=5:{n}\nu{{a=1,b=2}} up-down sum {}\n",
                3 * n,
                3 * n,
                -0.5 * round as f64
            );
            assert_eq!(telemetry.metrics(), expected);
        }
    }
}

#[test]
fn a_callback_may_do_anything() {
    let telemetry = Arc::new(OnceLock::<TestTelemetry>::new());
    let made = telemetry.get_or_init(cumulative);
    let meter = made.meter("test");
    let counter = meter.u64_counter("recorded").build();
    let (inside, again) = (meter.clone(), telemetry.clone());
    meter
        .u64_observable_gauge("gauge")
        .with_callback(move |o| {
            o.observe(1, &[]);
            counter.add(1, &[kv("from", "callback")]);
            inside.u64_counter("created").build().add(1, &[]);
            inside.u64_observable_gauge("late").with_callback(|o| o.observe(2, &[])).build();
            // A collection started during another collection fails instead of waiting.
            assert!(again.get().unwrap().collect().is_empty());
        })
        .build();
    meter.u64_observable_gauge("panics").with_callback(|_| panic!("on purpose")).build();
    assert_eq!(made.metrics(), "created sum 1\ngauge gauge 1\nrecorded{from=callback} sum 1\n");
    assert_eq!(made.metrics(), "created sum 2\ngauge gauge 1\nlate gauge 2\nrecorded{from=callback} sum 2\n");
}

#[test]
#[allow(clippy::disallowed_methods, reason = "a test of several threads")]
fn a_callback_that_blocks_does_not_block_recording_or_another_reader() {
    use std::sync::mpsc::channel;
    let (first, second) = (PullReader::default(), PullReader::default());
    let provider = SdkMeterProvider::builder().with_reader(first.clone()).with_reader(second.clone()).build();
    let meter = provider.meter("test");
    let counter = meter.u64_counter("c").build();
    let (entered, has_entered) = channel();
    let (release, released) = channel::<()>();
    let (released, entered) = (Mutex::new(released), Mutex::new(entered));
    let blocks = AtomicU64::new(1);
    meter
        .u64_observable_gauge("g")
        .with_callback(move |o| {
            if blocks.fetch_sub(1, Ordering::Relaxed) == 1 {
                entered.lock().unwrap().send(()).unwrap();
                let _ = released.lock().unwrap().recv();
            }
            o.observe(1, &[]);
        })
        .build();
    let blocked = std::thread::spawn(move || metrics_text(&first.collect(Deadline::NEVER).unwrap()));
    has_entered.recv().unwrap();
    counter.add(1, &[]);
    meter.u64_counter("new").build().add(1, &[]);
    assert_eq!(metrics_text(&second.collect(Deadline::NEVER).unwrap()), "c sum 1\ng gauge 1\nnew sum 1\n");
    counter.add(1, &[]);
    drop(release);
    assert_eq!(blocked.join().unwrap(), "c sum 2\ng gauge 1\nnew sum 1\n");
}

#[test]
fn our_own_callbacks_observe_several_instruments_until_their_handle_goes() {
    let telemetry = delta();
    let meter = telemetry.meter_provider().sdk_meter(InstrumentationScope::builder("test").build());
    let (used, free) = (
        meter.observable_counter::<u64>("used").with_unit("By").build(),
        meter.observable_gauge::<f64>("free").with_description("what is left").build(),
    );
    let handle = meter.register_callback(move |observer| {
        observer.observe(&used, 3, &[]);
        observer.observe(&free, 0.5, &[kv("k", "v")]);
    });
    assert_eq!(telemetry.metrics(), "free{k=v} gauge 0.5\nused[By] delta sum 3\n");
    drop(handle);
    assert_eq!(telemetry.metrics(), "");
}

#[test]
fn readers_do_not_know_of_each_other() {
    let delta = PullReader::new(ReaderConfig::new().with_temporality(TemporalityPreference::Delta));
    let cumulative = PullReader::default();
    let provider = SdkMeterProvider::builder()
        .with_clock(ManualClock::new().clock())
        .with_reader(delta.clone())
        .with_reader(cumulative.clone())
        .build();
    let meter = provider.meter("test");
    let counter = meter.u64_counter("c").build();
    meter.u64_observable_counter("o").with_callback(|o| o.observe(7, &[])).build();
    let text = |reader: &PullReader| metrics_text(&reader.collect(Deadline::NEVER).unwrap());
    counter.add(1, &[]);
    assert_eq!(text(&delta), "c delta sum 1\no delta sum 7\n");
    counter.add(1, &[]);
    assert_eq!(text(&cumulative), "c sum 2\no sum 7\n");
    assert_eq!(text(&delta), "c delta sum 1\no delta sum 0\n");
    assert_eq!(text(&cumulative), "c sum 2\no sum 7\n");
}

#[test]
fn metrics_from_elsewhere_are_added_and_their_errors_are_not_in_the_way() {
    let scope = InstrumentationScope::builder("foreign").build();
    let config = ReaderConfig::new()
        .with_producer(move || {
            let data = MetricData::Gauge { points: vec![NumberPoint::new([].into_iter().collect(), 5u64)] };
            Ok(vec![ScopeMetrics::new(scope.clone(), vec![Metric::new("foreign", data)])])
        })
        .with_producer(|| Err(ExportError::other("not today")));
    check(&with(config, []), |meter| meter.u64_counter("own").build().add(1, &[]), "foreign gauge 5\nown sum 1");
}

#[test]
fn after_shutdown_meters_do_nothing_and_a_reader_says_so() {
    let reader = PullReader::default();
    assert!(reader.collect(Deadline::NEVER).is_err(), "no provider yet");
    let provider = SdkMeterProvider::builder().with_reader(reader.clone()).build();
    let counter = provider.meter("test").u64_counter("c").build();
    provider.shutdown(Deadline::NEVER).unwrap();
    provider.shutdown(Deadline::NEVER).unwrap();
    counter.add(1, &[]);
    provider.meter("test").u64_counter("d").build().add(1, &[]);
    assert!(reader.collect(Deadline::NEVER).unwrap_err().is_shutdown());
}

#[test]
fn recording_works_while_a_thread_ends() {
    struct Last(Counter<u64>);
    impl Drop for Last {
        fn drop(&mut self) {
            self.0.add(1, &[]);
        }
    }
    thread_local! {
        static LAST: OnceLock<Last> = const { OnceLock::new() };
    }
    let telemetry = cumulative();
    let counter = telemetry.meter("test").u64_counter("c").build();
    #[allow(clippy::disallowed_methods, reason = "a test of several threads")]
    std::thread::spawn(move || {
        LAST.with(|last| drop(last.set(Last(counter.clone()))));
        counter.add(1, &[]);
    })
    .join()
    .unwrap();
    assert_eq!(telemetry.metrics(), "c sum 2\n");
}
