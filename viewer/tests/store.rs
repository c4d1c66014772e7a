//! The bounds of the store, seen through its API.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::time::Duration;

use common::{NOW, attribute, get, record, request, resource, scope, span, start, store, text};
use serde_json::json;
use telemark_sdk::testing::ManualClock;
use telemark_viewer::model::{Event, Metric, MetricKind, Point, PointData, SpanId, Temporality, TraceId, Value};
use telemark_viewer::{Limits, Store};

const MIB: usize = 1 << 20;

#[test]
fn a_full_store_drops_whole_traces_the_oldest_first() {
    let store = store(MIB);
    for trace in 1..=2_000 {
        let name = format!("a name {trace}");
        store.add_spans((1..=4).map(|id| span(&store, "shop", trace, id, id - 1, &name, trace as u64, 1)).collect());
    }
    let spans = store.spans();
    let first = spans[0].trace_id.0;
    assert!(first > 1 && spans.len() > 500, "{first}, {}", spans.len());
    // Each trace that is held is complete, and no newer one is missing.
    let expected: Vec<(u128, u64)> = (first..=2_000).flat_map(|trace| (1..=4).map(move |id| (trace, id))).collect();
    assert_eq!(spans.iter().map(|span| (span.trace_id.0, span.span_id.0)).collect::<Vec<_>>(), expected);

    let viewer = start(&store);
    let status = get(&viewer, "/status.json");
    let number = |name: &str| status[name].as_u64().unwrap();
    assert!(number("used") <= number("limit") && number("used") > number("limit") / 2, "{status}");
    assert_eq!(number("spans"), spans.len() as u64);
    assert_eq!(status["evicted"]["spans"], 8_000 - spans.len());
    assert_eq!(status["services"][0]["spans"], spans.len());
    assert_eq!(number("oldest"), (NOW + first as u64 * 1_000_000) / 1_000);

    // A link to an evicted trace says when it left, and its late spans are a partial trace.
    let gone = request(&viewer, &format!("/trace/{}.json", TraceId(first - 1)));
    assert_eq!(gone.status, 404);
    let reason = "the trace left the store to make room for newer telemetry; OTEL_RUST_VIEWER_MAX_MEMORY determines how much the \
                  store holds";
    assert_eq!(gone.json(), json!({ "error": reason, "evicted_at": NOW / 1_000 }));
    let of_span = request(&viewer, &format!("/trace/{}/span/{}.json", TraceId(first - 1), SpanId(1)));
    assert_eq!((of_span.status, of_span.json()), (404, gone.json()), "and a link to one of its spans says the same");
    store.add_spans(vec![span(&store, "shop", first - 1, 9, 0, "late", 1, 1)]);
    let late = get(&viewer, &format!("/trace/{}.json", TraceId(first - 1)));
    assert_eq!((&late["partial"], &late["evicted_at"]), (&true.into(), &(NOW / 1_000).into()));
}

#[test]
fn unique_names_are_freed_with_their_spans() {
    let store = store(MIB);
    for trace in 1..=20_000u128 {
        let name = format!("{trace} {}", "x".repeat(300));
        store.add_spans(vec![span(&store, &name, trace, 1, 0, &name, 0, 1)]);
    }
    let held = store.spans().len();
    assert!((100..2_000).contains(&held), "{held}");
    let status = get(&start(&store), "/status.json");
    assert!(status["used"].as_u64() <= status["limit"].as_u64(), "{status}");
}

#[test]
fn a_large_trace_is_bounded_and_others_stay() {
    let store = store(4 * MIB);
    store.add_spans(vec![span(&store, "shop", 1, 1, 0, "small", 0, 1)]);
    for batch in 0..100 {
        let ids = batch * 500 + 2..batch * 500 + 502;
        store.add_spans(ids.map(|id| span(&store, "shop", 2, id, 1, "many", 0, 1)).collect());
    }
    let viewer = start(&store);
    assert_eq!(get(&viewer, &format!("/trace/{}.json", TraceId(1)))["columns"]["id"].as_array().unwrap().len(), 1);
    let large = get(&viewer, &format!("/trace/{}.json", TraceId(2)));
    let held = large["spans_held"].as_u64().unwrap();
    assert!(held > 1_000 && large["bytes"].as_u64().unwrap() <= MIB as u64, "{held}");
    assert_eq!(large["cut"], 50_000 - held);
    assert_eq!(large["partial"], true);
    assert_eq!(get(&viewer, "/status.json")["evicted"]["spans"], 50_000 - held);
}

