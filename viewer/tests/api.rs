//! The JSON API over HTTP: its shapes, its errors and its safety.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{MS, NOW, attribute, get, post, record, request, resource, scope, send, span, start, store, text};
use serde_json::{Value as Json, json};
use telemark_sdk::testing::ManualClock;
use telemark_serve::bind;
use telemark_viewer::model::{
    Event, Exemplar, Kind, Link, Metric, MetricKind, Point, PointData, SpanId, Status, Temporality, TraceId, Value,
};
use telemark_viewer::{Limits, RunningSpan, Store, Viewer};

const MIB: usize = 1 << 20;
const NOT_HELD: &str =
    "the store does not hold the trace: none of its spans has arrived, or they left long ago to make room";

/// A failing trace of two services, with a database, a link, an event, a log record and a metric.
fn sample() -> Arc<Store> {
    let store = store(64 * MIB);
    let mut root = span(&store, "shop", 1, 1, 0, "POST /orders", 0, 100);
    root.kind = Kind::Server;
    root.attributes = Box::new([
        attribute(&store, "http.request.method", text("POST")),
        attribute(&store, "http.response.status_code", Value::Int(503)),
    ]);
    root.status = Status::Error(store.interner().text("payment failed"));
    let mut call = span(&store, "shop", 1, 2, 1, "charge", 10, 80);
    call.kind = Kind::Client;
    call.status = Status::Error(store.interner().text("no response"));
    let mut pay = span(&store, "pay", 1, 3, 2, "pay", 20, 60);
    pay.kind = Kind::Server;
    pay.status = Status::Error(store.interner().text("card declined"));
    pay.events = Box::new([Event {
        time: NOW + 70 * MS,
        name: store.interner().text("exception"),
        attributes: Box::new([attribute(&store, "exception.message", text("<script>alert(1)</script>\u{1b}[31m"))]),
        dropped_attributes: 0,
    }]);
    pay.links = Box::new([
        Link { trace_id: TraceId(2), span_id: SpanId(4), attributes: Box::default() },
        Link { trace_id: TraceId(9), span_id: SpanId(4), attributes: Box::default() },
    ]);
    let mut query = span(&store, "shop", 2, 4, 0, "SELECT users", 200, 5);
    query.kind = Kind::Client;
    query.attributes = Box::new([attribute(&store, "db.system.name", text("postgresql"))]);
    store.add_spans(vec![root, call, pay, query]);
    store.add_records(vec![
        record(&store, 1, 3, 17, 75, "declined"),
        record(&store, 1, 1, 9, 5, "order"),
        record(&store, 0, 0, 13, 6, "alone"),
    ]);
    let bounds: Arc<[f64]> = [0.1, 1.0].into();
    let point = |second: u64, counts: [u64; 3]| Point {
        start: NOW,
        time: NOW + second * 1_000 * MS,
        attributes: Box::new([attribute(&store, "http.route", text("/orders"))]),
        data: PointData::Histogram {
            count: counts.iter().sum(),
            sum: 1.0,
            min: None,
            max: None,
            bounds: bounds.clone(),
            counts: counts.into(),
        },
        exemplars: Box::new([Exemplar {
            time: NOW + 50 * MS,
            value: 0.5,
            trace_id: TraceId(1),
            span_id: SpanId(1),
            attributes: Box::default(),
        }]),
    };
    store.add_metrics(vec![Metric {
        name: store.interner().text("http.server.request.duration"),
        unit: store.interner().text("s"),
        description: store.interner().text("Duration of requests"),
        kind: MetricKind::Histogram,
        temporality: Temporality::Cumulative,
        resource: resource(&store, "shop"),
        scope: scope(&store),
        points: vec![point(10, [10, 0, 0]), point(20, [20, 20, 0])],
    }]);
    store
}

fn id(trace: u128) -> String {
    TraceId(trace).to_string()
}

