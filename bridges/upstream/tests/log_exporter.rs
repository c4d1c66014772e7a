//! Tests of the adapter for upstream log exporters: they receive the same records as from upstream itself.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test helpers")]

use std::collections::HashMap;
use std::time::Duration;

use opentelemetry::logs::{AnyValue, LogRecord, Logger, LoggerProvider, Severity};
use opentelemetry::{InstrumentationScope, Key, KeyValue, SpanId, TraceFlags, TraceId};
use opentelemetry_sdk::logs::{InMemoryLogExporter, SdkLoggerProvider};
use telemark_sdk::Resource;
use telemark_sdk::batch::{BatchConfig, BatchProcessor};
use telemark_sdk::runtime::{ManualRuntime, Runtime};
use telemark_sdk::signal::Logs;
use telemark_sdk::time::{Deadline, Timestamp};
use telemark_upstream::UpstreamLogExporter;

/// Emits a record with every field.
fn emit(logger: &impl Logger) {
    let mut record = logger.create_log_record();
    record.set_event_name("shop.opened");
    record.set_target("shop::door");
    record.set_timestamp(Timestamp::from_nanos(1_700_000_000_000_000_000).into());
    record.set_observed_timestamp(Timestamp::from_nanos(1_700_000_001_000_000_000).into());
    record.set_severity_text("notice");
    record.set_severity_number(Severity::Info2);
    record.set_body(AnyValue::from_iter([AnyValue::from(1), AnyValue::from("two"), AnyValue::from(&b"3"[..])]));
    let map: HashMap<Key, AnyValue> = [("k".into(), AnyValue::from(0.5))].into();
    record.add_attribute("map", AnyValue::Map(Box::new(map)));
    record.add_attribute("flag", true);
    record.set_trace_context(TraceId::from(7), SpanId::from(8), Some(TraceFlags::SAMPLED));
    logger.emit(record);
}

fn scope() -> InstrumentationScope {
    let scope = InstrumentationScope::builder("shop").with_version("1.2").with_schema_url("https://example.com/1");
    scope.with_attributes([KeyValue::new("scope", true)]).build()
}

#[test]
fn an_exporter_receives_what_it_would_from_upstream() {
    let expected = InMemoryLogExporter::default();
    let upstream = SdkLoggerProvider::builder()
        .with_resource(opentelemetry_sdk::Resource::builder_empty().with_attribute(KeyValue::new("a", 1)).build())
        .with_simple_exporter(expected.clone())
        .build();
    emit(&upstream.logger_with_scope(scope()));

    let actual = InMemoryLogExporter::default();
    let runtime = Runtime::Manual(ManualRuntime::new());
    let exporter = UpstreamLogExporter::new(actual.clone());
    let processor: BatchProcessor<Logs> =
        BatchProcessor::start(exporter, Resource::new([KeyValue::new("a", 1)]), BatchConfig::LOGS, &runtime).unwrap();
    let provider = telemark_sdk::logs::SdkLoggerProvider::builder().with_processor(processor).build();
    emit(&provider.logger_with_scope(scope()));
    provider.force_flush(Deadline::after(Duration::from_secs(60))).unwrap();

    let text = |exporter: &InMemoryLogExporter| format!("{:#?}", exporter.get_emitted_logs().unwrap());
    assert!(text(&expected).contains("shop.opened"));
    assert_eq!(text(&actual), text(&expected));
}
