//! Log records read back from independent receivers match the emitted ones in every field, over every protocol.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry::logs::{AnyValue, LogRecord, Logger, Severity};
use opentelemetry::trace::Tracer;
use opentelemetry::{Context, Key};
use telemark::config::Env;
use telemark::logs::{LogRecordProcessor, SdkLogRecord};
use telemark::time::Deadline;
use telemark_tests::{Receiver, Record};

/// Keeps a copy of every record.
#[derive(Clone, Debug, Default)]
struct Emitted(Arc<Mutex<Vec<SdkLogRecord>>>);

impl LogRecordProcessor for Emitted {
    fn on_emit(&self, record: &mut SdkLogRecord, _: &Context) {
        self.0.lock().unwrap().push(record.clone());
    }
}

const SEVERITIES: [Severity; 24] = [
    Severity::Trace,
    Severity::Trace2,
    Severity::Trace3,
    Severity::Trace4,
    Severity::Debug,
    Severity::Debug2,
    Severity::Debug3,
    Severity::Debug4,
    Severity::Info,
    Severity::Info2,
    Severity::Info3,
    Severity::Info4,
    Severity::Warn,
    Severity::Warn2,
    Severity::Warn3,
    Severity::Warn4,
    Severity::Error,
    Severity::Error2,
    Severity::Error3,
    Severity::Error4,
    Severity::Fatal,
    Severity::Fatal2,
    Severity::Fatal3,
    Severity::Fatal4,
];

/// Returns a value of every type.
fn values() -> [(&'static str, AnyValue); 7] {
    let nested = HashMap::from([(Key::from("k"), AnyValue::from_iter([1, -2]))]);
    [
        ("yes", true.into()),
        ("smallest", i64::MIN.into()),
        ("third", (1.0 / 3.0).into()),
        ("text", "käse \\ 🧀".into()),
        ("bytes", AnyValue::from(&b"\x00\xff\x10"[..])),
        ("list", AnyValue::from_iter(["a", "b c"])),
        ("map", AnyValue::Map(Box::new(nested))),
    ]
}

fn emit_all(logger: &impl Logger) {
    for severity in SEVERITIES {
        let mut record = logger.create_log_record();
        record.set_severity_number(severity);
        record.set_severity_text("as the library says");
        record.set_body("a severity".into());
        logger.emit(record);
    }
    for (name, body) in values() {
        let mut record = logger.create_log_record();
        record.set_body(body);
        record.set_target(name);
        record.add_attributes(values());
        logger.emit(record);
    }
    let mut event = logger.create_log_record();
    event.set_event_name("shop.opened");
    logger.emit(event);
}

#[track_caller]
fn check(protocol: &str) {
    for receiver in Receiver::running() {
        let name = format!("log receivers {protocol} {} {}", receiver.name, std::process::id());
        let endpoint = if protocol == "grpc" { &receiver.grpc } else { &receiver.http };
        // mockotlpserver exits on compressed HTTP requests.
        let compression = if receiver.name == "rotel" { "gzip" } else { "none" };
        let env = Env::from_pairs([
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &**endpoint),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", compression),
            ("OTEL_SERVICE_NAME", &*name),
        ]);
        let emitted = Emitted::default();
        let telemetry = telemark::builder().with_env(env).with_log_processor(emitted.clone()).build().unwrap();
        let logger = telemetry.logger("shop");
        emit_all(&logger);
        telemetry.tracer("shop").in_span("order", |_| emit_all(&logger));
        telemetry.shutdown(Deadline::after(Duration::from_secs(30))).unwrap();
        // mockotlpserver does not show event names, because its protobuf definitions are older than the field.
        let knows_events = receiver.name != "mockotlpserver";
        let sorted = |mut records: Vec<Record>| {
            records.iter_mut().filter(|_| !knows_events).for_each(|record| record.event.clear());
            records.sort_by_key(|record| format!("{record:?}"));
            records
        };
        let emitted = emitted.0.lock().unwrap();
        let expected = sorted(emitted.iter().map(|record| Record::expected(&name, record)).collect());
        assert_eq!(expected.len(), 64);
        let received = sorted(receiver.await_records(&name, expected.len()));
        for (received, expected) in received.iter().zip(&expected) {
            assert_eq!(received, expected, "{protocol} {}", receiver.name);
        }
        assert_eq!(received.len(), expected.len());
    }
}

#[test]
fn over_grpc() {
    check("grpc");
}

#[test]
fn over_http_with_protobuf() {
    check("http/protobuf");
}

#[test]
fn over_http_with_json() {
    check("http/json");
}
