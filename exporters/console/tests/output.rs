//! Checks the complete output for traces.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry::trace::{Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use proptest::prelude::*;
use telemark_console::{Color, ConsoleMetricExporter, ConsoleTraceExporter};
use telemark_sdk::signal::{Metrics, Traces};
use telemark_sdk::time::{Deadline, Timestamp};
use telemark_sdk::trace::{SpanData, SpanEvent};
use telemark_sdk::{Batch, Exporter, Resource};

/// A writer whose output the test can read.
#[derive(Clone, Default)]
struct Screen(Arc<Mutex<Vec<u8>>>);

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Screen {
    /// Takes the text written since the last call.
    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut self.0.lock().unwrap())).unwrap()
    }
}

const TRACE: u128 = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;

fn at(micros: u64) -> Timestamp {
    Timestamp::from_nanos(1_700_000_000_000_000_000 + micros * 1000)
}

/// Returns a span of [`TRACE`]. `from` and `to` are in microseconds.
fn span(id: u64, parent: u64, name: &'static str, from: u64, to: u64) -> SpanData {
    let context = |id| SpanContext::new(TRACE.into(), id, TraceFlags::SAMPLED, false, TraceState::NONE);
    let mut span = SpanData::new(context(SpanId::from(id)), name, InstrumentationScope::builder("test").build().into());
    span.parent_span_id = SpanId::from(parent);
    (span.start, span.end) = (at(from), at(to));
    span
}

fn of_trace(trace: u128, mut span: SpanData) -> SpanData {
    let (id, flags) = (span.context.span_id(), span.context.trace_flags());
    span.context = SpanContext::new(TraceId::from(trace), id, flags, false, TraceState::NONE);
    span
}

fn with(mut span: SpanData, attributes: impl IntoIterator<Item = KeyValue>) -> SpanData {
    span.own_attributes.extend(attributes);
    span
}

fn shop() -> Resource {
    Resource::new([KeyValue::new("service.name", "shop"), KeyValue::new("service.version", "1.4.0")])
}

fn export(exporter: &mut ConsoleTraceExporter, spans: &[SpanData]) {
    exporter.export(Batch::<Traces>::new(&shop(), &spans.iter().cloned().collect()), Deadline::NEVER).unwrap();
}

/// Returns the output for a single batch, without the service line.
fn show(configure: impl FnOnce(ConsoleTraceExporter) -> ConsoleTraceExporter, spans: &[SpanData]) -> String {
    let screen = Screen::default();
    let mut exporter = configure(ConsoleTraceExporter::to_writer(screen.clone()));
    export(&mut exporter, spans);
    exporter.shutdown(Deadline::NEVER).unwrap();
    let text = screen.take();
    text.split_once('\n').map_or(String::new(), |(_, rest)| rest.to_owned())
}

#[track_caller]
fn check(spans: &[SpanData], expected: &str) {
    let shown = show(|exporter| exporter, spans);
    assert!(shown == expected, "shown:\n{shown}\nexpected:\n{expected}");
}

fn cart() -> Vec<SpanData> {
    let mut root = span(1, 0x00f0_67aa_0ba9_02b7, "GET /cart/{id}", 0, 12_400);
    (root.kind, root.parent_is_remote) = (SpanKind::Server, true);
    let http = [("http.request.method", "GET"), ("http.route", "/cart/{id}"), ("url.path", "/cart/7")];
    root = with(root, http.map(|(key, value)| KeyValue::new(key, value)));
    root = with(root, [KeyValue::new("http.response.status_code", 200), KeyValue::new("server.port", 8080)]);
    let load = with(span(2, 1, "load_cart", 900, 2_100), [KeyValue::new("cart.id", 7)]);
    let mut select = with(span(3, 2, "SELECT carts", 1_000, 1_900), [KeyValue::new("db.system.name", "sqlite")]);
    select.kind = SpanKind::Client;
    let mut charge = with(span(4, 1, "charge", 2_400, 12_200), [KeyValue::new("error.type", "CardError")]);
    charge.status = Status::error("card declined");
    charge.events.push(SpanEvent::new("retry", at(3_400), vec![KeyValue::new("attempt", 2)]), 9);
    vec![select, load, charge, root]
}

