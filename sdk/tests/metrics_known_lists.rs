//! Attribute lists that a thread passes repeatedly from the same address: whatever the list becomes, and whatever happens
//! to the series or its stream, a measurement is recorded under the attributes that were given.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test of threads that fails by panicking")]

use std::cell::RefCell;
use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, MeterProvider};
use telemark_sdk::metrics::{PullReader, ReaderConfig, SdkMeterProvider, TemporalityPreference, View};
use telemark_sdk::testing::{TestTelemetry, metrics_text};
use telemark_sdk::time::Deadline;

/// More than enough for a list to become known.
const TIMES: u64 = 20;

fn delta(limit: usize) -> TestTelemetry {
    let config =
        ReaderConfig::new().with_temporality(TemporalityPreference::Delta).with_cardinality_limit(move |_| limit);
    TestTelemetry::new().with_metrics(config, |builder| builder)
}

fn list(values: [&'static str; 2]) -> [KeyValue; 2] {
    [KeyValue::new("a", values[0]), KeyValue::new("b", values[1])]
}

fn counter(telemetry: &TestTelemetry) -> Counter<u64> {
    telemetry.meter("test").u64_counter("n").build()
}

fn add(counter: &Counter<u64>, list: &[KeyValue]) {
    (0..TIMES).for_each(|_| counter.add(1, list));
}

/// Returns the sums without names and times: `{a=1} 20; {a=2} 20`.
fn sums(metrics: &str) -> String {
    let line = |line: &str| {
        let (_, rest) = line.split_once('{')?;
        let (attributes, _) = rest.split_once('}')?;
        let value = line.split_once("sum ")?.1.split(' ').next()?;
        Some(format!("{{{attributes}}} {value}"))
    };
    metrics.lines().map(|text| line(text).unwrap_or_else(|| text.to_owned())).collect::<Vec<_>>().join("; ")
}

#[test]
fn another_list_at_the_same_address_is_another_series() {
    let telemetry = TestTelemetry::new();
    let counter = counter(&telemetry);
    let mut kept = list(["1", "x"]);
    add(&counter, &kept);
    for values in [["1", "y"], ["2", "x"], ["1", "x"]] {
        kept = list(values);
        add(&counter, &kept);
    }
    // The same address, but not the same length.
    add(&counter, &kept[..1]);
    // Equal text at other addresses.
    kept[0] = KeyValue::new("a", String::from("1"));
    add(&counter, &kept);
    assert_eq!(sums(&telemetry.metrics()), "{a=1,b=x} 60; {a=1,b=y} 20; {a=1} 20; {a=2,b=x} 20");
}

#[test]
fn a_freed_list_is_not_mistaken_for_its_successor() {
    let telemetry = TestTelemetry::new();
    let counter = counter(&telemetry);
    let mut addresses = std::collections::HashSet::new();
    for value in 0..50 {
        // Of the same size, so that the allocator uses the same memory again.
        let boxed: Box<[KeyValue]> = Box::new([KeyValue::new("a", format!("{value:02}")), KeyValue::new("b", 1)]);
        addresses.insert(boxed.as_ptr());
        add(&counter, &boxed);
    }
    assert!(addresses.len() < 50);
    let metrics = telemetry.metrics();
    assert_eq!((metrics.lines().count(), metrics.matches("sum 20").count()), (50, 50), "{metrics}");
}

#[test]
fn a_known_list_does_not_keep_its_series_from_eviction() {
    let telemetry = delta(1);
    let counter = counter(&telemetry);
    let (known, other) = (list(["1", "x"]), list(["2", "x"]));
    let mut collected = vec![];
    let mut collect = || collected.push(sums(&telemetry.metrics()));
    add(&counter, &known);
    collect();
    // Nothing uses the series, so the next one takes its place, and the known list belongs to the overflow.
    collect();
    collect();
    add(&counter, &other);
    add(&counter, &known);
    collect();
    // With the other one gone, the known list has a series of its own again.
    collect();
    collect();
    add(&counter, &known);
    collect();
    let expected = ["{a=1,b=x} 20", "", "", "{a=2,b=x} 20; {otel.metric.overflow=true} 20", "", "", "{a=1,b=x} 20"];
    assert_eq!(collected, expected);
}

#[test]
fn a_known_list_follows_each_view() {
    let views = [View::of("n"), View::of("n").with_name("few").without_attribute_keys(["b"])];
    let telemetry = TestTelemetry::new()
        .with_metrics(ReaderConfig::new(), |builder| views.into_iter().fold(builder, |b, view| b.with_view(view)));
    let counter = counter(&telemetry);
    let mut kept = list(["1", "x"]);
    add(&counter, &kept);
    kept = list(["1", "y"]);
    add(&counter, &kept);
    let metrics = telemetry.metrics();
    assert_eq!(sums(&metrics), "{a=1} 40; {a=1,b=x} 20; {a=1,b=y} 20");
    assert!(metrics.starts_with("few"), "{metrics}");
}

#[test]
fn a_list_that_a_view_shortens_is_whole_in_other_streams() {
    let view = View::of("few").without_attribute_keys(["b"]);
    let telemetry = TestTelemetry::new().with_metrics(ReaderConfig::new(), |builder| builder.with_view(view));
    let few = telemetry.meter("test").u64_counter("few").build();
    let all = telemetry.meter("test").u64_counter("n").build();
    let kept = list(["1", "x"]);
    add(&all, &[KeyValue::new("a", "1")]);
    add(&few, &kept);
    add(&all, &kept);
    assert_eq!(sums(&telemetry.metrics()), "{a=1} 20; {a=1,b=x} 20; {a=1} 20");
}

#[test]
fn a_known_list_belongs_to_no_provider() {
    let kept = list(["1", "x"]);
    for _ in 0..3 {
        let (first, second) = (PullReader::default(), PullReader::default());
        let provider = |reader: &PullReader| SdkMeterProvider::builder().with_reader(reader.clone()).build();
        let providers = [&first, &second].map(provider);
        let [one, other] = providers.each_ref().map(|provider| provider.meter("test").u64_counter("n").build());
        add(&one, &kept);
        other.add(7, &kept);
        let text = |reader: &PullReader| sums(&metrics_text(&reader.collect(Deadline::NEVER).unwrap()));
        assert_eq!([text(&first), text(&second)], ["{a=1,b=x} 20", "{a=1,b=x} 7"]);
    }
}

#[test]
fn a_thread_that_ends_still_records_its_known_lists() {
    static LIST: std::sync::LazyLock<[KeyValue; 2]> = std::sync::LazyLock::new(|| list(["1", "x"]));
    struct AtTheEnd(Arc<Counter<u64>>);
    impl Drop for AtTheEnd {
        fn drop(&mut self) {
            self.0.add(1, &*LIST);
        }
    }
    thread_local!(static AT_THE_END: RefCell<Option<AtTheEnd>> = const { RefCell::new(None) });
    let telemetry = TestTelemetry::new();
    let counter = Arc::new(counter(&telemetry));
    for is_first in [true, false] {
        let counter = counter.clone();
        let live = move || {
            let prepare = || AT_THE_END.set(Some(AtTheEnd(counter.clone())));
            if is_first {
                prepare();
            }
            add(&counter, &*LIST);
            if !is_first {
                prepare();
            }
        };
        std::thread::spawn(live).join().unwrap();
    }
    assert_eq!(sums(&telemetry.metrics()), "{a=1,b=x} 42");
}

/// Applications build most lists for each measurement, at one address on the stack.
#[test]
fn lists_that_change_with_each_measurement_are_counted() {
    let telemetry = TestTelemetry::new();
    let counter = counter(&telemetry);
    let routes = ["/a", "/b", "/c", "/d", "/e"];
    for run in [1, 2, 3, 7] {
        for at in 0..500 {
            counter.add(1, &list(["1", routes[at / run % routes.len()]]));
        }
    }
    let expected: Vec<_> = routes.iter().map(|route| format!("{{a=1,b={route}}}")).collect();
    let metrics = sums(&telemetry.metrics());
    let total: u64 = metrics.split("; ").map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum();
    assert_eq!((metrics.split("; ").count(), total), (expected.len(), 2000), "{metrics}");
    assert!(expected.iter().all(|series| metrics.contains(series)), "{metrics}");
}
