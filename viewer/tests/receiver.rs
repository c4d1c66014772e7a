//! The receivers' responses, and their bounds: everything that OTLP defines for requests that are wrong in some way.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};

use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Summary, SummaryDataPoint, metric::Data,
    summary_data_point::ValueAtQuantile,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use support::{Answer, check_equal, post, receiver, send};
use telemark_viewer::Receiver;
use telemark_viewer::model::{PointData, Value};

const PROTOBUF: (&str, &str) = ("Content-Type", "application/x-protobuf");
const JSON: (&str, &str) = ("Content-Type", "application/json");

fn string(text: &str) -> Option<AnyValue> {
    Some(AnyValue { value: Some(Any::StringValue(text.to_owned())) })
}

fn attribute(key: &str, value: Option<AnyValue>) -> KeyValue {
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn traces(spans: Vec<Span>) -> ExportTraceServiceRequest {
    let resource = Resource { attributes: vec![attribute("service.name", string("shop"))], ..Resource::default() };
    let scope = InstrumentationScope { name: "test".to_owned(), ..InstrumentationScope::default() };
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { resource: Some(resource), scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }
}

fn span(id: u8) -> Span {
    Span {
        trace_id: vec![7; 16],
        span_id: vec![id; 8],
        name: format!("span {id}"),
        start_time_unix_nano: 1_767_225_600_000_000_000,
        end_time_unix_nano: 1_767_225_601_000_000_000,
        ..Span::default()
    }
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn check(answer: &Answer, status: u16, text: &str) {
    assert!(answer.status == status && answer.text().contains(text), "{answer:?} instead of {status} {text}");
}

#[test]
fn a_request_of_each_signal_is_accepted_in_both_encodings() {
    let (store, _receiver, address) = receiver();
    for (path, json) in [("traces", "resourceSpans"), ("logs", "resourceLogs"), ("metrics", "resourceMetrics")] {
        let path = format!("/v1/{path}");
        let answer = post(address, &path, &[PROTOBUF], b"");
        assert_eq!((answer.status, &*answer.body), (200, &b""[..]));
        assert!(answer.head.contains("content-type: application/x-protobuf"), "{}", answer.head);
        let answer = post(
            address,
            &path,
            &[("Content-Type", "application/json; charset=utf-8")],
            format!("{{{json:?}: []}}").as_bytes(),
        );
        check(&answer, 200, "{}");
        assert!(answer.head.contains("content-type: application/json"), "{}", answer.head);
    }
    let body = traces(vec![span(1)]).encode_to_vec();
    check(&post(address, "/v1/traces", &[PROTOBUF, ("Content-Encoding", "gzip")], &gzip(&body)), 200, "");
    assert_eq!(store.spans().len(), 1);
}

#[test]
fn requests_of_other_types_are_refused() {
    let (_store, _receiver, address) = receiver();
    check(&post(address, "/v1/profiles", &[JSON], b"{}"), 404, "/v1/traces");
    check(&post(address, "/v1/traces", &[], b"{}"), 415, "content type");
    check(&post(address, "/v1/traces", &[("Content-Type", "text/plain")], b"{}"), 415, "content type");
    check(&post(address, "/v1/traces", &[JSON, ("Content-Encoding", "br")], b"{}"), 415, "content encoding");
    let get = format!("GET /v1/traces HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let answer = send(&TcpStream::connect(address).unwrap(), get.as_bytes());
    check(&answer, 405, "POST");
    assert!(answer.head.contains("allow: post"), "{}", answer.head);
}

/// The error of a malformed request is a `google.rpc.Status` in the encoding of the request.
#[test]
fn malformed_requests_get_a_status() {
    let (store, _receiver, address) = receiver();
    let answer = post(address, "/v1/traces", &[PROTOBUF], &[0x0a, 9, 1]);
    assert_eq!(answer.status, 400);
    #[derive(Clone, PartialEq, Message)]
    struct Status {
        #[prost(int32, tag = "1")]
        code: i32,
        #[prost(string, tag = "2")]
        message: String,
    }
    let status = Status::decode(&*answer.body).unwrap();
    assert_eq!(status, Status { code: 3, message: "the message is cut short".to_owned() });

    for body in ["", "{", "[]", r#"{"resourceSpans": {}}"#, r#"{"resourceSpans": [{"scopeSpans": [{"spans": [7]}]}]}"#]
    {
        let answer = post(address, "/v1/traces", &[JSON], body.as_bytes());
        check(&answer, 400, r#""code":3"#);
    }
    let deep = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{}]}}]}}]}}"#, "[".repeat(100_000));
    check(&post(address, "/v1/logs", &[JSON], deep.as_bytes()), 400, "message");
    check(&post(address, "/v1/traces", &[PROTOBUF, ("Content-Encoding", "gzip")], b"no gzip"), 400, "content encoding");
    // A request that is malformed at its end adds nothing.
    let mut body = traces(vec![span(1)]).encode_to_vec();
    body.extend_from_slice(&[0x0a, 9, 1]);
    check(&post(address, "/v1/traces", &[PROTOBUF], &body), 400, "cut short");
    assert_eq!(store.spans().len(), 0);
}

