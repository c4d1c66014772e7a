//! Telemetry of all shapes, a receiver with its store, and a client that sends any bytes.
#![allow(dead_code, reason = "each test uses a part")]

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::logs::{AnyValue, LogRecord, Severity};
use opentelemetry::trace::{Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{Array, InstrumentationScope, Key, KeyValue, StringValue, Value};
use telemark_sdk::Resource;
use telemark_sdk::limits::LogRecordLimits;
use telemark_sdk::logs::{LogChunk, SdkLogRecord};
use telemark_sdk::metrics::{
    Attributes, Buckets, Exemplar, ExponentialHistogramPoint, HistogramPoint, Metric, MetricData, NumberPoint,
    ScopeMetrics, Temporality,
};
use telemark_sdk::time::Timestamp;
use telemark_sdk::trace::{Scope, SpanChunk, SpanData, SpanEvent};
use telemark_viewer::{Limits, Receiver, Store};

/// The start of 2026, so that nothing is older than the store keeps.
const T0: u64 = 1_767_225_600_000_000_000;

/// Creates an empty store.
pub(crate) fn store() -> Arc<Store> {
    Store::new(Limits::default())
}

/// Starts a receiver of its own.
pub(crate) fn receiver() -> (Arc<Store>, Receiver, SocketAddr) {
    let store = store();
    let receiver = Receiver::new(store.clone()).unwrap();
    let address = receiver.listen(TcpListener::bind("127.0.0.1:0").unwrap()).unwrap();
    (store, receiver, address)
}

/// A response to [`send`].
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Posts a body, and reads the response.
pub(crate) fn post(address: SocketAddr, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut head = format!("POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    let stream = TcpStream::connect(address).unwrap();
    send(&stream, &[(head + "\r\n").as_bytes(), body].concat())
}

/// Sends bytes, and reads a response of HTTP/1.1.
pub(crate) fn send(mut stream: &TcpStream, bytes: &[u8]) -> Answer {
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    // A server that refuses a request may close the connection before it has read all of it.
    let _ = stream.write_all(bytes);
    let mut read = Vec::new();
    let end = loop {
        if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        let mut chunk = [0; 4096];
        let count = stream.read(&mut chunk).unwrap();
        assert!(count > 0, "the connection ended within {:?}", String::from_utf8_lossy(&read));
        read.extend_from_slice(&chunk[..count]);
    };
    let head = String::from_utf8_lossy(&read[..end]).to_ascii_lowercase();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
    let mut body = read.split_off(end);
    let mut rest = vec![0; length.parse::<usize>().unwrap() - body.len()];
    stream.read_exact(&mut rest).unwrap();
    body.extend(rest);
    Answer { status, head, body }
}

/// Asserts that two stores hold equal telemetry.
pub(crate) fn check_equal(one: &Store, other: &Store) {
    let spans = |store: &Store| {
        let mut spans = store.spans();
        spans.sort_by_key(|span| (span.trace_id, span.span_id));
        spans
    };
    assert_eq!(spans(one), spans(other));
    let records = |store: &Store| {
        let mut records = store.records();
        records.sort_by_key(|record| (record.time, format!("{record:?}")));
        records
    };
    assert_eq!(records(one), records(other));
    let (one, other) = (metrics_of(one), metrics_of(other));
    for (one, other) in one.iter().zip(&other) {
        assert_eq!(one, other);
    }
    assert_eq!(one.len(), other.len());
}

/// Returns each point of a store's metrics as text, in order.
pub(crate) fn metrics_of(store: &Store) -> Vec<String> {
    let mut lines = Vec::new();
    for metric in store.metrics() {
        for point in &metric.points {
            let about = (&metric.name, &metric.unit, &metric.description, metric.kind, metric.temporality);
            lines.push(format!("{about:?} {:?} {:?} {point:?}", metric.resource, metric.scope));
        }
    }
    lines.sort();
    lines
}

pub(crate) fn resource() -> Resource {
    Resource::new([KeyValue::new("service.name", "shop"), KeyValue::new("process.pid", 7)])
}

fn scope() -> InstrumentationScope {
    let attributes = [KeyValue::new("of", "scope")];
    InstrumentationScope::builder("test").with_version("1.2").with_attributes(attributes).build()
}

fn time(seconds: u64) -> Timestamp {
    Timestamp::from_nanos(T0 + seconds * 1_000_000_000 + 1)
}

/// Returns an attribute with a value of each type.
fn attributes() -> Vec<KeyValue> {
    vec![
        KeyValue::new("string", "a \"b\" \u{1b}[31m <script> \u{1F600}"),
        KeyValue::new("empty", ""),
        KeyValue::new("bool", true),
        KeyValue::new("int", i64::MIN),
        KeyValue::new("double", 0.1),
        KeyValue::new("bools", Value::Array(Array::Bool(vec![true, false]))),
        KeyValue::new("ints", Value::Array(Array::I64(vec![i64::MAX, -1]))),
        KeyValue::new("doubles", Value::Array(Array::F64(vec![f64::INFINITY, f64::NAN, -0.0]))),
        KeyValue::new("strings", Value::Array(Array::String(vec![StringValue::from("x"), "".into()]))),
    ]
}

/// Returns spans of all shapes.
pub(crate) fn spans() -> SpanChunk {
    let context = |span: u64| {
        let state = TraceState::from_key_value([("vendor", "1")]).unwrap();
        SpanContext::new(TraceId::from(7 << 64), SpanId::from(span), TraceFlags::SAMPLED, false, state)
    };
    let kinds = [SpanKind::Internal, SpanKind::Server, SpanKind::Client, SpanKind::Producer, SpanKind::Consumer];
    let statuses = [Status::Unset, Status::Ok, Status::error("boom"), Status::error("")];
    let mut spans = Vec::new();
    for (index, kind) in kinds.into_iter().enumerate() {
        let id = index as u64 + 1;
        let mut span = SpanData::new(context(id), format!("span {id}"), Scope::from(scope()));
        span.parent_span_id = SpanId::from(id - 1);
        span.kind = kind;
        (span.start, span.end) = (time(id), time(id + 2));
        span.own_attributes = attributes();
        span.dropped_attributes = id as u32;
        span.status = statuses[index % statuses.len()].clone();
        for second in 0..3 {
            let mut event = SpanEvent::new("event", time(id + second), attributes());
            event.dropped_attributes = 3;
            // A limit of two leaves one out.
            span.events.push(event, 2);
            span.links.push(Link::new(context(90 + second), attributes(), 0), 2);
        }
        spans.push(span);
    }
    spans.push(SpanData::new(context(50), "", Scope::from(InstrumentationScope::default())));
    spans.into_iter().collect()
}

/// Returns log records of all shapes.
pub(crate) fn records() -> LogChunk {
    // One entry, because maps have no order.
    let map = HashMap::from([(Key::new("a"), AnyValue::Bytes(Box::new(vec![0, 255])))]);
    let nested = AnyValue::ListAny(Box::new(vec![AnyValue::Map(Box::new(map)), AnyValue::Boolean(false)]));
    let bodies = [Some(AnyValue::from("text")), Some(nested), Some(AnyValue::Double(f64::NEG_INFINITY)), None];
    let severities = [Some(Severity::Trace), Some(Severity::Warn2), Some(Severity::Fatal4), None];
    let mut records = Vec::new();
    for (index, (body, severity)) in bodies.into_iter().zip(severities).enumerate() {
        let mut record = SdkLogRecord::new(LogRecordLimits::DEFAULT);
        let at = |seconds: u64| std::time::UNIX_EPOCH + Duration::from_nanos(time(seconds).as_nanos());
        record.set_observed_timestamp(at(index as u64));
        if index % 2 == 0 {
            record.set_timestamp(at(10 + index as u64));
            record.set_target("shop::cart");
            record.set_event_name("cart.emptied");
            record.set_trace_context(TraceId::from(7 << 64), SpanId::from(3), Some(TraceFlags::SAMPLED));
        }
        if let Some(severity) = severity {
            record.set_severity_number(severity);
            record.set_severity_text("TEXT");
        }
        if let Some(body) = body {
            record.set_body(body);
        }
        record.add_attribute("key", "value");
        record.add_attribute("", "without a key");
        records.push(record);
    }
    records.into_iter().collect()
}

/// Returns metrics of all shapes.
pub(crate) fn metrics() -> Vec<ScopeMetrics> {
    let set = || Attributes::new([KeyValue::new("route", "/"), KeyValue::new("code", 200)]);
    let exemplar = || {
        let exemplar = Exemplar::new(0.25, time(2)).in_span(TraceId::from(7 << 64), SpanId::from(3));
        exemplar.with_filtered_attributes(Attributes::new([KeyValue::new("user", "u")]))
    };
    let number = |value: i64| NumberPoint::new(set(), value).at(time(0), time(3)).with_exemplar(exemplar());
    let float = NumberPoint::new(Attributes::empty(), 0.1).at(time(0), time(3));
    let unsigned = NumberPoint::new(Attributes::empty(), u64::MAX).at(time(0), time(3));
    let histogram = HistogramPoint::new(set(), vec![1.0, 2.5], vec![1, 0, 3]).at(time(0), time(3));
    let histogram = histogram.with_sum(9.5).with_extremes(0.5, 4.0).with_exemplar(exemplar());
    let bare = HistogramPoint::new(Attributes::empty(), vec![], vec![2]).at(time(0), time(3));
    let buckets = |offset| Buckets::new(offset, vec![1, 0, 300]);
    let exponential = ExponentialHistogramPoint::new(set(), 3, 2, buckets(-4), buckets(1)).at(time(0), time(3));
    let exponential = exponential.with_sum(-1.0).with_extremes(-8.0, 8.0).with_exemplar(exemplar());
    let sum = |temporality, monotonic, points| MetricData::Sum { points, temporality, monotonic };
    let (cumulative, delta) = (Temporality::Cumulative, Temporality::Delta);
    let metrics = vec![
        Metric::new("orders", sum(cumulative, true, vec![number(3)])).with_unit("{order}").with_description("Orders"),
        Metric::new("delta", sum(delta, true, vec![number(-3)])),
        Metric::new("up_down", sum(cumulative, false, vec![float])),
        Metric::new("large", MetricData::Gauge { points: vec![unsigned] }),
        Metric::new("explicit", MetricData::Histogram { points: vec![histogram], temporality: delta }),
        Metric::new("bare", MetricData::Histogram { points: vec![bare], temporality: cumulative }),
        Metric::new(
            "exponential",
            MetricData::ExponentialHistogram { points: vec![exponential], temporality: cumulative },
        ),
    ];
    vec![ScopeMetrics::new(scope(), metrics)]
}
