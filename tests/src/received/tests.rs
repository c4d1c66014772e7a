//! Checks that a request with every kind of data is read identically from each receiver's output.

use std::collections::BTreeMap;

use super::{Points, Received, mockotlpserver, rotel};

const ROTEL: &str = include_str!("../../fixtures/rotel.txt");
const GRPC: &str = include_str!("../../fixtures/mockotlpserver-grpc.txt");
const HTTP: &str = include_str!("../../fixtures/mockotlpserver-http.txt");

const EXPECTED: &str = r#"resource host.cpus=4 service.name="shop"
"root" internal ok in other
  "GET /cart: \"q\"\nline" server error: sold out in shop-lib 1.2
    scope sa=true
    state vendor=x
    big=-9007199254740995
    bytes=0x010203
    empty array=[]
    empty string=""
    http.status=200
    map={"x": 1, "y": "z"}
    multi="Str(x)\nSpan: no"
    ok=false
    ratio=0.5
    tags=["a", "b, c"]
    whole=3.0
    event "exception" exception.message="no"
    event "two"
    link to elsewhere why="retry"
"#;

#[test]
fn every_receiver_reads_the_same() {
    for (name, spans) in [
        ("rotel", rotel::parse(ROTEL)),
        ("mockotlpserver grpc", mockotlpserver::parse(GRPC)),
        ("mockotlpserver http", mockotlpserver::parse(HTTP)),
    ] {
        let received = Received { spans };
        assert_eq!(received.text(), EXPECTED, "{name}");
        let cart = received.spans.iter().find(|span| span.name.starts_with("GET")).unwrap();
        assert_eq!((cart.start, cart.end), (1544712660000000000, 1544712661000000123), "{name}");
        assert_eq!(cart.trace_id, "5b8efff798038103d269b633813fc60c", "{name}");
        assert_eq!((&*cart.span_id, &*cart.parent_span_id), ("eee19b7ec3c1b174", "eee19b7ec3c1b173"), "{name}");
        assert_eq!(cart.events[1].time, 1544712660500000001, "{name}");
        assert_eq!(cart.links[0].span_id, "eee19b7ec3c1b175", "{name}");
        assert_eq!(cart.flags, (name != "rotel").then_some(0x301), "{name}");
        assert_eq!(received.span("root").unwrap().parent_span_id, "", "{name}");
    }
}

#[test]
fn other_telemetry_and_messages_are_passed_over() {
    let other = "\u{1b}[2m INFO starting\nResourceMetrics #0\nResource attributes:\n     -> service.name: Str(x)\n";
    let text = format!("{other}{ROTEL}{other}{ROTEL}");
    assert_eq!(rotel::parse(&text).len(), 4);
    assert!(rotel::parse(other).is_empty());
    assert!(mockotlpserver::parse("listening 127.0.0.1:1 127.0.0.1:2\n[warn] {x}\n{}\n[]\n1\n").is_empty());
}

/// Tests read the file while the receiver is writing to it.
#[test]
fn a_file_that_is_half_written_is_read_as_far_as_it_goes() {
    for end in (0..ROTEL.len()).filter(|end| ROTEL.is_char_boundary(*end)) {
        assert!(rotel::parse(&ROTEL[..end]).len() <= 2);
    }
    for end in (0..GRPC.len()).filter(|end| GRPC.is_char_boundary(*end)) {
        assert!(mockotlpserver::parse(&GRPC[..end]).is_empty());
    }
}

#[test]
fn spans_in_a_circle_are_told() {
    let mut spans = mockotlpserver::parse(GRPC);
    spans[1].parent_span_id = spans[0].span_id.clone();
    assert_eq!(Received { spans }.text(), "2 spans, but 0 in trees: ids come twice or in a circle\n");
}

#[test]
fn a_span_whose_parent_did_not_come_says_so() {
    let mut spans = mockotlpserver::parse(GRPC);
    spans.remove(1);
    let text = Received { spans }.text();
    assert!(text.contains("server error: sold out in shop-lib 1.2 below an absent parent\n"), "{text}");
}

const ROTEL_METRICS: &str = include_str!("../../fixtures/rotel-metrics.txt");
const GRPC_METRICS: &str = include_str!("../../fixtures/mockotlpserver-metrics-grpc.txt");
const HTTP_METRICS: &str = include_str!("../../fixtures/mockotlpserver-metrics-http.txt");

const EXPECTED_METRICS: &str = r#"orders[{order}] "Orders: all." delta monotonic sum 0
orders[{order}] "Orders: all." kind="a: b" vip=true delta monotonic sum 3 # 3 in GET user.id=7
waiting[] "" kind="a: b" vip=true cumulative sum -2
temperature[] "" kind="a: b" vip=true gauge -0.5 # -0.5 in no known span
duration[] "" kind="a: b" vip=true delta histogram count=3 sum=7.25 min=0.25 max=4.0 bounds=[0.5, 2.0] counts=[1, 0, 2] # 0.25 in GET user.id=7 # 4.5 in GET user.id=7
size[] "" kind="a: b" vip=true cumulative exponential histogram count=6 sum=2.5 scale=3 zeros=2 positive=-7+3{-7: 1, -5: 3} negative=none # 0.5 in GET user.id=7
"#;

#[test]
fn every_receiver_reads_the_same_metrics() {
    let all = [
        ("mockotlpserver grpc", mockotlpserver::parse_points(GRPC_METRICS)),
        ("mockotlpserver http", mockotlpserver::parse_points(HTTP_METRICS)),
        ("rotel", rotel::parse_points(ROTEL_METRICS)),
    ];
    let spans = BTreeMap::from([("eee19b7ec3c1b174".to_owned(), "GET".to_owned())]);
    let first = Points { points: all[0].1.clone() };
    for (name, points) in all {
        let points = Points { points };
        assert_eq!(points.text(&spans), EXPECTED_METRICS, "{name}");
        let expected = if name == "rotel" { first.without_types() } else { first.clone() };
        assert_eq!(points, expected, "{name}");
        let orders = &points.points[0];
        assert_eq!((orders.start, orders.time), (1544712660000000000, 1544712660000000009), "{name}");
        assert_eq!((&*orders.scope, &*orders.scope_attributes["sa"]), ("shop-lib 1.2", "true"), "{name}");
        let exemplar = &orders.exemplars[0];
        assert_eq!(exemplar.trace_id, "5b8efff798038103d269b633813fc60c", "{name}");
        assert_eq!(exemplar.time, 1544712660000000005, "{name}");
    }
}

#[test]
fn metrics_and_spans_do_not_disturb_each_other() {
    let text = format!("{ROTEL_METRICS}{ROTEL}{ROTEL_METRICS}{ROTEL}");
    assert_eq!(rotel::parse(&text).len(), 4);
    assert_eq!(rotel::parse_points(&text).len(), 12);
    let text = format!("{GRPC_METRICS}{GRPC}[warn] {{x}}\n{HTTP_METRICS}");
    assert_eq!(mockotlpserver::parse(&text).len(), 2);
    assert_eq!(mockotlpserver::parse_points(&text).len(), 12);
}

#[test]
fn metrics_that_are_half_written_are_read_as_far_as_they_go() {
    for end in (0..ROTEL_METRICS.len()).filter(|end| ROTEL_METRICS.is_char_boundary(*end)) {
        assert!(rotel::parse_points(&ROTEL_METRICS[..end]).len() <= 6);
    }
    for end in (0..GRPC_METRICS.len()).filter(|end| GRPC_METRICS.is_char_boundary(*end)) {
        assert!(mockotlpserver::parse_points(&GRPC_METRICS[..end]).is_empty());
    }
}