#[test]
fn requests_beyond_64_mib_are_refused_before_they_fill_the_memory() {
    let (_store, _receiver, address) = receiver();
    let bomb = gzip(&vec![0; (64 << 20) + 1]);
    check(&post(address, "/v1/traces", &[PROTOBUF, ("Content-Encoding", "gzip")], &bomb), 413, "64 MiB");
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        (64 << 20) + 1
    );
    check(&send(&TcpStream::connect(address).unwrap(), head.as_bytes()), 413, "64 MiB");
}

#[test]
fn spans_without_ids_are_a_partial_success() {
    let (store, _receiver, address) = receiver();
    let nameless = Span { span_id: Vec::new(), ..span(2) };
    let short = Span { trace_id: vec![7; 15], ..span(3) };
    let request = traces(vec![span(1), nameless, short]);
    let answer = post(address, "/v1/traces", &[PROTOBUF], &request.encode_to_vec());
    assert_eq!(answer.status, 200);
    let partial = ExportTraceServiceResponse::decode(&*answer.body).unwrap().partial_success.unwrap();
    assert_eq!(partial.rejected_spans, 2);
    assert!(partial.error_message.contains("trace id"), "{}", partial.error_message);
    assert_eq!(store.spans().len(), 1);
    let json = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"x"}]}]}]}"#;
    check(&post(address, "/v1/traces", &[JSON], json.as_bytes()), 200, r#""rejectedSpans":"1""#);
}