#[test]
fn the_list_of_traces() {
    let viewer = start(&sample());
    let found = get(&viewer, "/traces.json?q=status%3Aerror");
    assert_eq!(found["held"], 2);
    assert_eq!(found["matched"], 1);
    let facets = json!({
        "error": 1, "ok": 1, "over": [[100 * MS, 0], [500 * MS, 0], [1_000 * MS, 0]],
        "services": [["shop", 2], ["pay", 1]], "roots": [["POST /orders", 1], ["SELECT users", 1]],
    });
    assert_eq!(found["facets"], facets);
    let expected = json!({
        "id": id(1), "name": "POST /orders", "service": "shop", "kind": "server", "start": NOW / 1_000,
        "duration": 100 * MS, "spans": 3, "services": ["shop", "pay"], "errors": 3, "status": "error", "partial": false,
        "running": 0, "http": { "method": "POST", "status": 503 },
    });
    assert_eq!(found["traces"], json!([expected]));
    assert_eq!(found["points"], json!([[NOW / 1_000, 100 * MS, 1, 0, id(1)]]));

    let all = get(&viewer, "/traces.json?limit=1");
    assert_eq!((&all["matched"], &all["traces"][0]["id"]), (&json!(2), &json!(id(2))));
    assert_eq!(all["points"][0][3], -1);
    assert_eq!(all["points"][1][3], 0);
    let before = NOW / 1_000 + 100_000;
    assert_eq!(get(&viewer, &format!("/traces.json?before={before}"))["traces"].as_array().unwrap().len(), 1);
    assert_eq!(get(&viewer, &format!("/traces.json?from={before}"))["traces"][0]["id"], id(2));
    assert_eq!(get(&viewer, &format!("/traces.json?to={before}"))["traces"][0]["id"], id(1));
}

#[test]
fn one_trace_in_columns() {
    let viewer = start(&sample());
    let trace = get(&viewer, &format!("/trace/{}.json", id(1)));
    let columns = &trace["columns"];
    assert_eq!(trace["t0"], NOW / 1_000);
    assert_eq!(trace["duration"], 100 * MS);
    assert_eq!(columns["start"], json!([0, 10 * MS, 20 * MS]));
    assert_eq!(columns["duration"], json!([100 * MS, 80 * MS, 60 * MS]));
    assert_eq!(columns["depth"], json!([0, 1, 2]));
    assert_eq!(columns["parent"], json!([-1, 0, 1]));
    assert_eq!(columns["id"], json!([SpanId(1).to_string(), SpanId(2).to_string(), SpanId(3).to_string()]));
    assert_eq!(trace["names"], json!(["POST /orders", "charge", "pay"]));
    assert_eq!(trace["services"][1]["name"], "pay");
    // Errors on the critical path, of a server, a client and a server.
    assert_eq!(columns["flags"], json!([1 | 8 | 32, 1 | 8 | 64, 1 | 8 | 32]));
    assert_eq!(trace["origin"]["span"], 2);
    assert_eq!(trace["origin"]["message"], "card declined");
    let marks: Vec<_> =
        trace["marks"].as_array().unwrap().iter().map(|mark| (&mark["span"], &mark["at"], &mark["kind"])).collect();
    let expected = [(0, 5, "log"), (2, 70, "exception"), (2, 75, "log")]
        .map(|(span, at, kind)| (json!(span), json!(at * MS), json!(kind)));
    assert_eq!(marks, expected.iter().map(|(span, at, kind)| (span, at, kind)).collect::<Vec<_>>());
    assert_eq!(trace["partial"], false);
    let database = get(&viewer, &format!("/trace/{}.json", id(2)));
    let peer = database["columns"]["peer"][0].as_u64().unwrap() as usize;
    assert_eq!(database["services"][peer]["name"], "postgresql");
}

