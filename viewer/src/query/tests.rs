//! Tests of the query language.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::model::{Attribute, Dropped, Event, Kind, Record, Resource, Scope, Span, SpanId, Status, TraceId, Value};

fn attribute(key: &str, value: Value) -> Attribute {
    Attribute { key: key.into(), value }
}

fn resource(service: &str) -> Arc<Resource> {
    let attributes = Box::new([attribute("service.name", Value::String(service.into()))]);
    Arc::new(Resource { service: service.into(), attributes })
}

fn scope() -> Arc<Scope> {
    Arc::new(Scope { name: "".into(), version: "".into(), attributes: Box::default() })
}

fn span(service: &str, name: &str, status: Status) -> Arc<Span> {
    let attributes = Box::new([
        attribute("http.route", Value::String("/Users/{id}".into())),
        attribute("http.response.status_code", Value::Int(503)),
        attribute("ratio", Value::Double(0.5)),
        attribute("cache.hit", Value::Bool(true)),
        attribute("tags", Value::Array(Box::new([Value::String("a".into()), Value::Int(7)]))),
    ]);
    let event = Event { time: 1, name: "retry".into(), attributes: Box::default(), dropped_attributes: 0 };
    Arc::new(Span {
        trace_id: TraceId(0xab << 120),
        span_id: SpanId(0xcd << 56),
        parent: SpanId(0),
        name: name.into(),
        kind: Kind::Server,
        start: 1,
        end: 2,
        status,
        trace_state: "".into(),
        attributes,
        events: Box::new([event]),
        links: Box::default(),
        dropped: Dropped::default(),
        resource: resource(service),
        scope: scope(),
    })
}

/// A failing trace of 150 ms: `shop` calls `pay`, which fails.
fn check(query: &str, expected: bool) {
    let spans = [
        span("shop", "GET /Users", Status::Unset),
        span("pay", "charge \"card\"", Status::Error("Card declined: \u{c4}rger".into())),
    ];
    let trace = TraceFacts { id: TraceId(0xab << 120), duration: 150_000_000, has_errors: true };
    let matches = Query::parse(query, Target::Traces).map(|query| query.matches_trace(trace, &spans));
    assert_eq!(matches, Ok(expected), "{query}");
}

#[test]
fn traces_match_by_their_spans() {
    for query in [
        "",
        "  ",
        "service:shop",
        "name:\"GET /Users\"",
        "name:\"charge \\\"card\\\"\"",
        "status:error",
        "service:pay status:error",
        "kind:server",
        ">100ms",
        ">=150ms",
        "<2s",
        ">100",
        ">0.1s <1m",
        "trace:ab",
        "trace:AB0000",
        "span:cd",
        "event:retry",
        "http.route=/Users/{id}",
        "http.route~users",
        "http.response.status_code=503",
        "http.response.status_code>=500",
        "http.response.status_code<504",
        "http.response.status_code!=200",
        "ratio=0.5",
        "cache.hit=true",
        "tags=a",
        "tags=7",
        "service.name=shop",
        "users",
        "\"GET /users\"",
        "declined \u{e4}RGER",
        "name~card",
        "service~HO",
    ] {
        check(query, true);
    }
    for query in [
        "service:sho",
        "service:shop status:error",
        "status:ok",
        "kind:client",
        ">150ms",
        "<100ms",
        "trace:ac",
        "span:cd1",
        "event:other",
        "http.route=/users/{id}",
        "http.route!=/Users/{id}",
        "missing!=a",
        "missing=a",
        "http.response.status_code=500",
        "http.response.status_code>503",
        "http.route>1",
        "tags=b",
        "cache.hit=1",
        "nothing",
    ] {
        check(query, false);
    }
}

fn check_record(query: &str, expected: bool) {
    let record = Record {
        time: 1,
        severity: 13,
        severity_text: "WARN".into(),
        body: Value::String("Stock is low".into()),
        event_name: "stock.low".into(),
        trace_id: TraceId(0xab << 120),
        span_id: SpanId(0xcd << 56),
        attributes: Box::new([attribute("item", Value::Int(3))]),
        dropped_attributes: 0,
        resource: resource("shop"),
        scope: scope(),
    };
    let matches = Query::parse(query, Target::Records).map(|query| query.matches_record(&record));
    assert_eq!(matches, Ok(expected), "{query}");
}

#[test]
fn records_match_by_severity_and_content() {
    for query in [
        "",
        ">=warn",
        "severity:warn",
        "severity:>info",
        "severity:13",
        "<=WARN",
        "item=3",
        "stock",
        "trace:ab span:cd",
        "service:shop",
        "event:stock.low",
    ] {
        check_record(query, true);
    }
    for query in [">warn", "severity:error", "<warn", "item=4", "none", "trace:ac", "service:pay"] {
        check_record(query, false);
    }
}

