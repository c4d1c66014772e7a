//! Round trips of random log records through the encoder and the official types, in protobuf and in JSON, and exports to a
//! receiver.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use std::collections::HashMap;

use opentelemetry::logs::{AnyValue, LogRecord, LoggerProvider, Severity};
use opentelemetry::{InstrumentationScope, Key, KeyValue, SpanId, TraceFlags, TraceId};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1 as common;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::logs::v1 as proto;
use proptest::prelude::*;
use prost::Message;
use support::http::{Server, Step};
use support::limited::{Limited, Refuses};
use support::random::{Floats, expected_resource, expected_scope, float, integer, key, resource, same, scope, text};
use support::{PATIENCE, outcome, quick_retries};
use telemark_otlp::{Encode, JsonLinesExporter, OtlpExporter, Protocol};
use telemark_sdk::config::Env;
use telemark_sdk::logs::{LogChunk, SdkLogRecord, SdkLogger};
use telemark_sdk::signal::Logs;
use telemark_sdk::testing::TestTelemetry;
use telemark_sdk::time::{Deadline, Timestamp};
use telemark_sdk::{Batch, Exporter, Resource};

type Cache = <Logs as Encode>::Cache;

fn chunk(records: &[SdkLogRecord]) -> LogChunk {
    records.iter().cloned().collect()
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

/// Generates nested values. Maps have only one field, because their fields have no order.
fn value(floats: Floats) -> impl Strategy<Value = AnyValue> {
    let bytes = prop::collection::vec(any::<u8>(), 0..200).prop_map(|bytes| AnyValue::Bytes(Box::new(bytes)));
    let scalar = prop_oneof![
        any::<bool>().prop_map(AnyValue::Boolean),
        integer().prop_map(AnyValue::Int),
        float(floats).prop_map(AnyValue::Double),
        text().prop_map(AnyValue::from),
        bytes,
    ];
    scalar.prop_recursive(4, 20, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|list| AnyValue::ListAny(Box::new(list))),
            prop::collection::vec((key(), inner), 0..2).prop_map(|fields| {
                let fields = fields.into_iter().map(|(key, value)| (Key::from(key), value));
                AnyValue::Map(Box::new(fields.collect::<HashMap<_, _>>()))
            }),
        ]
    })
}

fn record(floats: Floats) -> impl Strategy<Value = SdkLogRecord> {
    let times = (prop::option::of(any::<u64>()), any::<u64>());
    let severity = (prop::option::of(prop::sample::select(&SEVERITIES[..])), text());
    let content = (prop::option::of(value(floats)), prop::collection::vec((key(), value(floats)), 0..6));
    let context = prop::option::of((any::<u128>(), 0u64..3, prop::option::of(any::<u8>())));
    let names = (prop::option::of("[ab]"), scope(), prop::option::of("[a-z.]{0,20}"));
    (times, severity, content, context, names).prop_map(|(times, severity, content, context, names)| {
        let (target, scope, event) = names;
        let telemetry = TestTelemetry::new();
        let logger: SdkLogger = telemetry.logger_provider().logger_with_scope(scope);
        let mut record = opentelemetry::logs::Logger::create_log_record(&logger);
        if let Some(time) = times.0 {
            record.set_timestamp(Timestamp::from_nanos(time).into());
        }
        record.set_observed_timestamp(Timestamp::from_nanos(times.1).into());
        if let Some(severity) = severity.0 {
            record.set_severity_number(severity);
        }
        record.set_owned_severity_text(severity.1);
        if let Some(body) = content.0 {
            record.set_body(body);
        }
        record.add_attributes(content.1);
        if let Some((trace, span, flags)) = context {
            record.set_trace_context(TraceId::from(trace), SpanId::from(span), flags.map(TraceFlags::new));
        }
        if let Some(target) = target {
            record.set_target(target);
        }
        if let Some(event) = event {
            record.set_owned_event_name(event);
        }
        opentelemetry::logs::Logger::emit(&logger, record);
        telemetry.log_records().remove(0)
    })
}

/// Builds the expected request in the slow but obvious way.
fn expected(resource: &Resource, records: &[SdkLogRecord]) -> ExportLogsServiceRequest {
    let mut scopes: Vec<(InstrumentationScope, Vec<proto::LogRecord>)> = Vec::new();
    for record in records {
        let own: &InstrumentationScope = record.scope();
        let of_record = match record.target() {
            Some(target) if target != own.name() => InstrumentationScope::builder(target.to_owned()).build(),
            _ => own.clone(),
        };
        match scopes.iter_mut().find(|(scope, _)| *scope == of_record) {
            Some((_, records)) => records.push(expected_record(record)),
            None => scopes.push((of_record, vec![expected_record(record)])),
        }
    }
    let scope_logs = scopes.into_iter().map(|(scope, log_records)| proto::ScopeLogs {
        scope: Some(expected_scope(&scope)),
        log_records,
        schema_url: scope.schema_url().unwrap_or_default().to_owned(),
    });
    let resource_logs = proto::ResourceLogs {
        resource: Some(expected_resource(resource)),
        scope_logs: scope_logs.collect(),
        schema_url: resource.schema_url().unwrap_or_default().to_owned(),
    };
    ExportLogsServiceRequest { resource_logs: vec![resource_logs] }
}