#[test]
fn one_span_with_all_its_content() {
    let viewer = start(&sample());
    let span = get(&viewer, &format!("/trace/{}/span/{}.json", id(1), SpanId(3)));
    assert_eq!(span["status"], json!({ "code": "error", "message": "card declined" }));
    assert_eq!(span["events"][0]["at"], 70 * MS);
    assert_eq!(
        span["events"][0]["attributes"],
        json!([["exception.message", "<script>alert(1)</script>\u{1b}[31m", "string"]])
    );
    assert_eq!(span["links"][0]["name"], "SELECT users");
    assert_eq!((&span["links"][0]["held"], &span["links"][1]["held"]), (&json!(true), &json!(false)));
    assert_eq!(span["resource"], json!([["service.name", "pay", "string"]]));
    assert_eq!(span["records"][0]["body"], "declined");
    let call = get(&viewer, &format!("/trace/{}/span/{}.json", id(1), SpanId(2)));
    assert_eq!((&call["duration"], &call["self"]), (&json!(80 * MS), &json!(20 * MS)));
}

#[test]
fn log_records_with_their_histogram() {
    let viewer = start(&sample());
    let found = get(&viewer, "/records.json");
    assert_eq!(found["matched"], 3);
    let bodies: Vec<_> = found["records"].as_array().unwrap().iter().map(|record| record["body"].clone()).collect();
    assert_eq!(bodies, ["alone", "order", "declined"]);
    assert_eq!(found["records"][0]["trace"], Json::Null);
    assert_eq!(found["records"][1]["trace_held"], true);
    let cells = found["histogram"].as_array().unwrap();
    let sum = |at: usize| cells.iter().filter_map(|cell| cell[at].as_u64()).sum::<u64>();
    assert_eq!((sum(1), sum(2), sum(3)), (1, 1, 1));
    assert_eq!(get(&viewer, "/records.json?q=%3E%3Dwarn")["matched"], 2);
    assert_eq!(get(&viewer, "/records.json?before=2&after=0")["records"].as_array().unwrap().len(), 1);
}

#[test]
fn a_response_is_bounded_and_the_rest_is_asked_for() {
    let store = store(256 * MIB);
    let large = "\u{1}".repeat(16 << 10);
    store.add_records((0..500).map(|at| record(&store, 0, 0, 9, at, &large)).collect());
    store.add_spans(
        (1..=500)
            .map(|at| {
                let mut root = span(&store, "shop", u128::from(at), at, 0, "work", at, 1);
                root.attributes = Box::new([attribute(&store, "http.request.method", text(&large))]);
                root
            })
            .collect(),
    );
    let viewer = start(&store);
    let mut ids = Vec::new();
    loop {
        let before = ids.last().map_or_else(String::new, |last| format!("&before={last}"));
        let response = request(&viewer, &format!("/records.json?limit=2000{before}"));
        assert!(response.body.len() < 4 * MIB, "{}", response.body.len());
        let records = response.json()["records"].take();
        let Some(records) = records.as_array().filter(|records| !records.is_empty()) else { break };
        ids.extend(records.iter().filter_map(|record| record["id"].as_u64()));
    }
    assert_eq!(ids, (0..500).rev().collect::<Vec<_>>());

    let response = request(&viewer, "/traces.json?limit=1000");
    assert!(response.body.len() < 4 * MIB, "{}", response.body.len());
    let found = response.json();
    let rows = found["traces"].as_array().unwrap();
    assert!(rows.len() > 20 && rows.len() < 50, "{}", rows.len());
    for point in found["points"].as_array().unwrap() {
        let row = point[3].as_u64().map(|at| &rows[at as usize]["id"]);
        assert!(row.is_none_or(|id| *id == point[4]), "{point}");
    }
    assert_eq!(found["points"].as_array().unwrap().iter().filter(|point| point[3] != -1).count(), rows.len());
}