/// Responses of a connection that stays open.
#[test]
fn a_connection_is_kept_alive() {
    let (store, _receiver, address) = receiver();
    let stream = TcpStream::connect(address).unwrap();
    for id in 1..=3 {
        let body = traces(vec![span(id)]).encode_to_vec();
        let head = format!(
            "POST /v1/traces HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/x-protobuf\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        assert_eq!(send(&stream, &[head.as_bytes(), &body].concat()).status, 200);
    }
    assert_eq!(store.spans().len(), 3);
}

#[test]
fn pages_of_other_hosts_may_not_send() {
    let (_store, _receiver, address) = receiver();
    let from = |origin| post(address, "/v1/traces", &[JSON, ("Origin", origin)], b"{}").status;
    for origin in ["https://evil.example", "null", "http://localhost.evil.example", "http://127.0.0.1.evil.example"] {
        assert_eq!(from(origin), 403, "{origin}");
    }
    for origin in ["http://localhost:3000", "http://127.0.0.1", "http://[::1]:8080"] {
        assert_eq!(from(origin), 200, "{origin}");
    }
}

/// What a browser sends before a page's request, and with it.
#[test]
fn pages_of_allowed_origins_may_send() {
    let store = support::store();
    let receiver = Receiver::new(store.clone()).unwrap().with_allowed_origins(["https://shop.example"]);
    let address = receiver.listen(TcpListener::bind("127.0.0.1:0").unwrap()).unwrap();
    let ask = |origin: &str| {
        let head = format!(
            "OPTIONS /v1/traces HTTP/1.1\r\nHost: {address}\r\nOrigin: {origin}\r\nAccess-Control-Request-Method: POST\r\n\
             Access-Control-Request-Headers: content-type,x-tenant\r\nAccess-Control-Request-Private-Network: true\r\n\r\n"
        );
        send(&TcpStream::connect(address).unwrap(), head.as_bytes())
    };
    let allowed = ask("https://shop.example");
    check(&allowed, 204, "");
    for header in [
        "access-control-allow-origin: https://shop.example",
        "access-control-allow-methods: post",
        "access-control-allow-headers: content-type,x-tenant",
        "access-control-allow-private-network: true",
        "access-control-allow-credentials: true",
        "vary: origin",
    ] {
        assert!(allowed.head.contains(&format!("{header}\r\n")), "{header}: {}", allowed.head);
    }
    for origin in ["https://evil.example", "https://shop.example.evil.example", "http://shop.example", "null"] {
        let refused = ask(origin);
        check(&refused, 403, "--allow-origin");
        assert!(!refused.head.contains("access-control-allow"), "{}", refused.head);
    }
    // Without permission, a browser keeps pages of other ports of this machine from sending.
    assert!(!ask("http://localhost:3000").head.contains("access-control-allow"));

    let body = serde_json::to_vec(&traces(vec![span(1)])).unwrap();
    let sent = post(address, "/v1/traces", &[JSON, ("Origin", "https://shop.example")], &body);
    check(&sent, 200, "{}");
    assert!(sent.head.contains("access-control-allow-origin: https://shop.example\r\n"), "{}", sent.head);
    assert_eq!(store.spans().len(), 1);
    let refused = post(address, "/v1/traces", &[JSON, ("Origin", "https://evil.example")], &body);
    assert_eq!((refused.status, store.spans().len()), (403, 1));
}

/// The oracle encodes the same request in protobuf and in JSON.
#[test]
fn both_encodings_of_the_oracle_are_read_alike() {
    let (one, _first, to_one) = receiver();
    let (other, _second, to_other) = receiver();
    let record = LogRecord { time_unix_nano: 5, severity_number: 9, body: string("hi"), ..LogRecord::default() };
    let logs = ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            scope_logs: vec![ScopeLogs { log_records: vec![record], ..ScopeLogs::default() }],
            ..ResourceLogs::default()
        }],
    };
    let quantile_values = vec![ValueAtQuantile { quantile: 0.5, value: 2.5 }];
    let summary = SummaryDataPoint { count: 4, sum: 10.0, quantile_values, time_unix_nano: 9, ..Default::default() };
    let gauge = Gauge { data_points: vec![NumberDataPoint { time_unix_nano: 9, ..Default::default() }] };
    let metrics = vec![
        Metric {
            name: "summary".to_owned(),
            data: Some(Data::Summary(Summary { data_points: vec![summary] })),
            ..Metric::default()
        },
        Metric { name: "nothing".to_owned(), data: Some(Data::Gauge(gauge)), ..Metric::default() },
    ];
    let metrics = ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            scope_metrics: vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }],
            ..ResourceMetrics::default()
        }],
    };
    let traces = traces(vec![span(1)]);
    let send = |to: SocketAddr, path: &str, header, body: Vec<u8>| {
        check(&post(to, path, &[header], &body), 200, "");
    };
    send(to_one, "/v1/traces", PROTOBUF, traces.encode_to_vec());
    send(to_one, "/v1/logs", PROTOBUF, logs.encode_to_vec());
    send(to_one, "/v1/metrics", PROTOBUF, metrics.encode_to_vec());
    send(to_other, "/v1/traces", JSON, serde_json::to_vec(&traces).unwrap());
    send(to_other, "/v1/logs", JSON, serde_json::to_vec(&logs).unwrap());
    send(to_other, "/v1/metrics", JSON, serde_json::to_vec(&metrics).unwrap());
    check_equal(&one, &other);
    assert_eq!(&*one.records()[0].resource.service, "unknown_service");
    let metrics = one.metrics();
    let summary = metrics.iter().find(|metric| &*metric.name == "summary").unwrap();
    let quantiles = Box::new([(0.5, 2.5)]);
    assert_eq!(summary.points[0].data, PointData::Summary { count: 4, sum: 10.0, quantiles });
}