fn expected_record(record: &SdkLogRecord) -> proto::LogRecord {
    let nanos = |time: Option<Timestamp>| time.map_or(0, Timestamp::as_nanos);
    let context = record.trace_context();
    let span = context.map(|context| context.span_id).filter(|span| *span != SpanId::INVALID);
    proto::LogRecord {
        time_unix_nano: nanos(record.timestamp()),
        observed_time_unix_nano: nanos(record.observed_timestamp()),
        severity_number: record.severity_number().map_or(0, |severity| severity as i32),
        severity_text: record.severity_text().unwrap_or_default().to_owned(),
        body: record.body().map(expected_value),
        attributes: record.attributes().iter().map(|(key, value)| expected_attribute(key, value)).collect(),
        dropped_attributes_count: record.dropped_attributes(),
        flags: context.and_then(|context| context.trace_flags).map_or(0, |flags| flags.to_u8().into()),
        trace_id: context.map(|context| context.trace_id.to_bytes().to_vec()).unwrap_or_default(),
        span_id: span.map(|span| span.to_bytes().to_vec()).unwrap_or_default(),
        event_name: record.event_name().unwrap_or_default().to_owned(),
    }
}

fn expected_attribute(key: &Key, value: &AnyValue) -> common::KeyValue {
    common::KeyValue { key: key.as_str().to_owned(), value: Some(expected_value(value)), ..Default::default() }
}

