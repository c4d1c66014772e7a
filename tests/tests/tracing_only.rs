//! A service that only knows the crate `tracing` has complete traces, with the statements of sqlx, and correlated log records at every
//! receiver, whatever `RUST_LOG` says.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use std::collections::HashSet;
use std::fmt::Write;
use std::path::PathBuf;
use std::process::Command;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use telemark_tests::{Receiver, Script, Sink, Span, skip};

/// Each span with its status, followed by the records in it and its children.
const EXPECTED: &str = "\
request unset
  DEBUG started processing request
  DEBUG finished processing request
  place unset
    INFO order placed
    SELECT prices unset
    charge unset
    INSERT orders unset
request error
  DEBUG started processing request
  DEBUG finished processing request
  ERROR response failed
  place error: the card was declined
    ERROR the card was declined
    SELECT prices unset
    charge error: the card was declined
      ERROR the card was declined
";

/// A record, wherever it was received.
struct Record {
    trace_id: String,
    span_id: String,
    time: u64,
    /// The severity, and the body or what the record has instead.
    text: String,
}

fn program() -> Option<PathBuf> {
    let tests = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    let program = tests.with_file_name("examples").join(format!("tracing{}", std::env::consts::EXE_SUFFIX));
    if !program.is_file() {
        skip("there is no service; `cargo build --package telemark-examples --example tracing` builds it");
        return None;
    }
    Some(program)
}

/// Runs the service until it ends. Returns its log lines.
fn run(program: &PathBuf, service: &str, filter: &str, endpoint: &str, compression: &str) -> String {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("OTEL_")) {
        command.env_remove(name);
    }
    let output = command
        .env("RUST_LOG", filter)
        .env("OTEL_METRICS_EXPORTER", "none")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        .env("OTEL_EXPORTER_OTLP_COMPRESSION", compression)
        .env("OTEL_SERVICE_NAME", service)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{service}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// Checks the trees of spans and records, and that each line belongs to one of the traces.
#[track_caller]
fn check(spans: &[Span], records: &[Record], lines: &str, filter: &str, receiver: &str) {
    let mut tree = String::new();
    write_below("", 0, spans, records, &mut tree);
    assert_eq!(tree, EXPECTED, "{receiver}, {filter}");
    let in_spans = records.iter().filter(|record| {
        let is_around = |span: &&Span| (&span.trace_id, &span.span_id) == (&record.trace_id, &record.span_id);
        spans.iter().any(|span| is_around(&span))
    });
    assert_eq!(in_spans.count(), records.len(), "{receiver}, {filter}: records outside of the spans");
    let traces: HashSet<_> = spans.iter().map(|span| &*span.trace_id).collect();
    assert_eq!(traces.len(), 2, "{receiver}, {filter}");
    let mut severities = String::new();
    for line in lines.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(traces.contains(line["trace_id"].as_str().unwrap()), "{line}");
        severities += &format!("{} ", line["severity"].as_str().unwrap());
    }
    let expected = if filter == "warn" { "ERROR ERROR ERROR " } else { "INFO ERROR ERROR ERROR " };
    assert_eq!(severities, expected, "{receiver}, {filter}:\n{lines}");
}

fn write_below(parent: &str, depth: usize, spans: &[Span], records: &[Record], tree: &mut String) {
    let mut children: Vec<_> = spans.iter().filter(|span| span.parent_span_id == parent).collect();
    children.sort_by_key(|span| span.start);
    for span in children {
        writeln!(tree, "{:1$}{2} {3}", "", 2 * depth, span.name, span.status).unwrap();
        let mut within: Vec<_> = records.iter().filter(|record| record.span_id == span.span_id).collect();
        within.sort_by_key(|record| record.time);
        for record in within {
            writeln!(tree, "{:1$}{2}", "", 2 * depth + 2, record.text).unwrap();
        }
        write_below(&span.span_id, depth + 1, spans, records, tree);
    }
}

/// Returns the body, or the attribute that says the same.
fn said(severity: &str, body: &str, attributes: &[(&str, &str)]) -> String {
    let value = |name| attributes.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
    let text = Some(body).filter(|body| !body.is_empty()).or(value("exception.message"));
    format!("{} {}", severity.split(' ').next().unwrap(), text.unwrap_or_default().trim_matches('"'))
}

fn of_sink(sink: &Sink) -> Vec<Record> {
    let hex = |id: &[u8]| id.iter().map(|byte| format!("{byte:02x}")).collect();
    let text = |value: &opentelemetry_proto::tonic::common::v1::AnyValue| match &value.value {
        Some(Value::StringValue(text)) => text.clone(),
        _ => String::new(),
    };
    let record = |record: opentelemetry_proto::tonic::logs::v1::LogRecord| {
        let attributes: Vec<_> = (record.attributes.iter())
            .map(|attribute| (&*attribute.key, attribute.value.as_ref().map(text).unwrap_or_default()))
            .collect();
        let attributes: Vec<_> = attributes.iter().map(|(key, value)| (*key, &**value)).collect();
        let body = record.body.as_ref().map(text).unwrap_or_default();
        Record {
            trace_id: hex(&record.trace_id),
            span_id: hex(&record.span_id),
            time: record.time_unix_nano,
            text: said(&record.severity_text, &body, &attributes),
        }
    };
    sink.log_records().into_iter().map(record).collect()
}

fn of_receiver(record: &telemark_tests::Record) -> Record {
    let [trace_id, span_id] = [0, 1].map(|part| record.trace.split(' ').nth(part).unwrap().to_owned());
    let attributes: Vec<_> = record.attributes.iter().filter_map(|attribute| attribute.split_once('=')).collect();
    Record {
        trace_id,
        span_id,
        time: record.times.split(' ').next().unwrap().parse().unwrap(),
        text: said(&record.severity, &record.body, &attributes),
    }
}

#[test]
fn its_traces_and_records_are_complete_whatever_rust_log_says() {
    let Some(program) = program() else { return };
    let is_record = |line: &str| ["DEBUG ", "INFO ", "ERROR "].iter().any(|level| line.trim_start().starts_with(level));
    let count = |of_records: bool| EXPECTED.lines().filter(|line| is_record(line) == of_records).count();
    for filter in ["info", "warn"] {
        let sink = Sink::start(Script::Take).unwrap();
        let lines = run(&program, "sink", filter, &sink.endpoint(), "none");
        check(&sink.received().spans, &of_sink(&sink), &lines, filter, "sink");
        for receiver in Receiver::running() {
            let service = format!("tracing only {filter} {} {}", receiver.name, std::process::id());
            // mockotlpserver exits on compressed HTTP requests.
            let compression = if receiver.name == "rotel" { "gzip" } else { "none" };
            let lines = run(&program, &service, filter, &receiver.http, compression);
            let received = receiver.await_received(&service, |received| received.spans.len() >= count(false));
            let records = receiver.await_records(&service, count(true));
            let records: Vec<_> = records.iter().map(of_receiver).collect();
            check(&received.spans, &records, &lines, filter, receiver.name);
        }
    }
}
