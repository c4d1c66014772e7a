//! Shows which metric has how many series, and which attribute makes them many. A process has only one message sink, so a single test reads
//! messages.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};

use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider;
use telemark_sdk::config::Env;
use telemark_sdk::diag;
use telemark_sdk::install::Telemetry;
use telemark_sdk::metrics::{PullReader, ReaderConfig, SdkMeterProvider, TemporalityPreference, View};
use telemark_sdk::self_metrics::SelfMetrics;
use telemark_sdk::testing::{ManualClock, metrics_text};
use telemark_sdk::time::Deadline;
use telemark_sdk::trace::SdkTracerProvider;

fn request(user: i64) -> [KeyValue; 3] {
    [
        KeyValue::new("http.route", ["/", "/cart", "/users/{id}"][user as usize % 3]),
        KeyValue::new("user.id", format!("secret-{user}")),
        KeyValue::new("zone", "a"),
    ]
}

fn collected(reader: &PullReader) -> Vec<String> {
    let text = metrics_text(&reader.collect(Deadline::NEVER).unwrap());
    text.lines().map(str::to_owned).collect()
}

/// Returns the value at the end of the only line with these parts.
#[track_caller]
fn value(lines: &[String], parts: &[&str]) -> u64 {
    let is = |line: &&String| parts.iter().all(|part| line.contains(part));
    let [line] = lines.iter().filter(is).collect::<Vec<_>>()[..] else { panic!("{parts:?}: {lines:#?}") };
    line.rsplit_once(' ').unwrap().1.parse().unwrap()
}

#[test]
fn a_full_metric_is_reported_once_with_the_attribute_that_has_the_most_values() {
    let said = Arc::new(Mutex::new(Vec::new()));
    let sink = said.clone();
    assert!(diag::set_sink(move |level, text| sink.lock().unwrap().push(format!("{level}: {text}"))));
    let reader = PullReader::new(ReaderConfig::new().with_cardinality_limit(|_| 100));
    let large = View::of("large").with_cardinality_limit(10);
    let provider = SdkMeterProvider::builder().with_reader(reader.clone()).with_view(large).build();
    let meter = provider.meter("test");
    let requests = meter.u64_counter("requests").build();
    (0..100).for_each(|user| requests.add(1, &request(user)));
    collected(&reader);
    assert_eq!(*said.lock().unwrap(), [""; 0], "a metric that is not full says nothing");

    (100..150).for_each(|user| requests.add(1, &request(user)));
    assert_eq!(*said.lock().unwrap(), [""; 0], "nothing is said by the thread that records");
    let observer = |observer: &dyn opentelemetry::metrics::AsyncInstrument<i64>| {
        (0..101).for_each(|n| observer.observe(n, &[KeyValue::new("n", n), KeyValue::new("half", n / 2)]));
    };
    meter.i64_observable_gauge("observed").with_callback(observer).build();
    let bytes = meter.u64_counter("large").build();
    (0..20).for_each(|n| bytes.add(1, &[KeyValue::new("text", format!("{n}{}", "x".repeat(200_000)))]));
    for _ in 0..3 {
        collected(&reader);
    }
    let said = said.lock().unwrap();
    let (about, messages): (Vec<_>, Vec<_>) = said
        .iter()
        .map(|message| {
            let about = message.split_once("about ").map(|(_, rest)| rest.split_once(',').unwrap().0);
            let text = about.map_or(message.clone(), |about| message.replace(&format!("about {about}"), "about N"));
            (about.map(|about| about.parse::<u64>().unwrap()), text)
        })
        .unzip();
    let expected = [
        "warning: the metric \"requests\" has 100 series, which is its limit: further ones share a series with \
         otel.metric.overflow=true; the attribute \"user.id\" has the most distinct values, about N, and a view can leave it out",
        "warning: the metric \"observed\" has 100 series, which is its limit: further ones share a series with \
         otel.metric.overflow=true; the attribute \"n\" has the most distinct values, about N, and a view can leave it out",
        "warning: the metric \"large\" has attributes of 1024 KiB in its series, which is their limit: further ones share a series \
         with otel.metric.overflow=true",
    ];
    assert_eq!(messages, expected);
    assert!(about[..2].iter().flatten().all(|about| (75..=125).contains(about)), "{about:?}");
    assert!(!said.iter().any(|message| message.contains("secret")), "values may be secrets");
}