fn check_error(query: &str, target: Target, at: usize, message: &str) {
    assert_eq!(Query::parse(query, target), Err(QueryError::new(at, message)), "{query}");
}

#[test]
fn errors_show_their_position() {
    use Target::{Instruments, Records, Traces};
    check_error("a status:", Traces, 9, "the value is missing");
    check_error("a=b name:\"x", Traces, 9, "the quote is not closed");
    check_error("a servce:x", Traces, 2, "there is no field \"servce\"; put quotes around the word to search for it");
    check_error("=x", Traces, 0, "the name of an attribute is missing");
    check_error("a>b", Traces, 0, "\"b\" is not a number");
    check_error("kind:x", Traces, 0, "the kind is internal, server, client, producer or consumer");
    check_error("status:x", Traces, 0, "the status is either error or ok");
    check_error("trace:xyz", Traces, 0, "a trace id has up to 32 hexadecimal digits");
    check_error("span:00000000000000000", Traces, 0, "a span id has up to 16 hexadecimal digits");
    check_error(
        ">soon",
        Traces,
        0,
        "\"soon\" is neither a duration, such as 100ms or 2s, nor a severity, such as warn",
    );
    check_error("x >100ms", Records, 2, "a duration does not apply to log records");
    check_error(">=warn", Traces, 0, "a severity does not apply to traces");
    check_error("a=b", Instruments, 0, "this term does not apply to instruments");
    check_error(&"a ".repeat(65), Traces, 128, "the query has too many terms");
    check_error(&"a".repeat(10_000), Traces, 8192, "the query is too long");
}

#[test]
fn words_with_colons_are_words() {
    for query in ["http://shop/users", "10.0.0.1:80", "Orders::place", "\"servce:x\"", "::"] {
        assert!(Query::parse(query, Target::Traces).is_ok(), "{query}");
    }
}

fn check_cursor(text: &str, from: usize, to: usize, place: Place) {
    let at = text.find('|').expect("the text marks the cursor");
    assert_eq!(Cursor::new(&text.replace('|', ""), at), Cursor { from, to, place }, "{text}");
}

#[test]
fn the_cursor_finds_its_word() {
    let value = |field, value: &str| Place::Field { field, value: value.to_owned() };
    check_cursor("|", 0, 0, Place::Key(String::new()));
    check_cursor("ser|", 0, 3, Place::Key("ser".to_owned()));
    check_cursor("a service:|", 2, 10, value("service", ""));
    check_cursor("a service:sh|op b", 2, 14, value("service", "shop"));
    check_cursor("name:\"GET /|", 0, 11, value("name", "GET /"));
    let place = Place::Attribute { key: "http.route".to_owned(), operator: "!=", value: "/u".to_owned() };
    check_cursor("http.route!=/u|", 0, 14, place);
}

#[test]
fn values_are_quoted_where_needed() {
    for (value, expected) in
        [("shop", "shop"), ("", "\"\""), ("a b", "\"a b\""), ("a\"\\", "\"a\\\"\\\\\""), ("a\\b", "a\\b")]
    {
        assert_eq!(quoted(value), expected);
    }
}

proptest! {
    #[test]
    fn any_text_is_parsed_or_has_an_error_at_a_character(text in "\\PC{0,60}") {
        for target in [Target::Traces, Target::Records, Target::Instruments] {
            if let Err(error) = Query::parse(&text, target) {
                prop_assert!(text.is_char_boundary(error.at));
            }
        }
    }

    #[test]
    fn texts_of_operators_and_quotes_are_parsed(text in "[a:=!~<>\" \\\\\u{e9}]{0,30}", at in 0usize..30) {
        let _ = Query::parse(&text, Target::Traces);
        if text.is_char_boundary(at) {
            let cursor = Cursor::new(&text, at);
            prop_assert!(cursor.from <= at && at <= cursor.to);
            prop_assert!(text.get(cursor.from..cursor.to).is_some());
        }
    }

    #[test]
    fn a_quoted_value_is_the_value(value in any::<String>()) {
        let query = Query::parse(&format!("a name:{} b", quoted(&value)), Target::Traces);
        let expected = Query::parse("a b", Target::Traces).map(|query| query.terms);
        let mut terms = query.map(|query| query.terms);
        if let Ok(terms) = &mut terms {
            let name = Query { terms: vec![terms.remove(1)] };
            prop_assert!(name.is_name(&value), "{value:?}");
        }
        prop_assert_eq!(terms, expected);
    }

    #[test]
    fn texts_contain_their_parts_regardless_of_case(before in "\\PC{0,9}", part in "[a-z \u{e4}-\u{f6}]{0,9}", after in "\\PC{0,9}") {
        let text = format!("{before}{}{after}", part.to_uppercase());
        prop_assert!(contains(&text, &part));
    }
}