#[test]
fn an_instrument_with_heat_map_and_exemplars() {
    let viewer = start(&sample());
    let list = get(&viewer, "/instruments.json");
    let instrument = &list["instruments"][0];
    assert_eq!(instrument["name"], "http.server.request.duration");
    assert_eq!(instrument["services"], json!(["shop"]));
    let found = get(&viewer, &format!("/instrument/{}.json", instrument["id"].as_str().unwrap()));
    assert_eq!(found["heat"]["bounds"], json!([0.1, 1.0]));
    assert_eq!(found["heat"]["counts"], json!([[10, 0, 0], [10, 20, 0]]));
    assert_eq!(found["series"][0]["points"], json!([[NOW / 1_000 + 10_000_000, 1.0], [NOW / 1_000 + 20_000_000, 3.0]]));
    assert_eq!(found["series"][0]["rate"], true);
    assert_eq!(found["exemplars"], json!([[NOW / 1_000 + 50_000, 0.5, id(1), SpanId(1).to_string(), true, 1]]));
    let split = get(&viewer, &format!("/instrument/{}.json?by=http.route", instrument["id"].as_str().unwrap()));
    assert_eq!(split["series"][0]["labels"], json!({ "http.route": "/orders" }));
}

#[test]
fn the_map_and_the_comparison() {
    let viewer = start(&sample());
    let map = get(&viewer, "/map.json");
    let nodes = map["nodes"].as_array().unwrap();
    let kind = |name: &str| nodes.iter().find(|node| node["name"] == name).map(|node| node["kind"].as_str().unwrap());
    assert_eq!((kind("shop"), kind("pay"), kind("postgresql")), (Some("service"), Some("service"), Some("database")));
    assert_eq!(map["edges"].as_array().unwrap().len(), 2);
    let compared = get(&viewer, &format!("/compare.json?a={}&b={}", id(1), id(2)));
    assert_eq!(compared["rows"].as_array().unwrap().len(), 4);
    let windows =
        format!("/compare.json?a={0}-{1}&b={1}-{2}", NOW / 1_000, NOW / 1_000 + 100_000, NOW / 1_000 + 300_000);
    assert_eq!(get(&viewer, &windows)["b"]["traces"], 1);
    assert!(get(&viewer, "/findings.json")["findings"].is_array());
}