#[test]
fn a_trace() {
    check(
        &cart(),
        "
trace 4bf92f3577b34da6a3ce929d0e0e4736  4 spans  12.4ms  1 error  22:13:20.000Z
GET /cart/{id}      12.4ms  ━━━━━━━━━━━━━━━━  server  200  url.path=/cart/7
│                                             … remote parent 00f067aa0ba902b7
├─ load_cart        1.20ms   ━━               cart.id=7
│  └─ SELECT carts   900µs   ━━               client  db.system.name=sqlite
└─ charge           9.80ms     ━━━━━━━━━━━━━  ✗ card declined  error.type=CardError
     · +1.00ms  retry  attempt=2
",
    );
}

/// Returns the trace of [`cart`], with every kind of data that a span can have.
fn busy_cart() -> Vec<SpanData> {
    let mut spans = cart();
    let other = SpanContext::new(1.into(), 2.into(), TraceFlags::SAMPLED, true, TraceState::NONE);
    spans[1].links.push(Link::new(other, vec![KeyValue::new("why", "batch")], 3), 9);
    spans[1].dropped_attributes = 5;
    spans[2].status = Status::Ok;
    let exception =
        [("exception.type", "CardError"), ("exception.message", "declined"), ("exception.stacktrace", "a\nb")];
    let exception = exception.map(|(key, value)| KeyValue::new(key, value));
    spans[2].events.push(SpanEvent::new("exception", at(3_500), exception.into()), 1);
    spans[2].events.push(SpanEvent::new("exception", at(3_500), Vec::new()), 1);
    spans
}

#[test]
fn links_exceptions_and_dropped_counts() {
    check(
        &busy_cart(),
        "
trace 4bf92f3577b34da6a3ce929d0e0e4736  4 spans  12.4ms  22:13:20.000Z
GET /cart/{id}      12.4ms  ━━━━━━━━━━━━━━━━  server  200  url.path=/cart/7
│                                             … remote parent 00f067aa0ba902b7
├─ load_cart        1.20ms   ━━               cart.id=7  (5 attributes dropped)
│  │  ↪ trace 00000000000000000000000000000001 span 0000000000000002  why=batch
│  │    (3 attributes dropped)
│  └─ SELECT carts   900µs   ━━               client  db.system.name=sqlite
└─ charge           9.80ms     ━━━━━━━━━━━━━  ✓  error.type=CardError  (2 events dropped)
     · +1.00ms  retry  attempt=2
",
    );
}

#[test]
fn every_attribute() {
    let mut spans = busy_cart();
    spans[2].events = Default::default();
    let exception =
        [("exception.type", "CardError"), ("exception.message", "declined"), ("exception.stacktrace", "a\nb")];
    let exception = exception.map(|(key, value)| KeyValue::new(key, value));
    spans[2].events.push(SpanEvent::new("exception", at(3_500), exception.into()), 1);
    let shown = show(|exporter| exporter.with_all_attributes().with_width(120), &spans);
    assert_eq!(
        shown,
        "
trace 4bf92f3577b34da6a3ce929d0e0e4736  4 spans  12.4ms  22:13:20.000Z
GET /cart/{id}      12.4ms  ━━━━━━━━━━━━━━━━  server  http.request.method=GET  http.route=/cart/{id}  url.path=/cart/7
│                                             http.response.status_code=200  server.port=8080
│                                             … remote parent 00f067aa0ba902b7
├─ load_cart        1.20ms   ━━               cart.id=7  (5 attributes dropped)
│  │  ↪ trace 00000000000000000000000000000001 span 0000000000000002  why=batch  (3 attributes dropped)
│  └─ SELECT carts   900µs   ━━               client  db.system.name=sqlite
└─ charge           9.80ms     ━━━━━━━━━━━━━  ✓  error.type=CardError
     · +1.10ms  CardError: declined  exception.stacktrace=a\\nb
"
    );
}