/// Names of enumerations, numbers as numbers, nulls, unknown fields and ids in upper case are all valid JSON.
#[test]
fn json_may_be_written_in_other_ways() {
    let (store, _receiver, address) = receiver();
    let body = r#"{"unknown": {"a": [1]}, "resourceSpans": [null], "resourceLogs": null}"#;
    assert_eq!(post(address, "/v1/traces", &[JSON], body.as_bytes()).status, 400);
    let body = r#"{"later": 1, "resourceSpans": [{"scopeSpans": [{"spans": [{
        "traceId": "0AF7651916CD43DD8448EB211C80319C", "spanId": "B7AD6B7169203331", "parentSpanId": null,
        "kind": "SPAN_KIND_CLIENT", "startTimeUnixNano": 1767225600000000000, "endTimeUnixNano": "1767225600000000001",
        "status": {"code": "STATUS_CODE_ERROR", "message": "x"}, "events": null, "flags": 257,
        "attributes": [{"key": "a", "value": {"intValue": 5}}, {"key": "b", "value": {"doubleValue": 1}}, {"key": "c"}]
    }], "scope": null}], "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "late"}}]}}]}"#;
    check(&post(address, "/v1/traces", &[JSON], body.as_bytes()), 200, "{}");
    let spans = store.spans();
    let span = &spans[0];
    assert_eq!(span.trace_id.to_string(), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(format!("{:?} {:?}", span.kind, span.status), "Client Error(\"x\")");
    assert_eq!((span.end - span.start, &*span.resource.service), (1, "late"));
    let values: Vec<_> = span.attributes.iter().map(|attribute| &attribute.value).collect();
    assert_eq!(values, [&Value::Int(5), &Value::Double(1.0), &Value::Null]);
}

/// Text that is not UTF-8, deep values, and lists with millions of entries are shown harmlessly, within bounds.
#[test]
fn hostile_telemetry_is_bounded() {
    let (store, _receiver, address) = receiver();
    // `span 1` becomes invalid UTF-8.
    let mut body = traces(vec![span(1)]).encode_to_vec();
    let at = body.windows(6).position(|window| window == b"span 1").unwrap();
    body[at] = 0xff;
    assert_eq!(post(address, "/v1/traces", &[PROTOBUF], &body).status, 200);
    assert_eq!(&*store.spans()[0].name, "\u{fffd}pan 1");

    let mut value = string("deep");
    for _ in 0..1000 {
        value = Some(AnyValue { value: Some(Any::ArrayValue(ArrayValue { values: value.into_iter().collect() })) });
    }
    let deep = Span { attributes: vec![attribute("deep", value)], ..span(2) };
    // Prost drops the value recursively, and so does this test: a stack of its own suffices.
    assert_eq!(post(address, "/v1/traces", &[PROTOBUF], &traces(vec![deep]).encode_to_vec()).status, 200);

    let many = Span { attributes: vec![KeyValue::default(); 1_000_000], ..span(3) };
    assert_eq!(post(address, "/v1/traces", &[PROTOBUF], &traces(vec![many]).encode_to_vec()).status, 200);
    let spans = store.spans();
    let many = spans.iter().find(|span| &*span.name == "span 3").unwrap();
    let kept = many.attributes.len();
    assert!(kept <= 1 << 16, "{kept} attributes are kept");
    assert_eq!(kept + many.dropped.attributes as usize, 1_000_000);
}

/// A client that sends nothing, or half a request, does not keep others from sending.
#[test]
fn slow_clients_do_not_delay_others() {
    let (store, _receiver, address) = receiver();
    let slow: Vec<_> = (0..100).map(|_| TcpStream::connect(address).unwrap()).collect();
    for mut stream in &slow {
        stream
            .write_all(b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\nContent-Ty")
            .unwrap();
    }
    let body = traces(vec![span(1)]).encode_to_vec();
    assert_eq!(post(address, "/v1/traces", &[PROTOBUF], &body).status, 200);
    assert_eq!(store.spans().len(), 1);
}

#[test]
fn a_receiver_that_is_dropped_closes_its_listeners() {
    let (_store, receiver, address) = receiver();
    assert!(TcpStream::connect(address).is_ok());
    drop(receiver);
    let deadline = telemark_sdk::time::Deadline::after(std::time::Duration::from_secs(30));
    while TcpStream::connect(address).is_ok() {
        assert!(!deadline.has_passed(), "the listener is still open");
    }
}
