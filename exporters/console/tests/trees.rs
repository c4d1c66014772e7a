//! Log records inside the trees of their traces.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use opentelemetry::logs::{LogRecord, Logger, Severity};
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState, Tracer};
use opentelemetry::{InstrumentationScope, KeyValue};
use telemark_console::{ConsoleLogExporter, ConsoleTraceExporter};
use telemark_sdk::config::Env;
use telemark_sdk::install::Telemetry;
use telemark_sdk::logs::SdkLogRecord;
use telemark_sdk::signal::{Logs, Traces};
use telemark_sdk::time::{Deadline, Timestamp};
use telemark_sdk::trace::{SpanData, SpanEvent};
use telemark_sdk::{Batch, Exporter, Resource};

/// A writer whose output the test can read and wait for.
#[derive(Clone, Default)]
struct Screen(Arc<(Mutex<Vec<u8>>, Condvar)>);

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.0.lock().unwrap().extend_from_slice(bytes);
        self.0.1.notify_all();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Screen {
    /// Takes the text written since the last call, without the line that names the service.
    fn take(&self) -> String {
        let text = String::from_utf8(std::mem::take(&mut *self.0.0.lock().unwrap())).unwrap();
        text.lines().filter(|line| !line.starts_with("━━")).map(|line| format!("{line}\n")).collect()
    }

    /// Waits until there is text that ends a line.
    fn wait_for(&self, text: &str) {
        let shows = |bytes: &mut Vec<u8>| !String::from_utf8_lossy(bytes).contains(text);
        let (written, result) =
            self.0.1.wait_timeout_while(self.0.0.lock().unwrap(), Duration::from_secs(60), shows).unwrap();
        assert!(!result.timed_out(), "{}", String::from_utf8_lossy(&written));
    }
}

fn at(micros: u64) -> Timestamp {
    Timestamp::from_nanos(1_700_000_000_000_000_000 + micros * 1000)
}

fn span(id: u64, parent: u64, name: &'static str, from: u64, to: u64) -> SpanData {
    let context = SpanContext::new(TraceId::from(7), SpanId::from(id), TraceFlags::SAMPLED, false, TraceState::NONE);
    let mut span = SpanData::new(context, name, InstrumentationScope::builder("test").build().into());
    span.parent_span_id = SpanId::from(parent);
    (span.start, span.end) = (at(from), at(to));
    span
}

fn record(span: u64, time: u64, body: &'static str) -> SdkLogRecord {
    let mut record = SdkLogRecord::default();
    record.set_timestamp(at(time).into());
    record.set_severity_number(Severity::Info);
    record.set_target("shop");
    record.set_body(body.into());
    record.set_trace_context(TraceId::from(7), SpanId::from(span), Some(TraceFlags::SAMPLED));
    record
}

fn pair() -> (Screen, ConsoleTraceExporter, ConsoleLogExporter) {
    let screen = Screen::default();
    let traces = ConsoleTraceExporter::to_writer(screen.clone()).with_width(90).with_hold(Duration::from_secs(3600));
    let logs = traces.log_exporter();
    (screen, traces, logs)
}

fn spans(exporter: &mut ConsoleTraceExporter, spans: &[SpanData]) {
    let (resource, chunk) = (Resource::empty(), spans.iter().cloned().collect());
    exporter.export(Batch::<Traces>::new(&resource, &chunk), Deadline::NEVER).unwrap();
}

fn records(exporter: &mut ConsoleLogExporter, records: &[SdkLogRecord]) {
    let (resource, chunk) = (Resource::empty(), records.iter().cloned().collect());
    exporter.export(Batch::<Logs>::new(&resource, &chunk), Deadline::NEVER).unwrap();
}

const HEAD: &str = "\ntrace 00000000000000000000000000000007";
const IDS: &str = "trace 00000000000000000000000000000007 span";