#[test]
fn a_narrow_terminal_has_no_bars() {
    let shown = show(|exporter| exporter.with_width(60), &cart());
    assert_eq!(
        shown,
        "
trace 4bf92f3577b34da6a3ce929d0e0e4736  4 spans  12.4ms  1 error  22:13:20.000Z
GET /cart/{id}      12.4ms  server  200  url.path=/cart/7
│                           … remote parent 00f067aa0ba902b7
├─ load_cart        1.20ms  cart.id=7
│  └─ SELECT carts   900µs  client  db.system.name=sqlite
└─ charge           9.80ms  ✗ card declined
                            error.type=CardError
     · +1.00ms  retry  attempt=2
"
    );
}

#[test]
fn colours() {
    let spans = [span(1, 0, "root", 0, 10), span(2, 1, "child", 2, 4)];
    let shown = show(|exporter| exporter.with_color(Color::Always), &spans);
    assert_eq!(
        shown.replace('\x1b', "^"),
        "
^[2mtrace ^[0m^[36m4bf92f3577b34da6a3ce929d0e0e4736^[0m  2 spans  10.0µs  ^[2m22:13:20.000Z^[0m
^[1mroot^[0m      10.0µs  ^[36m━━━━━━━━━━━━━━━━^[0m
^[2m└─ ^[0m^[1mchild^[0m  2.00µs     ^[36m━━━━^[0m
"
    );
    for color in [Color::Auto, Color::Never] {
        assert!(!show(|exporter| exporter.with_color(color), &spans).contains('\x1b'), "{color:?}");
    }
}

#[test]
fn long_text_is_cut_and_harmful_text_escaped() {
    let mut long = span(1, 0, "a name that goes on and on and on, much longer than its column", 0, 10);
    long.status = Status::error("what went wrong is something that takes more words than fit in one column");
    let long = with(
        long,
        [
            KeyValue::new("db.query.text", "SELECT * FROM carts WHERE id = ?"),
            KeyValue::new("huge", "x".repeat(100_000)),
            KeyValue::new("empty", ""),
            KeyValue::new("quoted", "say \"hi\" now"),
            KeyValue::new("escape\x1b[2J", "\x1b]0;title\x07\r\n"),
        ],
    );
    check(
        &[long],
        "
trace 4bf92f3577b34da6a3ce929d0e0e4736  1 span  10.0µs  1 error  22:13:20.000Z
a name that goes on and on and on, much…  10.0µs  db.query.text=\"SELECT * FROM carts WHERE id = ?\"
                                                  empty=\"\"  quoted=\"say \\\"hi\\\" now\"
                                                  escape\\u{1b}[2J=\\u{1b}]0;title\\u{7}\\r\\n
  ✗ what went wrong is something that takes more words than fit in one column
  huge=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
",
    );
}

#[test]
fn wide_characters_keep_the_columns() {
    check(
        &[span(1, 0, "注文を確認", 0, 10), span(2, 1, "größe 🚀", 2, 4)],
        "
trace 4bf92f3577b34da6a3ce929d0e0e4736  2 spans  10.0µs  22:13:20.000Z
注文を確認   10.0µs  ━━━━━━━━━━━━━━━━
└─ größe 🚀  2.00µs     ━━━━
",
    );
}

#[test]
fn without_the_parent() {
    check(
        &[span(2, 1, "child", 5, 10), span(3, 2, "grandchild", 6, 9), span(4, 1, "sibling", 20, 30)],
        "
trace 4bf92f3577b34da6a3ce929d0e0e4736  3 spans  25.0µs  22:13:20.000Z
child          5.00µs  ━━━━              … parent 0000000000000001 not seen
└─ grandchild  3.00µs  ━━━
sibling        10.0µs           ━━━━━━━  … parent 0000000000000001 not seen
",
    );
}

#[test]
fn siblings_stand_in_the_order_of_their_start() {
    check(
        &[span(3, 1, "late", 5, 9), span(4, 3, "inner", 6, 7), span(2, 1, "early", 1, 9), span(1, 0, "root", 0, 10)],
        "
trace 4bf92f3577b34da6a3ce929d0e0e4736  4 spans  10.0µs  22:13:20.000Z
root         10.0µs  ━━━━━━━━━━━━━━━━
├─ early     8.00µs   ━━━━━━━━━━━━━━
└─ late      4.00µs          ━━━━━━━
   └─ inner  1.00µs           ━━━
",
    );
}

#[test]
fn circles_and_equal_ids() {
    let circle = [span(1, 2, "a", 0, 10), span(2, 1, "b", 1, 9), span(3, 1, "c", 2, 8), span(4, 3, "d", 0, 1)];
    let spans =
        [&circle[..], &[span(9, 0, "root", 5, 6), span(7, 7, "self", 50, 60), span(9, 0, "again", 7, 8)]].concat();
    check(
        &spans,
        "
trace 4bf92f3577b34da6a3ce929d0e0e4736  7 spans  60.0µs  22:13:20.000Z
root     1.00µs   ━
again    1.00µs   ━━
a        10.0µs  ━━━               … parent 0000000000000002 forms a cycle
├─ b     8.00µs  ━━━
└─ c     6.00µs  ━━━
   └─ d  1.00µs  ━
self     10.0µs               ━━━  … parent 0000000000000007 forms a cycle
",
    );
}

#[test]
fn a_circle_is_entered_at_its_earliest_span() {
    check(
        &[span(3, 1, "tail", 0, 9), span(1, 2, "second", 5, 9), span(2, 1, "first", 3, 9)],
        "
trace 4bf92f3577b34da6a3ce929d0e0e4736  3 spans  9.00µs  22:13:20.000Z
first       6.00µs       ━━━━━━━━━━━  … parent 0000000000000001 forms a cycle
└─ second   4.00µs          ━━━━━━━━
   └─ tail  9.00µs  ━━━━━━━━━━━━━━━━
",
    );
}

#[test]
fn deep_levels_are_numbered() {
    let spans: Vec<_> = (1..=12).map(|id| span(id, id - 1, "level", id, 40 - id)).collect();
    let shown = show(|exporter| exporter.with_width(60), &spans);
    let end: Vec<_> = shown.lines().skip(10).collect();
    assert_eq!(
        end.join("\n"),
        "                     └─ level  22.0µs
                        └─ level  20.0µs
⋮10 └─ level              18.0µs
⋮11 └─ level              16.0µs"
    );
}

#[test]
fn huge_trees_do_no_harm() {
    let rows = |spans: &[SpanData]| show(|exporter| exporter, spans).matches("row").count();
    let with_parents =
        |parent: fn(u64) -> u64| -> Vec<_> { (1..=10_000).map(|id| span(id, parent(id), "row", id, 20_000)).collect() };
    assert_eq!(rows(&with_parents(|id| id - 1)), 10_000, "deep");
    assert_eq!(rows(&with_parents(|id| u64::from(id > 1))), 10_000, "wide");
    assert_eq!(rows(&with_parents(|id| id % 10_000 + 1)), 10_000, "one circle");
    assert_eq!(rows(&with_parents(|id| ((id - 1) ^ 1) + 1)), 10_000, "many circles");
}

#[test]
fn time_that_runs_backwards_does_no_harm() {
    let mut odd = span(1, 0, "odd", 50, 10);
    odd.events.push(SpanEvent::new("before", at(5), Vec::new()), 9);
    check(
        &[odd, span(2, 1, "child", 0, 0)],
        "
trace 4bf92f3577b34da6a3ce929d0e0e4736  2 spans  10.0µs  22:13:20.000Z
odd          0ns                 ━
│  · +0ns  before
└─ child     0ns  ━
",
    );
}

#[test]
fn the_service_is_named_once() {
    let screen = Screen::default();
    let mut exporter = ConsoleTraceExporter::to_writer(screen.clone()).with_width(40);
    let spans = [span(1, 0, "a", 0, 10)];
    export(&mut exporter, &spans);
    let trace = "\ntrace 4bf92f3577b34da6a3ce929d0e0e4736  1 span  10.0µs  22:13:20.000Z\na  10.0µs\n";
    assert_eq!(screen.take(), format!("━━ shop 1.4.0 ━━━━━━━━━━━━━━━━━━━━━━━━━━\n{trace}"));
    export(&mut exporter, &spans);
    assert_eq!(screen.take(), trace);

    export(&mut exporter, &[span(2, 1, "waits", 0, 10)]);
    let other = Resource::new([KeyValue::new("service.name", "other\x1b[2J")]);
    exporter.export(Batch::<Traces>::new(&other, &spans.into_iter().collect()), Deadline::NEVER).unwrap();
    let waited = trace.replace("a  10.0µs", "waits  10.0µs\n  … parent 0000000000000001 not seen");
    assert_eq!(screen.take(), format!("{waited}\n━━ other\\u{{1b}}[2J ━━━━━━━━━━━━━━━━━━━━━━\n{trace}"));
}

/// Returns the names printed after each batch and at the end. Each trace is in brackets.
fn names(hold: Duration, batches: &[&[SpanData]]) -> Vec<String> {
    let screen = Screen::default();
    let mut exporter = ConsoleTraceExporter::to_writer(screen.clone()).with_hold(hold);
    let text = |screen: &Screen| {
        let text = screen.take();
        let names = |trace: &str| {
            let rows = trace
                .lines()
                .skip(1)
                .filter_map(|row| row.trim_start_matches(['├', '└', '│', '─', ' ']).split(' ').next());
            format!("[{}]", rows.collect::<Vec<_>>().join(" "))
        };
        text.split("\ntrace ").skip(1).map(names).collect::<Vec<_>>().join(" ")
    };
    let mut shown = Vec::new();
    for batch in batches {
        export(&mut exporter, batch);
        shown.push(text(&screen));
    }
    exporter.flush(Deadline::NEVER).unwrap();
    shown.push(text(&screen));
    shown
}

const LONG: Duration = Duration::from_secs(3600);

#[test]
fn a_trace_waits_for_the_parents_of_its_spans() {
    let (root, child, grandchild) =
        (span(1, 0, "root", 0, 9), span(2, 1, "child", 1, 8), span(3, 2, "grandchild", 2, 7));
    let batches: [&[_]; 3] =
        [std::slice::from_ref(&grandchild), std::slice::from_ref(&child), std::slice::from_ref(&root)];
    assert_eq!(names(LONG, &batches), ["", "", "[root child grandchild]", ""]);
    assert_eq!(names(Duration::ZERO, &batches), ["[grandchild]", "[child]", "[root]", ""]);
    // A root may end before an intermediate parent has ended.
    assert_eq!(
        names(LONG, &[&[grandchild.clone(), root.clone()], std::slice::from_ref(&child)]),
        ["", "[root child grandchild]", ""]
    );
    let remote = |mut span: SpanData| {
        span.parent_is_remote = true;
        span
    };
    assert_eq!(names(LONG, &[&[grandchild, remote(child)], &[root]]), ["[child grandchild]", "[root]", ""]);
}

#[test]
fn a_flush_prints_incomplete_traces() {
    let other = of_trace(1, span(5, 0, "other", 0, 9));
    assert_eq!(names(LONG, &[&[span(2, 1, "child", 1, 8), other]]), ["[other]", "[child]"]);
}

#[test]
fn the_oldest_traces_make_room_when_too_many_spans_wait() {
    let waiting: Vec<_> = (1..=5_000).map(|n| of_trace(n, span(2, 1, "child", 1, 8))).collect();
    let shown = names(LONG, &[&waiting[..4_096], &waiting[4_096..], &[of_trace(4_000, span(1, 0, "root", 0, 9))]]);
    let count = |text: &str| text.matches("[child]").count();
    assert_eq!((count(&shown[0]), count(&shown[1]), count(&shown[3])), (0, 904, 4_095));
    assert_eq!(shown[2], "[root child]");
}

#[test]
fn a_closed_output_is_an_error_and_no_panic() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }
    let mut exporter = ConsoleTraceExporter::to_writer(Closed);
    let error =
        exporter.export(Batch::<Traces>::new(&shop(), &cart().into_iter().collect()), Deadline::NEVER).unwrap_err();
    assert_eq!((error.error_type(), &*error.to_string()), ("_OTHER", "cannot write to the console: broken pipe"));
    assert!(exporter.shutdown(Deadline::NEVER).is_err());
}

#[test]
fn the_environment() {
    let env = telemark_sdk::config::Env::from_pairs([("NO_COLOR", "1"), ("COLUMNS", "wide")]);
    let exporter = format!("{:?}", ConsoleTraceExporter::from_env(&env));
    assert!(exporter.contains("is_colored: false, width: 100"), "{exporter}");
    let env = telemark_sdk::config::Env::from_pairs([("COLUMNS", "132")]);
    let exporter = format!("{:?}", ConsoleTraceExporter::from_env(&env).with_color(Color::Always));
    assert!(exporter.contains("is_colored: true, width: 132"), "{exporter}");
    assert!(env.take_warnings().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_parents_give_every_span_one_row(
        spans in prop::collection::vec((0u64..12, 0u64..12, any::<bool>(), 0u64..50, 0u64..50), 1..30),
        width in 0usize..200
    ) {
        let make = |(id, parent, is_remote, from, to): (u64, u64, bool, u64, u64)| {
            let mut span = span(id, parent, "row", from, to);
            span.parent_is_remote = is_remote;
            span
        };
        let spans: Vec<_> = spans.into_iter().map(make).collect();
        let shown = show(|exporter| exporter.with_width(width), &spans);
        prop_assert_eq!(shown.matches("row").count(), spans.len(), "{}", shown);
    }

    #[test]
    fn no_text_does_harm(name: String, key: String, value: String, description: String) {
        let mut odd = with(span(1, 0, "", 0, 9), [KeyValue::new(key, value.clone())]);
        odd.name = name.into();
        odd.status = Status::error(description.clone());
        odd.events.push(SpanEvent::new(description, at(1), vec![KeyValue::new("k", value)]), 9);
        let shown = show(|exporter| exporter, &[odd]);
        prop_assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
    }
}

#[test]
fn the_destination_is_standard_output_or_a_writer() {
    let check = |exporter: &dyn Exporter<Traces>, expected: &str| assert_eq!(exporter.destination(), expected);
    check(&ConsoleTraceExporter::stdout(), "standard output");
    check(&ConsoleTraceExporter::to_writer(Vec::new()), "a writer");
    let of_metrics = |exporter: &dyn Exporter<Metrics>| exporter.destination();
    assert_eq!(of_metrics(&ConsoleMetricExporter::stdout()), "standard output");
    assert_eq!(of_metrics(&ConsoleMetricExporter::to_writer(Vec::new())), "a writer");
}

#[test]
fn an_exception_that_the_status_describes_is_not_repeated() {
    let mut spans = cart();
    let exception = |message: &'static str| {
        let attributes = [("exception.type", "CardError"), ("exception.message", message)];
        SpanEvent::new("exception", at(3_500), attributes.map(|(key, value)| KeyValue::new(key, value)).into())
    };
    spans[2].events.push(exception("card declined"), 9);
    let lines = |shown: String| shown.lines().filter(|line| line.contains("CardError:")).count();
    assert_eq!(lines(show(|exporter| exporter.with_width(120), &spans)), 0);
    assert_eq!(lines(show(|exporter| exporter.with_all_attributes().with_width(120), &spans)), 1);
    spans[2].events.push(exception("out of paper"), 9);
    assert_eq!(lines(show(|exporter| exporter.with_width(120), &spans)), 1);
}