#[test]
fn a_large_trace_hides_no_others_from_the_map() {
    let store = sample();
    store.add_spans((1..=21_000).map(|id| span(&store, "large", 3, id, id - 1, "step", 300, 1)).collect());
    store.add_spans(vec![span(&store, "last", 4, 1, 0, "work", 400, 1)]);
    let map = get(&start(&store), "/map.json");
    let names: Vec<_> = map["nodes"].as_array().unwrap().iter().map(|node| node["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["last", "pay", "postgresql", "shop"]);
}

#[test]
fn completions_come_from_what_is_held() {
    let viewer = start(&sample());
    let complete = |query: &str, at: usize| get(&viewer, &format!("/complete.json?q={query}&at={at}"));
    let texts = |found: &Json| {
        let items = found["items"].as_array().unwrap().iter();
        items.map(|item| item["text"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(texts(&complete("serv", 4))[0], "service:");
    assert_eq!(texts(&complete("service:p", 9)), ["service:shop", "service:pay"]);
    assert_eq!(texts(&complete("%C3%A9+status:e", 10)), ["status:error"]);
    assert_eq!(texts(&complete("http.request.method=", 20)), ["http.request.method=POST"]);
    let name = complete("name:orders", 11);
    assert_eq!(texts(&name), ["name:\"POST /orders\""]);
    assert_eq!((&name["from"], &name["to"]), (&json!(0), &json!(11)));
}

#[test]
fn refusals_are_json_with_a_reason() {
    let viewer = start(&sample());
    for (target, status, error) in [
        (
            "/traces.json?q=%C3%A9%20servce:x",
            400,
            json!({ "error": "there is no field \"servce\"; put quotes around the word to search for it", "at": 2 }),
        ),
        ("/traces.json?limit=x", 400, json!({ "error": "limit is not a whole number" })),
        ("/trace/1.json", 404, json!({ "error": "the path has no valid id" })),
        ("/trace/00000000000000000000000000000009.json", 404, json!({ "error": NOT_HELD })),
        ("/instrument/1.json", 404, json!({ "error": "there is no such instrument" })),
        ("/nothing.json", 404, json!({ "error": "there is no such path" })),
        ("/nothing", 404, json!({ "error": "there is no such path" })),
        ("/compare.json?a=1", 400, json!({ "error": "\"1\" is not a trace id" })),
        ("/mcp", 405, json!({ "error": "send requests to /mcp with POST" })),
    ] {
        let response = request(&viewer, target);
        assert_eq!((response.status, response.json()), (status, error), "{target}");
    }
}

#[test]
fn every_response_is_protected() {
    let viewer = start(&sample());
    for target in ["/", "/traces", "/status.json", "/nothing.json"] {
        let headers = request(&viewer, target).headers;
        let policy = "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
            img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n";
        for header in
            [policy, "x-content-type-options: nosniff", "referrer-policy: no-referrer", "cache-control: no-store"]
        {
            assert!(headers.contains(header), "{target}: {headers}");
        }
    }
    let host = send(&viewer, "GET /traces.json HTTP/1.1\r\nHost: evil.example", "");
    assert_eq!(host.status, 421);
    let origin = "GET /traces.json HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example";
    assert_eq!(send(&viewer, origin, "").status, 403);
    let plain = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain";
    assert_eq!(send(&viewer, plain, "{}").status, 415);
    let large = "x".repeat(65 << 10);
    assert_eq!(
        send(&viewer, "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json", &large).status,
        413
    );
}

#[test]
fn a_reachable_address_requires_a_token() {
    let store = store(MIB);
    let listen = || bind("0.0.0.0", 0).unwrap();
    assert!(Viewer::builder(store.clone()).start(listen()).is_err());
    assert!(Viewer::builder(store.clone()).with_token("too short").start(listen()).is_err());
    let viewer = Viewer::builder(store).with_token("0123456789abcdef").start(bind("127.0.0.1", 0).unwrap()).unwrap();
    assert_eq!(viewer.link(), format!("http://{}/?token=0123456789abcdef", viewer.address()));
    assert_eq!(request(&viewer, "/status.json").status, 401);
    assert_eq!(request(&viewer, "/").status, 401);
    let login = request(&viewer, "/?token=0123456789abcdef");
    assert_eq!(login.status, 303);
    assert!(login.headers.contains("location: /\r\n"), "{}", login.headers);
    let port = viewer.address().port();
    let cookie = |port| {
        format!("GET /status.json HTTP/1.1\r\nHost: localhost\r\nCookie: telemark_viewer_{port}=0123456789abcdef")
    };
    assert_eq!(send(&viewer, &cookie(port), "").status, 200);
    assert_eq!(send(&viewer, &cookie(port - 1), "").status, 401, "the cookie of another viewer on this host");
}

#[test]
fn running_spans_are_shown_until_they_end() {
    let store = sample();
    let viewer = start(&store);
    assert!(!store.running().wanted());
    get(&viewer, "/status.json");
    assert!(store.running().wanted());
    let running = |trace, span| RunningSpan {
        trace_id: TraceId(trace),
        span_id: SpanId(span),
        parent: SpanId(if trace == 1 { 1 } else { 0 }),
        name: store.interner().text("waiting"),
        kind: Kind::Internal,
        start: NOW + 90 * MS,
        resource: resource(&store, "shop"),
    };
    store.running().span_started(running(1, 70));
    store.running().span_started(running(7, 71));
    let found = get(&viewer, "/traces.json");
    assert_eq!(found["matched"], 3);
    assert_eq!((&found["traces"][0]["id"], &found["traces"][0]["running"]), (&json!(id(7)), &json!(1)));
    let failing = found["traces"].as_array().unwrap().iter().find(|trace| trace["id"] == id(1)).unwrap();
    assert_eq!(failing["running"], 1);
    // Points still refer to their rows.
    for point in found["points"].as_array().unwrap() {
        assert_eq!(found["traces"][point[3].as_u64().unwrap() as usize]["id"], point[4]);
    }
    let trace = get(&viewer, &format!("/trace/{}.json", id(1)));
    assert!(trace["columns"]["flags"].as_array().unwrap().iter().any(|flags| flags.as_u64().unwrap() & 2 != 0));
    assert_eq!(get(&viewer, &format!("/trace/{}.json", id(7)))["columns"]["id"].as_array().unwrap().len(), 1);
    store.running().span_ended(SpanId(71));
    assert_eq!(get(&viewer, "/traces.json")["matched"], 2);
    assert_eq!(get(&viewer, "/traces.json?q=name:waiting")["matched"], 0);
}

/// A page that is hidden asks for nothing.
#[test]
fn a_page_that_was_hidden_has_cost_nothing_and_misses_nothing() {
    let clock = ManualClock::new();
    let store = Store::new(Limits::default().with_bytes(MIB).with_clock(clock.clock()));
    let viewer = start(&store);
    let list = || get(&viewer, "/traces.json?q=service:shop&limit=1000");
    let add = |from: u64, to: u64| {
        store.add_spans((from..to).map(|at| span(&store, "shop", u128::from(at), at, 0, "work", at, 1)).collect());
    };
    add(1, 100);
    get(&viewer, "/status.json");
    assert_eq!(list()["matched"], 99);
    assert!(store.running().wanted());
    clock.advance(Duration::from_secs(6));
    assert!(!store.running().wanted(), "spans of this process are no longer followed");
    // The store goes on within its limit, although the searches still hold what has left.
    add(100, 3_000);
    let status = get(&viewer, "/status.json");
    assert!(status["used"].as_u64() <= status["limit"].as_u64(), "{status}");
    let found = list();
    assert_eq!((&found["matched"], &found["held"]), (&status["traces"], &status["traces"]));
    assert_eq!(found["traces"][0]["id"], id(2_999));
    assert!(store.running().wanted(), "and are followed again");
}

#[test]
fn hostile_traces_are_harmless() {
    let store = store(64 * MIB);
    let mut spans = Vec::new();
    // A cycle, a span that is its own parent, equal ids, an end before the start, and times at both ends.
    for (id, parent) in [(1, 2), (2, 3), (3, 1), (4, 4), (5, 4), (5, 5), (0, 0)] {
        spans.push(span(&store, "\u{202e}<b>", 5, id, parent, "\u{1b}]0;x\u{7}", 10, 10));
    }
    let mut backwards = span(&store, "shop", 5, 6, 1, "backwards", 10, 0);
    backwards.end = backwards.start - 1;
    let mut endless = span(&store, "shop", 5, 7, 1, "endless", 0, 0);
    (endless.start, endless.end) = (0, u64::MAX);
    let mut late = span(&store, "shop", 6, 8, 0, "late", 0, 0);
    (late.start, late.end) = (u64::MAX, 1);
    spans.extend([backwards, endless, late, span(&store, "shop", 0, 9, 0, "no trace id", 0, 1)]);
    // A chain of 20,000 spans.
    spans.extend((1..=20_000).map(|id| span(&store, "shop", 7, id, id - 1, "deep", id, 1)));
    store.add_spans(spans);
    let viewer = start(&store);
    for trace in [5, 6, 7, 0] {
        let view = get(&viewer, &format!("/trace/{}.json", id(trace)));
        let columns = view["columns"].as_object().unwrap();
        let length = columns["id"].as_array().unwrap().len();
        assert!(columns.values().all(|column| column.as_array().unwrap().len() == length));
    }
    for target in [
        "/traces.json",
        "/map.json",
        "/findings.json",
        "/status.json",
        "/complete.json?q=&at=9",
        "/traces.json?q=trace:5",
    ] {
        get(&viewer, target);
    }
    for span in [0, 1, 4, 5, 6, 7] {
        get(&viewer, &format!("/trace/{}/span/{}.json", id(5), SpanId(span)));
    }
}

fn tool(viewer: &Viewer, name: &str, arguments: Json) -> (String, bool) {
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": name, "arguments": arguments } });
    let response = post(viewer, &call).json();
    assert_eq!(response["id"], 1);
    let result = &response["result"];
    (result["content"][0]["text"].as_str().unwrap_or_default().to_owned(), result["isError"] == true)
}

#[test]
fn assistants_find_the_reason_of_a_failure() {
    let viewer = start(&sample());
    let initialize =
        json!({ "jsonrpc": "2.0", "id": "a", "method": "initialize", "params": { "protocolVersion": "2025-03-26" } });
    let initialized = post(&viewer, &initialize).json();
    assert_eq!((&initialized["id"], &initialized["result"]["protocolVersion"]), (&json!("a"), &json!("2025-03-26")));
    let notification = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    assert_eq!(post(&viewer, &notification).status, 202);
    let list = post(&viewer, &json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list" })).json();
    let tools = list["result"]["tools"].as_array().unwrap();
    for name in ["search_traces", "get_trace", "slowest", "error_origin", "logs_of_trace", "metrics", "findings"] {
        let tool = tools.iter().find(|tool| tool["name"] == name).unwrap();
        assert_eq!(tool["inputSchema"]["type"], "object");
    }

    let (found, _) = tool(&viewer, "search_traces", json!({ "query": "status:error name:\"POST /orders\"" }));
    assert!(found.contains(&id(1)) && !found.contains(&id(2)), "{found}");
    let (slowest, _) = tool(&viewer, "slowest", json!({ "limit": 1 }));
    assert!(slowest.contains(&id(1)) && !slowest.contains(&id(2)), "{slowest}");
    let (trace, _) = tool(&viewer, "get_trace", json!({ "trace_id": id(1) }));
    assert!(trace.contains("*    +20.0 ms 60.0 ms pay: pay [0000000000000003] (ERROR)"), "{trace}");
    assert!(trace.contains("likely began in pay: pay [0000000000000003]: card declined"), "{trace}");
    let (origin, _) = tool(&viewer, "error_origin", json!({}));
    assert!(origin.contains("card declined"), "{origin}");
    let (logs, _) = tool(&viewer, "logs_of_trace", json!({ "trace_id": id(1) }));
    assert!(logs.find("order").unwrap() < logs.find("declined").unwrap(), "{logs}");
    let (metrics, _) = tool(&viewer, "metrics", json!({ "query": "duration" }));
    let instrument = serde_json::from_str::<Json>(&metrics).unwrap()["instruments"][0]["id"].clone();
    let (metric, _) = tool(&viewer, "metrics", json!({ "instrument": instrument }));
    assert!(metric.contains("quantiles"), "{metric}");
    let (span, _) = tool(&viewer, "get_span", json!({ "trace_id": id(1), "span_id": SpanId(3).to_string() }));
    assert!(span.contains("card declined"), "{span}");
    assert!(tool(&viewer, "findings", json!({})).0.contains("findings"));

    assert_eq!(
        tool(&viewer, "get_trace", json!({ "trace_id": "x" })),
        ("trace_id has 32 hexadecimal digits".to_owned(), true)
    );
    assert!(tool(&viewer, "search_traces", json!({ "query": "status:" })).1);
    for (message, code) in [
        (json!({ "jsonrpc": "2.0", "id": 1, "method": "nothing" }), -32_601),
        (json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "nothing" } }), -32_602),
        (json!([]), -32_600),
        (json!({ "id": 1 }), -32_600),
    ] {
        assert_eq!(post(&viewer, &message).json()["error"]["code"], code, "{message}");
    }
    let broken =
        send(&viewer, "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json; charset=utf-8", "{");
    assert_eq!(broken.json()["error"]["code"], -32_700);
}

#[test]
fn a_viewer_ends_while_its_store_stays() {
    let store = Store::new(Limits::default());
    let viewer = start(&store);
    let address = viewer.address();
    drop(viewer);
    store.add_spans(vec![span(&store, "shop", 1, 1, 0, "work", 0, 1)]);
    assert_eq!(store.spans().len(), 1);
    assert!(address.ip().is_loopback());
}