#[test]
fn one_item_larger_than_the_store_is_harmless() {
    let store = store(10_000);
    let mut large = span(&store, "shop", 1, 1, 0, "large", 0, 1);
    large.attributes = (0..100).map(|at| attribute(&store, &format!("key {at}"), text(&"x".repeat(10_000)))).collect();
    store.add_spans(vec![large]);
    store.add_spans(vec![span(&store, "shop", 2, 1, 0, "small", 0, 1)]);
    assert!(store.spans().iter().all(|span| &*span.name != "large"));
}

#[test]
fn values_of_a_megabyte_are_cut_and_say_so() {
    let store = store(16 * MIB);
    let mut large = span(&store, "shop", 1, 1, 0, &"n".repeat(MIB), 0, 1);
    large.attributes = Box::new([attribute(&store, "body", text(&"x".repeat(MIB)))]);
    store.add_spans(vec![large]);
    let viewer = start(&store);
    let trace = get(&viewer, &format!("/trace/{}.json", TraceId(1)));
    assert_eq!(trace["columns"]["flags"][0].as_u64().unwrap() & 128, 128);
    assert!(trace["names"][0].as_str().unwrap().len() < 2_000);
    let span = get(&viewer, &format!("/trace/{}/span/{}.json", TraceId(1), SpanId(1)));
    assert_eq!(span["attributes"][0][2], "string, cut");
    assert!(span["attributes"][0][1].as_str().unwrap().len() < 17_000);
}

#[test]
fn an_item_has_a_bounded_size_and_says_what_was_dropped() {
    let store = store(64 * MIB);
    let attributes =
        |count: usize| (0..count).map(|at| attribute(&store, &format!("key {at}"), text(&"x".repeat(16_000))));
    let mut large = span(&store, "shop", 1, 1, 0, "large", 0, 1);
    large.attributes = attributes(40).collect();
    let name = store.interner().text("event");
    let event = |_| Event { time: NOW, name: name.clone(), attributes: attributes(1).collect(), dropped_attributes: 0 };
    large.events = (0..100).map(event).collect();
    store.add_spans(vec![large]);
    let mut large = record(&store, 1, 1, 9, 0, "large");
    large.attributes = attributes(100).collect();
    store.add_records(vec![large]);
    let (spans, records) = (store.spans(), store.records());
    assert_eq!((spans[0].attributes.len(), spans[0].dropped.attributes), (40, 0));
    assert_eq!((spans[0].events.len(), spans[0].dropped.events), (25, 75));
    assert_eq!((records[0].attributes.len(), records[0].dropped_attributes), (65, 35));
}

#[test]
fn log_records_leave_room_for_traces() {
    let store = store(MIB);
    store.add_spans((1..=500).map(|trace| span(&store, "shop", trace, 1, 0, "work", 0, 1)).collect());
    let spans = store.spans().len();
    for at in 0..20_000 {
        store.add_records(vec![record(&store, 1, 1, 9, at, "a log record with some text in it")]);
    }
    assert_eq!(store.spans().len(), spans);
    let records = store.records();
    assert!(records.len() > 200 && records.len() < 5_000, "{}", records.len());
    assert_eq!(records.last().unwrap().time, NOW + 19_999 * common::MS);
    let viewer = start(&store);
    assert_eq!(get(&viewer, "/status.json")["evicted"]["records"], 20_000 - records.len());
    // Records of a trace are found by their trace after others have left.
    let marks = get(&viewer, &format!("/trace/{}.json", TraceId(1)))["marks"].as_array().unwrap().len();
    assert_eq!(marks, records.len());
}

fn points(store: &Store, series: usize, time: u64) -> Metric {
    let point = |number: usize| Point {
        start: NOW,
        time,
        attributes: Box::new([attribute(store, "number", Value::Int(number as i64))]),
        data: PointData::Int(number as i64),
        exemplars: Box::default(),
    };
    Metric {
        name: store.interner().text("requests"),
        unit: store.interner().text("1"),
        description: store.interner().text("All requests"),
        kind: MetricKind::Sum { monotonic: true },
        temporality: Temporality::Cumulative,
        resource: resource(store, "shop"),
        scope: scope(store),
        points: (0..series).map(point).collect(),
    }
}