#[test]
fn records_are_inside_the_tree_at_their_time() {
    let (screen, mut traces, mut logs) = pair();
    records(&mut logs, &[record(2, 30, "in the child"), record(1, 40, "late"), record(1, 5, "early")]);
    let mut root = span(1, 0, "root", 0, 50);
    root.events.push(SpanEvent::new("event", at(10), vec![KeyValue::new("n", 1)]), 9);
    spans(&mut traces, &[root, span(2, 1, "child", 20, 35)]);
    assert_eq!(screen.take(), "");
    // In the order in which a program flushes. The last record arrives after its trace.
    traces.flush(Deadline::NEVER).unwrap();
    records(&mut logs, &[record(2, 34, "last")]);
    records(&mut logs, &[record(9, 36, "elsewhere")]);
    logs.flush(Deadline::NEVER).unwrap();
    assert_eq!(
        screen.take(),
        format!(
            "{HEAD}  2 spans  5 records  50.0µs  22:13:20.000Z
root      50.0µs  ━━━━━━━━━━━━━━━━
│  · +5.00µs  INFO  shop  early
│  · +10.0µs  event  n=1
│  · +40.0µs  INFO  shop  late
└─ child  15.0µs        ━━━━━━
     · +10.0µs  INFO  shop  in the child
     · +14.0µs  INFO  shop  last
  · +36.0µs  INFO  shop  elsewhere  span 0000000000000009
"
        )
    );
}

#[test]
fn records_and_traces_of_a_batch_are_in_the_order_of_time() {
    let lines = |text: String| -> Vec<String> {
        let words = ["root", "first", "second", "third", "early", "late"];
        text.split_whitespace().filter(|word| words.contains(word)).map(str::to_owned).collect()
    };
    // Without a trace exporter, records are printed at once.
    let screen = Screen::default();
    let mut logs = ConsoleLogExporter::to_writer(screen.clone());
    records(&mut logs, &[record(1, 30, "third"), record(1, 10, "first"), record(1, 20, "second")]);
    assert_eq!(lines(screen.take()), ["first", "second", "third"]);
    let (screen, mut traces, mut logs) = pair();
    let root = |trace: u128, name: &'static str, start: u64| {
        let mut root = span(1, 0, name, start, start + 1);
        let ids = SpanContext::new(TraceId::from(trace), SpanId::from(1), TraceFlags::SAMPLED, false, TraceState::NONE);
        root.context = ids;
        root
    };
    spans(&mut traces, &[root(1, "late", 50), root(2, "early", 10)]);
    records(&mut logs, &[record(9, 3, "third"), record(9, 1, "first"), record(9, 2, "second")]);
    traces.flush(Deadline::NEVER).unwrap();
    logs.flush(Deadline::NEVER).unwrap();
    assert_eq!(lines(screen.take()), ["early", "late", "first", "second", "third"]);
}

#[test]
fn records_of_other_traces_are_lines_of_their_own() {
    let (screen, mut traces, mut logs) = pair();
    let mut outside = record(1, 0, "outside");
    outside.set_trace_context(TraceId::INVALID, SpanId::INVALID, None);
    let mut unsampled = record(1, 0, "unsampled");
    unsampled.set_trace_context(TraceId::from(7), SpanId::from(1), Some(TraceFlags::NOT_SAMPLED));
    records(&mut logs, &[outside, unsampled, record(1, 0, "waits")]);
    let line = |body: &str| format!("22:13:20.000Z  INFO   shop  {body}  {IDS} 0000000000000001\n");
    assert_eq!(screen.take(), format!("22:13:20.000Z  INFO   shop  outside\n{}", line("unsampled")));
    // The trace does not come before the flush.
    traces.flush(Deadline::NEVER).unwrap();
    logs.flush(Deadline::NEVER).unwrap();
    assert_eq!(screen.take(), line("waits"));
    // The trace has been printed.
    spans(&mut traces, &[span(1, 0, "root", 0, 1)]);
    logs.flush(Deadline::NEVER).unwrap();
    assert!(screen.take().contains("root"));
    records(&mut logs, &[record(1, 0, "too late")]);
    assert_eq!(screen.take(), line("too late"));
}

#[test]
fn what_has_waited_long_enough_is_printed_without_another_export() {
    // A complete trace waits for about a second.
    let (screen, mut traces, mut logs) = pair();
    spans(&mut traces, &[span(1, 0, "root", 0, 1)]);
    assert_eq!(screen.take(), "");
    records(&mut logs, &[record(1, 1, "just in time")]);
    screen.wait_for("just in time\n");
    assert!(screen.take().contains("root"));

    // An incomplete one waits no longer than that after a flush of traces only.
    spans(&mut traces, &[span(4, 3, "child", 0, 1)]);
    traces.flush(Deadline::NEVER).unwrap();
    screen.wait_for("child");
    screen.wait_for("not seen\n");
    drop(screen.take());

    // A record of a trace that does not come.
    let (screen, traces, mut logs) = pair();
    let traces = traces.with_hold(Duration::from_millis(5));
    records(&mut logs, &[record(1, 1, "alone")]);
    screen.wait_for("alone");
    drop((traces, logs));
}

