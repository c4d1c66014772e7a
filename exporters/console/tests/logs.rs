//! Checks log records as lines of text.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use opentelemetry::logs::{AnyValue, LogRecord, Logger, LoggerProvider, Severity};
use opentelemetry::{SpanId, TraceId};
use telemark_console::{Color, ConsoleLogExporter};
use telemark_sdk::logs::SdkLogRecord;
use telemark_sdk::testing::TestTelemetry;
use telemark_sdk::time::{Deadline, Timestamp};
use telemark_sdk::{Batch, Exporter, Resource};

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn check(color: Color, fill: impl FnOnce(&mut SdkLogRecord), expected: &str) {
    let telemetry = TestTelemetry::new();
    let logger = telemetry.logger_provider().logger("shop");
    let mut record = logger.create_log_record();
    record.set_timestamp(Timestamp::from_nanos(1_700_000_000_000_000_000).into());
    fill(&mut record);
    logger.emit(record);
    let written = Written::default();
    let mut exporter = ConsoleLogExporter::to_writer(written.clone()).with_color(color);
    exporter
        .export(Batch::new(&Resource::empty(), &telemetry.log_records().into_iter().collect()), Deadline::NEVER)
        .unwrap();
    assert_eq!(String::from_utf8(written.0.lock().unwrap().clone()).unwrap(), expected);
}

#[test]
fn a_record_is_a_line() {
    check(
        Color::Never,
        |record| {
            record.set_severity_number(Severity::Warn);
            record.set_target("shop::orders");
            record.set_body("few left".into());
            record.add_attribute("item.id", 7);
            record.add_attribute("note", "two words");
            record.add_attribute("plain", "word");
            record.set_trace_context(TraceId::from(1), SpanId::from(2), None);
        },
        "22:13:20.000Z  WARN   shop::orders  few left  item.id=7  note=\"two words\"  plain=word  \
         trace 00000000000000000000000000000001 span 0000000000000002\n",
    );
}

#[test]
fn values_of_every_type() {
    check(
        Color::Never,
        |record| {
            record.set_severity_text("notice");
            record.set_event_name("shop.opened");
            record.set_body(AnyValue::from_iter([("b", AnyValue::from(1.5)), ("a", AnyValue::from(true))]));
            record.add_attribute("bytes", AnyValue::from(&b"\x01\xff"[..]));
            record.add_attribute("list", AnyValue::from_iter(["x", "y"]));
            record.add_attribute("", "");
        },
        "22:13:20.000Z  notice  shop  shop.opened  {a:true,b:1.5}  bytes=01ff  list=[\"x\",\"y\"]  \
         (1 attributes dropped)\n",
    );
}

#[test]
fn control_characters_are_escaped_and_lines_stay_lines() {
    check(
        Color::Never,
        |record| {
            record.set_body("a\x1b[2Jb\nc".into());
            record.add_attribute("k\n", "v\r");
        },
        "22:13:20.000Z  -      shop  a\\u{1b}[2Jb\\nc  k\\n=v\\r\n",
    );
}

#[test]
fn an_error_is_shown_once() {
    let check = |body: &str, exception: &str, error: &str, expected: &str| {
        let fill = |record: &mut SdkLogRecord| {
            record.set_severity_number(Severity::Error);
            record.set_body(body.to_owned().into());
            record.add_attribute("exception.message", exception.to_owned());
            record.add_attribute("error", error.to_owned());
        };
        check(Color::Never, fill, &format!("22:13:20.000Z  ERROR  shop  {expected}\n"));
    };
    check("not read", "no digit: x", "no digit", "not read  exception.message=\"no digit: x\"");
    check("no digit: x", "no digit: x", "no digit", "no digit: x");
    check("not read", "no digit", "number 7", "not read  exception.message=\"no digit\"  error=\"number 7\"");
}

#[test]
fn an_error_is_red() {
    check(
        Color::Always,
        |record| record.set_severity_number(Severity::Error),
        "\x1b[2m22:13:20.000Z\x1b[0m  \x1b[31mERROR\x1b[0m  \x1b[2mshop\x1b[0m\n",
    );
}