fn expected_value(value: &AnyValue) -> common::AnyValue {
    let value = match value {
        AnyValue::Boolean(value) => Any::BoolValue(*value),
        AnyValue::Int(value) => Any::IntValue(*value),
        AnyValue::Double(value) => Any::DoubleValue(*value),
        AnyValue::String(text) => Any::StringValue(text.as_str().to_owned()),
        AnyValue::Bytes(bytes) => Any::BytesValue((**bytes).clone()),
        AnyValue::ListAny(list) => {
            Any::ArrayValue(common::ArrayValue { values: list.iter().map(expected_value).collect() })
        }
        AnyValue::Map(map) => {
            let values = map.iter().map(|(key, value)| expected_attribute(key, value)).collect();
            Any::KvlistValue(common::KeyValueList { values })
        }
        other => panic!("{other:?}"),
    };
    common::AnyValue { value: Some(value) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn protobuf_reads_back(resource in resource(Floats::All), records in prop::collection::vec(record(Floats::All), 1..10)) {
        let mut cache = Cache::default();
        // Run twice, because the state kept from the first batch must not affect the second.
        for _ in 0..2 {
            let mut out = vec![9];
            Logs::protobuf(Batch::new(&resource, &chunk(&records)), &mut cache, &mut out);
            let decoded = ExportLogsServiceRequest::decode(&out[1..]).unwrap();
            same(&decoded, &expected(&resource, &records))?;
        }
    }

    #[test]
    fn json_reads_back(resource in resource(Floats::Finite), records in prop::collection::vec(record(Floats::Finite), 1..6)) {
        let mut cache = Cache::default();
        for _ in 0..2 {
            let mut out = Vec::new();
            Logs::json(Batch::new(&resource, &chunk(&records)), &mut cache, &mut out);
            prop_assert!(!out.contains(&b'\n'));
            let decoded: ExportLogsServiceRequest = serde_json::from_slice(&out).unwrap();
            same(&decoded, &expected(&resource, &records))?;
        }
    }
}

/// Returns a record with every field and every type of value, except for maps with several fields.
fn example() -> SdkLogRecord {
    let telemetry = TestTelemetry::new();
    let scope = InstrumentationScope::builder("lib").with_version("1").build();
    let logger = telemetry.logger_provider().logger_with_scope(scope);
    let mut record = opentelemetry::logs::Logger::create_log_record(&logger);
    record.set_timestamp(Timestamp::from_nanos(1_544_712_660_300_000_000).into());
    record.set_observed_timestamp(Timestamp::from_nanos(1_544_712_660_300_000_001).into());
    record.set_severity_number(Severity::Info2);
    record.set_severity_text("Information");
    record.set_event_name("order.placed");
    record.set_trace_context(
        TraceId::from_hex("5b8efff798038103d269b633813fc60c").unwrap(),
        SpanId::from_hex("eee19b7ec3c1b174").unwrap(),
        Some(TraceFlags::SAMPLED),
    );
    record.set_body("Example log record".into());
    record.add_attribute("string", "some");
    record.add_attribute("boolean", true);
    record.add_attribute("int", -10);
    record.add_attribute("double", 637.704);
    record.add_attribute("bytes", AnyValue::from(&b"\x00\xff\x10"[..]));
    record.add_attribute("array", AnyValue::from_iter(["many", "values"]));
    record.add_attribute("map", AnyValue::from_iter([("some.map.key", AnyValue::from_iter([1, 2]))]));
    record.add_attribute("", "dropped");
    opentelemetry::logs::Logger::emit(&logger, record);
    telemetry.log_records().remove(0)
}

#[test]
fn json_matches_the_example_of_the_specification() {
    let mut out = Vec::new();
    let resource = Resource::new([KeyValue::new("service.name", "shop")]);
    Logs::json(Batch::new(&resource, &chunk(&[example()])), &mut Cache::default(), &mut out);
    let expected = r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},
        "scopeLogs":[{"scope":{"name":"lib","version":"1"},"logRecords":[{"timeUnixNano":"1544712660300000000",
        "observedTimeUnixNano":"1544712660300000001","severityNumber":10,"severityText":"Information",
        "body":{"stringValue":"Example log record"},"attributes":[{"key":"string","value":{"stringValue":"some"}},
        {"key":"boolean","value":{"boolValue":true}},{"key":"int","value":{"intValue":"-10"}},
        {"key":"double","value":{"doubleValue":637.704}},{"key":"bytes","value":{"bytesValue":"AP8Q"}},
        {"key":"array","value":{"arrayValue":{"values":[{"stringValue":"many"},{"stringValue":"values"}]}}},
        {"key":"map","value":{"kvlistValue":{"values":[{"key":"some.map.key",
        "value":{"arrayValue":{"values":[{"intValue":"1"},{"intValue":"2"}]}}}]}}}],"droppedAttributesCount":1,
        "flags":1,"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174",
        "eventName":"order.placed"}]}]}]}"#;
    let expected: String = expected.lines().map(str::trim).collect();
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn a_batch_like_the_last_one_costs_no_allocation() {
    let resource = Resource::new([KeyValue::new("service.name", "shop")]);
    let records: Vec<_> = (0..512)
        .map(|index| {
            let mut record = example();
            record.set_target(["shop::orders", "shop::carts", "lib"][index % 3]);
            record
        })
        .collect();
    let chunk = chunk(&records);
    for (format, encode) in [("protobuf", Logs::protobuf as fn(_, &mut _, &mut _)), ("json", Logs::json)] {
        let (mut cache, mut out) = (Cache::default(), Vec::new());
        encode(Batch::new(&resource, &chunk), &mut cache, &mut out);
        let len = out.len();
        let counted = allocation_counter::measure(|| {
            out.clear();
            encode(Batch::new(&resource, &chunk), &mut cache, &mut out);
        });
        assert_eq!((counted.count_total, out.len()), (0, len), "{format}");
    }
}

#[test]
fn every_severity_has_its_number() {
    let records: Vec<_> = SEVERITIES
        .iter()
        .map(|&severity| {
            let mut record = SdkLogRecord::default();
            record.set_severity_number(severity);
            record
        })
        .collect();
    let mut out = Vec::new();
    Logs::protobuf(Batch::new(&Resource::empty(), &chunk(&records)), &mut Cache::default(), &mut out);
    let request = ExportLogsServiceRequest::decode(&*out).unwrap();
    let numbers = request.resource_logs[0].scope_logs[0].log_records.iter().map(|record| record.severity_number);
    assert_eq!(numbers.collect::<Vec<_>>(), (1..=24).collect::<Vec<_>>());
}

fn export(exporter: &mut impl Exporter<Logs>) -> String {
    outcome(&exporter.export(Batch::new(&Resource::empty(), &chunk(&[example()])), Deadline::after(PATIENCE)))
}

fn decoded_example() -> ExportLogsServiceRequest {
    expected(&Resource::empty(), &[example()])
}

#[test]
fn over_http_records_may_be_refused() {
    let body = b"\x0a\x0d\x08\x01\x12\x09too large";
    let server = Server::start([Step::reply("503 Busy", "", b""), Step::reply("200 OK", "", body)]);
    let builder = OtlpExporter::<Logs>::builder().with_base_endpoint(server.url()).with_retry(quick_retries());
    assert_eq!(export(&mut builder.build().unwrap()), "taken, 1 rejected, 1 retries (too large)");
    for request in server.finish() {
        assert_eq!(request.head.lines().next(), Some("POST /v1/logs HTTP/1.1"));
        assert_eq!(ExportLogsServiceRequest::decode(&*request.body).unwrap(), decoded_example());
    }
}