#[test]
fn the_series_of_each_metric_and_reader_are_metrics() {
    for preference in [TemporalityPreference::Cumulative, TemporalityPreference::Delta] {
        let config = ReaderConfig::new().with_temporality(preference).with_component_type("test_reader");
        let (reader, other) = (PullReader::new(config.clone()), PullReader::new(config));
        let provider = SdkMeterProvider::builder().with_reader(reader.clone()).with_reader(other.clone()).build();
        let _metrics = SelfMetrics::observe(&SdkTracerProvider::builder().build(), &provider);
        // Two scopes with a metric of this name.
        for (scope, users) in [("one", 0..500), ("two", 500..1000)] {
            let requests = provider.meter(scope).u64_counter("requests").build();
            users.for_each(|user| requests.add(1, &request(user)));
        }
        provider.meter("one").u64_gauge("few").build().record(1, &[KeyValue::new("k", 1)]);
        let lines = collected(&reader);
        for component in ["=test_reader/0,", "=test_reader/1,"] {
            let of = |name, metric| value(&lines, &[name, component, metric]);
            assert_eq!(of("telemark.sdk.metric.series[", "name=requests}"), 1000);
            assert_eq!(of("telemark.sdk.metric.series.limit[", "name=requests}"), 4000);
            assert_eq!(of("telemark.sdk.metric.series[", "name=few}"), 1);
            let of_user = value(&lines, &["attribute.values[", component, "key=user.id,", "name=requests}"]);
            assert!((425..=575).contains(&of_user), "{of_user}");
        }
        let values: Vec<_> = lines.iter().filter(|line| line.contains("attribute.values[")).collect();
        assert_eq!(values.len(), 2, "attributes with few values are not listed: {values:#?}");
        assert!(!lines.iter().any(|line| line.contains("telemark.metric.name=telemark.sdk")), "{lines:#?}");
    }
}

#[test]
fn a_small_limit_hides_no_metric_from_those_about_series() {
    let reader = PullReader::new(ReaderConfig::new().with_cardinality_limit(|_| 3));
    let provider = SdkMeterProvider::builder().with_reader(reader.clone()).build();
    let _metrics = SelfMetrics::observe(&SdkTracerProvider::builder().build(), &provider);
    for number in 0..20 {
        let counter = provider.meter("test").u64_counter(format!("metric.{number}")).build();
        (0..2).for_each(|n| counter.add(1, &[KeyValue::new("n", n)]));
    }
    let lines = collected(&reader);
    for number in 0..20 {
        assert_eq!(value(&lines, &["telemark.sdk.metric.series[", &format!("name=metric.{number}}}")]), 2);
    }
}

#[test]
fn expired_series_are_counted_by_metric() {
    let (reader, clock) = (PullReader::default(), ManualClock::new());
    let telemetry = Telemetry::builder(Env::from_pairs::<&str, &str>([]))
        .with_clock(clock.clock())
        .with_metric_reader(reader.clone())
        .with_series_expiry(std::time::Duration::from_secs(60))
        .with_self_metrics()
        .build()
        .unwrap();
    let counter = telemetry.meter("test").u64_counter("c").build();
    (0..5).for_each(|n| counter.add(1, &[KeyValue::new("n", n)]));
    collected(&reader);
    clock.advance(std::time::Duration::from_secs(60));
    collected(&reader);
    let lines = collected(&reader);
    assert_eq!(value(&lines, &["telemark.sdk.metric.series.expired[", "name=c}"]), 5);
}
