//! A program's log records: through an appender, at the end of the program, and with every type of body.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use std::time::Duration;

use opentelemetry::logs::{AnyValue, LogRecord, Logger, Severity};
use opentelemetry::trace::{TraceContextExt, Tracer};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use telemark::Guard;
use telemark::config::Env;
use telemark::testing::TestTelemetry;
use telemark_tests::{Script, Sink};
use tracing_subscriber::layer::SubscriberExt;

/// Builds telemetry that exports to this endpoint with this protocol.
fn telemetry(endpoint: &str, protocol: &str) -> Guard {
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint), ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)];
    telemark::builder().with_env(Env::from_pairs(variables)).build().unwrap()
}

fn emit(logger: &impl Logger, body: &'static str) {
    let mut record = logger.create_log_record();
    record.set_severity_number(Severity::Info);
    record.set_body(body.into());
    record.add_attribute("shop.order.id", "0b6c2c0e-7f5a-4b1c-9d7e-3f4a5b6c7d8e");
    record.add_attribute("shop.order.items", 3);
    logger.emit(record);
}

#[test]
fn an_event_of_tracing_becomes_a_record_of_its_span() {
    let telemetry = TestTelemetry::new();
    let bridge = OpenTelemetryTracingBridge::new(telemetry.logger_provider());
    let _subscriber = tracing::subscriber::set_default(tracing_subscriber::registry().with(bridge));
    let span = telemetry.tracer("shop").in_span("order", |context| {
        tracing::warn!(name: "shop.low", target: "shop::orders", { item.id = 7, express = true, price = 0.5, who = ?"me" }, "few left");
        tracing::error!(name: "shop.failed", reason = "stock");
        context.span().span_context().span_id()
    });
    assert_eq!(
        telemetry.logs(),
        "WARN (shop.low) few left item.id=7 express=true price=0.5 who=\"me\"\nERROR (shop.failed) reason=stock\n"
    );
    for record in telemetry.log_records() {
        assert_eq!(record.trace_context().unwrap().span_id, span);
        assert!(record.observed_timestamp().is_some());
    }
    assert_eq!(telemetry.log_records()[0].target(), Some("shop::orders"));
}

#[test]
fn what_is_left_at_the_end_is_exported_over_every_protocol() {
    for protocol in ["http/protobuf", "grpc"] {
        let sink = Sink::start(Script::Take).unwrap();
        let telemetry = telemetry(&sink.endpoint(), protocol);
        let logger = telemetry.logger("shop");
        let span = telemetry.tracer("shop").in_span("order", |context| {
            emit(&logger, "placed");
            context.span().span_context().clone()
        });
        drop(telemetry);
        let records = sink.log_records();
        assert_eq!(records.len(), 1, "{protocol}");
        assert_eq!(records[0].trace_id, span.trace_id().to_bytes(), "{protocol}");
        assert_eq!(records[0].span_id, span.span_id().to_bytes(), "{protocol}");
        assert_eq!(sink.spans().len(), 1, "{protocol}");
    }
}

/// Records a body of each type, and reads them back from the sink.
#[test]
fn a_body_of_every_type_arrives() {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;

    let sink = Sink::start(Script::Take).unwrap();
    let telemetry = telemetry(&sink.endpoint(), "grpc");
    let logger = telemetry.logger("shop");
    let bodies = [
        AnyValue::from(true),
        AnyValue::from(-7),
        AnyValue::from(0.5),
        AnyValue::from("käse"),
        AnyValue::from(&b"\x00\xff"[..]),
        AnyValue::from_iter([1, 2]),
        AnyValue::from_iter([("k", AnyValue::from_iter(["v"]))]),
    ];
    for body in bodies {
        let mut record = logger.create_log_record();
        record.set_body(body);
        logger.emit(record);
    }
    telemetry.flush(Duration::from_secs(20)).unwrap();
    let kinds: Vec<_> = sink
        .log_records()
        .iter()
        .map(|record| match record.body.as_ref().and_then(|body| body.value.as_ref()) {
            Some(Value::BoolValue(true)) => "bool",
            Some(Value::IntValue(-7)) => "int",
            Some(Value::DoubleValue(0.5)) => "double",
            Some(Value::StringValue(text)) if text == "käse" => "string",
            Some(Value::BytesValue(bytes)) if bytes == &[0, 255] => "bytes",
            Some(Value::ArrayValue(list)) if list.values.len() == 2 => "list",
            Some(Value::KvlistValue(map)) if map.values[0].key == "k" => "map",
            _ => "unexpected",
        })
        .collect();
    assert_eq!(kinds, ["bool", "int", "double", "string", "bytes", "list", "map"]);
}
