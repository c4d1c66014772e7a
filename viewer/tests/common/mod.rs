//! Samples of telemetry, and a small client of the viewer.
#![allow(dead_code, clippy::unwrap_used, clippy::panic, clippy::too_many_arguments, reason = "helpers of tests")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;
use telemark_sdk::testing::ManualClock;
use telemark_serve::bind;
use telemark_viewer::model::{Attribute, Dropped, Kind, Record, Resource, Scope, Span, SpanId, Status, TraceId, Value};
use telemark_viewer::{Limits, Store, Viewer};

/// The time of the manual clock, in nanoseconds.
pub(crate) const NOW: u64 = 1_700_000_000_000_000_000;
pub(crate) const MS: u64 = 1_000_000;

pub(crate) fn store(bytes: usize) -> Arc<Store> {
    Store::new(Limits::default().with_bytes(bytes).with_clock(ManualClock::new().clock()))
}

pub(crate) fn start(store: &Arc<Store>) -> Viewer {
    Viewer::builder(store.clone()).start(bind("127.0.0.1", 0).unwrap()).unwrap()
}

pub(crate) fn attribute(store: &Store, key: &str, value: Value) -> Attribute {
    Attribute { key: store.interner().text(key), value }
}

pub(crate) fn text(value: &str) -> Value {
    Value::String(value.into())
}

pub(crate) fn resource(store: &Store, service: &str) -> Arc<Resource> {
    let attributes = Box::new([attribute(store, "service.name", text(service))]);
    store.interner().resource(Resource { service: store.interner().text(service), attributes })
}

pub(crate) fn scope(store: &Store) -> Arc<Scope> {
    let names = store.interner();
    names.scope(Scope { name: names.text("test"), version: names.text("1"), attributes: Box::default() })
}

/// A span that starts at `start` ms and takes `length` ms.
pub(crate) fn span(
    store: &Store,
    service: &str,
    trace: u128,
    id: u64,
    parent: u64,
    name: &str,
    start: u64,
    length: u64,
) -> Span {
    Span {
        trace_id: TraceId(trace),
        span_id: SpanId(id),
        parent: SpanId(parent),
        name: store.interner().text(name),
        kind: Kind::Internal,
        start: NOW + start * MS,
        end: NOW + (start + length) * MS,
        status: Status::Unset,
        trace_state: store.interner().text(""),
        attributes: Box::default(),
        events: Box::default(),
        links: Box::default(),
        dropped: Dropped::default(),
        resource: resource(store, service),
        scope: scope(store),
    }
}

pub(crate) fn record(store: &Store, trace: u128, span: u64, severity: u8, at: u64, body: &str) -> Record {
    Record {
        time: NOW + at * MS,
        severity,
        severity_text: store.interner().text(""),
        body: text(body),
        event_name: store.interner().text(""),
        trace_id: TraceId(trace),
        span_id: SpanId(span),
        attributes: Box::default(),
        dropped_attributes: 0,
        resource: resource(store, "shop"),
        scope: scope(store),
    }
}

pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: String,
    pub(crate) body: String,
}

impl Response {
    pub(crate) fn json(&self) -> Json {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

pub(crate) fn send(viewer: &Viewer, head: &str, body: &str) -> Response {
    let mut stream = TcpStream::connect(viewer.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    stream.write_all(format!("{head}\r\nConnection: close\r\n{length}\r\n{body}").as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    let (headers, body) = response.split_once("\r\n\r\n").unwrap();
    let status = headers.split(' ').nth(1).unwrap().parse().unwrap();
    Response { status, headers: headers.to_ascii_lowercase(), body: body.to_owned() }
}

pub(crate) fn request(viewer: &Viewer, target: &str) -> Response {
    send(viewer, &format!("GET {target} HTTP/1.1\r\nHost: localhost"), "")
}

pub(crate) fn get(viewer: &Viewer, target: &str) -> Json {
    let response = request(viewer, target);
    assert_eq!(response.status, 200, "{target}: {}", response.body);
    response.json()
}

pub(crate) fn post(viewer: &Viewer, body: &Json) -> Response {
    send(viewer, "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json", &body.to_string())
}