#[test]
fn the_end_of_one_exporter_prints_what_waits_for_it() {
    let (screen, mut traces, mut logs) = pair();
    records(&mut logs, &[record(1, 0, "alone")]);
    spans(&mut traces, &[span(4, 3, "child", 0, 1)]);
    traces.flush(Deadline::NEVER).unwrap();
    drop(logs);
    assert!(screen.take().contains("alone"));
    spans(&mut traces, &[span(1, 0, "root", 0, 1)]);
    assert!(screen.take().contains("root"), "no trace waits for records any more");

    let (screen, traces, mut logs) = pair();
    records(&mut logs, &[record(1, 0, "waits")]);
    assert_eq!(screen.take(), "");
    drop(traces);
    records(&mut logs, &[record(1, 0, "does not wait")]);
    assert_eq!(screen.take().lines().count(), 2);
}

#[test]
fn the_last_records_are_inside_the_tree_of_an_exporter_that_has_ended() {
    // In the order in which a program ends: the trace exporter is flushed and dropped before the last records come.
    let ended = || {
        let (screen, mut traces, mut logs) = pair();
        records(&mut logs, &[record(1, 1, "first")]);
        spans(&mut traces, &[span(1, 0, "root", 0, 50)]);
        traces.flush(Deadline::NEVER).unwrap();
        drop(traces);
        records(&mut logs, &[record(1, 2, "last")]);
        assert_eq!(screen.take(), "");
        (screen, logs)
    };
    let expected = format!(
        "{HEAD}  1 span  2 records  50.0µs  22:13:20.000Z
root  50.0µs
  · +1.00µs  INFO  shop  first
  · +2.00µs  INFO  shop  last
"
    );
    let (screen, mut logs) = ended();
    logs.flush(Deadline::NEVER).unwrap();
    assert_eq!(screen.take(), expected);
    // No trace will come any more.
    let mut other = record(1, 3, "does not wait");
    other.set_trace_context(TraceId::from(8), SpanId::from(1), Some(TraceFlags::SAMPLED));
    records(&mut logs, std::slice::from_ref(&other));
    assert!(screen.take().contains("does not wait"));

    // The log exporter ends without a flush.
    let (screen, logs) = ended();
    drop(logs);
    assert_eq!(screen.take(), expected);

    // The log exporter stays, and nothing flushes it.
    let (screen, mut logs) = ended();
    records(&mut logs, &[other]);
    screen.wait_for("does not wait");
    assert!(screen.take().contains("  · +2.00µs  INFO  shop  last\n"));
}

#[test]
fn a_trace_that_waits_is_printed_even_if_both_exporters_end() {
    let (screen, mut traces, logs) = pair();
    spans(&mut traces, &[span(4, 3, "child", 0, 1)]);
    drop(traces);
    assert_eq!(screen.take(), "");
    drop(logs);
    assert!(screen.take().contains("child"));
}

#[test]
fn a_program_that_ends_prints_its_last_records_inside_the_tree() {
    let (screen, traces, logs) = pair();
    let env = Env::from_pairs([("OTEL_METRICS_EXPORTER", "none")]);
    let telemetry = Telemetry::builder(env).with_span_exporter(traces).with_log_exporter(logs).build().unwrap();
    let logger = telemetry.logger("shop");
    telemetry.tracer("shop").in_span("root", |_| {
        let mut record = logger.create_log_record();
        record.set_body("in the span".into());
        logger.emit(record);
    });
    drop(telemetry);
    let text = screen.take();
    assert!(text.contains("1 span  1 record ") && text.contains("shop  in the span\n"), "{text}");
}

#[test]
fn harmful_text_stays_harmless_in_a_tree() {
    let (screen, mut traces, mut logs) = pair();
    let mut bad = record(1, 0, "\x1b[2Jcleared");
    bad.add_attribute("k\n", "v\r");
    records(&mut logs, &[bad]);
    spans(&mut traces, &[span(1, 0, "root", 0, 1)]);
    logs.flush(Deadline::NEVER).unwrap();
    let text = screen.take();
    assert!(text.contains(r"\u{1b}[2Jcleared") && !text.contains('\x1b') && !text.contains('\r'), "{text}");
}