#[test]
fn over_http_with_json_records_have_their_own_name() {
    let body = br#"{"partialSuccess":{"rejectedLogRecords":"1","rejectedSpans":"9","errorMessage":"why"}}"#;
    let server = Server::start([Step::reply("200 OK", "content-type: application/json\r\n", body)]);
    let builder = OtlpExporter::<Logs>::builder().with_base_endpoint(server.url()).with_protocol(Protocol::HttpJson);
    assert_eq!(export(&mut builder.build().unwrap()), "taken, 1 rejected, 0 retries (why)");
    let request = &server.finish()[0];
    assert_eq!(request.head.lines().next(), Some("POST /v1/logs HTTP/1.1"));
    assert_eq!(serde_json::from_slice::<ExportLogsServiceRequest>(&request.body).unwrap(), decoded_example());
}

#[cfg(feature = "grpc")]
#[test]
fn over_grpc_the_service_is_that_of_logs() {
    use support::grpc::{Server, Step, frame};
    let partial = frame(b"\x0a\x0d\x08\x01\x12\x09too large");
    let server = Server::start([Step::trailers(partial, &[("grpc-status", "0")])]);
    let builder = OtlpExporter::<Logs>::builder().with_protocol(Protocol::Grpc);
    let mut exporter = builder.with_endpoint(format!("http://{}", server.address)).build().unwrap();
    assert_eq!(export(&mut exporter), "taken, 1 rejected, 0 retries (too large)");
    drop(exporter);
    let call = &server.finish()[0];
    assert_eq!(call.path, "/opentelemetry.proto.collector.logs.v1.LogsService/Export");
    assert_eq!(ExportLogsServiceRequest::decode(&call.body[5..]).unwrap(), decoded_example());
}

#[test]
fn lines_of_json_are_one_batch_each() {
    let path = std::env::temp_dir().join(format!("telemark-logs-{}.jsonl", std::process::id()));
    let mut exporter = JsonLinesExporter::<Logs>::to_file(&path).unwrap();
    for _ in 0..2 {
        assert_eq!(export(&mut exporter), "taken, 0 rejected, 0 retries");
    }
    exporter.shutdown(Deadline::after(PATIENCE)).unwrap();
    let lines = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let decoded: Vec<ExportLogsServiceRequest> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(decoded, vec![decoded_example(); 2]);
}

#[test]
fn the_variables_of_logs_win_over_the_general_ones() {
    let env = Env::from_pairs([
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://general:1"),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://logs:2/own"),
        ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/json"),
    ]);
    let exporter = OtlpExporter::<Logs>::from_env(&env).unwrap();
    assert_eq!(exporter.destination(), "http/json to http://logs:2/own");
    assert_eq!(exporter.component_type(), "otlp_http_json_log_exporter");
    let general =
        OtlpExporter::<Logs>::from_env(&Env::from_pairs([("OTEL_EXPORTER_OTLP_ENDPOINT", "http://general:1")]));
    assert_eq!(general.unwrap().destination(), "http/protobuf to http://general:1/v1/logs");
}

#[test]
fn records_that_do_not_fit_into_one_request_are_sent_in_parts() {
    for protocol in [Protocol::HttpProtobuf, Protocol::HttpJson] {
        let server = Limited::start(usize::MAX, Refuses::Politely, b"");
        let builder = OtlpExporter::<Logs>::builder().with_base_endpoint(server.url()).with_protocol(protocol);
        let mut exporter = builder.with_max_request_size(4000).build().unwrap();
        let records: Vec<_> = (0..50)
            .map(|index| {
                let mut record = example();
                record.set_target(["shop::orders", "shop::carts"][index % 2]);
                record.set_owned_event_name(format!("event.{index:02}"));
                record
            })
            .collect();
        let result = exporter.export(Batch::new(&Resource::empty(), &chunk(&records)), Deadline::after(PATIENCE));
        assert_eq!(outcome(&result), "taken, 0 rejected, 0 retries", "{protocol}");
        let taken = server.take().taken;
        assert!(taken.len() > 3 && taken.iter().all(|body| body.len() <= 4000), "{protocol}: {} parts", taken.len());
        let decode = |body: &Vec<u8>| match protocol {
            Protocol::HttpJson => serde_json::from_slice::<ExportLogsServiceRequest>(body).unwrap(),
            _ => ExportLogsServiceRequest::decode(&**body).unwrap(),
        };
        let scopes = taken.iter().map(decode).flat_map(|request| request.resource_logs).flat_map(|of| of.scope_logs);
        let scopes = scopes.inspect(|of| assert!(of.scope.as_ref().unwrap().name.starts_with("shop::")));
        let mut names: Vec<_> = scopes.flat_map(|of| of.log_records).map(|record| record.event_name).collect();
        names.sort();
        assert_eq!(names, (0..50).map(|index| format!("event.{index:02}")).collect::<Vec<_>>(), "{protocol}");
    }
}
