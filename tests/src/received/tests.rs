//! One request with everything in it, as each receiver wrote it down, reads the same.

use super::{Received, mockotlpserver, rotel};

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

/// A test asks while the receiver writes.
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