#[test]
fn metrics_are_bounded_in_points_and_series() {
    let store = store(4 * MIB);
    for second in 0..200 {
        store.add_metrics(vec![points(&store, 2_500, NOW + second * 1_000_000_000)]);
    }
    let status = get(&start(&store), "/status.json");
    assert!(status["used"].as_u64() <= status["limit"].as_u64(), "{status}");
    assert!(status["series"].as_u64() <= Some(2_000), "{status}");
    let held: usize = store.metrics().iter().map(|metric| metric.points.len()).sum();
    assert!(held > 1_000, "{held}");
    assert_eq!(status["evicted"]["points"], 500_000 - held);
    let newest = store.metrics()[0].points.iter().map(|point| point.time).max();
    assert_eq!(newest, Some(NOW + 199 * 1_000_000_000));
}

#[test]
fn instruments_that_have_ended_make_room_for_new_ones() {
    let clock = ManualClock::new();
    let store = Store::new(Limits::default().with_clock(clock.clock()));
    let add = |name: String| {
        clock.advance(Duration::from_secs(1));
        let mut metric = points(&store, 1, NOW);
        metric.name = store.interner().text(&name);
        store.add_metrics(vec![metric]);
    };
    (0..2_000).for_each(|number| add(format!("old {number}")));
    add("old 0".to_owned());
    add("new".to_owned());
    let names: Vec<String> = store.metrics().iter().map(|metric| metric.name.to_string()).collect();
    // The oldest eighth has left, but for the one that has a new point.
    assert_eq!(names.len(), 1_751);
    for (name, is_held) in [("new", true), ("old 0", true), ("old 1", false), ("old 250", false), ("old 251", true)] {
        assert_eq!(names.iter().any(|held| held == name), is_held, "{name}");
    }
    let status = get(&start(&store), "/status.json");
    assert_eq!((&status["series"], &status["evicted"]["points"]), (&json!(1_751), &json!(250)));
}

#[test]
fn series_that_have_ended_make_room_for_new_ones() {
    let clock = ManualClock::new();
    let store = Store::new(Limits::default().with_clock(clock.clock()));
    store.add_metrics(vec![points(&store, 2_000, NOW)]);
    let held = || store.metrics().iter().map(|metric| metric.points.len()).sum::<usize>();
    let mut new = points(&store, 2_001, NOW);
    new.points.drain(..2_000);
    store.add_metrics(vec![new.clone()]);
    assert_eq!(held(), 2_000, "a series that is not stale keeps its place");
    clock.advance(Duration::from_secs(500));
    store.add_metrics(vec![points(&store, 7, NOW)]);
    clock.advance(Duration::from_secs(101));
    store.add_metrics(vec![new]);
    assert_eq!(held(), 2 * 7 + 1);
    let status = get(&start(&store), "/status.json");
    assert_eq!((&status["series"], &status["evicted"]["points"]), (&json!(8), &json!(1 + 1_993)));
}

#[test]
fn what_was_added_is_saved() {
    let store = store(MIB);
    let mut metric = points(&store, 3, NOW);
    store.add_metrics(vec![metric.clone()]);
    let saved = store.metrics();
    metric.points.sort_by_key(|point| format!("{:?}", point.data));
    assert_eq!(saved, [metric]);
    let added = span(&store, "shop", 1, 1, 0, "work", 0, 1);
    store.add_spans(vec![added.clone()]);
    assert_eq!(*store.spans()[0], added);
    let added = record(&store, 1, 1, 9, 0, "text");
    store.add_records(vec![added.clone()]);
    assert_eq!(*store.records()[0], added);
}

#[test]
fn ten_thousand_services_are_bounded() {
    let store = store(2 * MIB);
    for service in 0..10_000u128 {
        store.add_spans(vec![span(&store, &format!("service {service}"), service + 1, 1, 0, "work", 0, 1)]);
    }
    let status = get(&start(&store), "/status.json");
    assert_eq!(status["services"].as_array().unwrap().len(), 200);
    assert!(status["used"].as_u64() <= status["limit"].as_u64(), "{status}");
}
