//! The output of @elastic/mockotlpserver, which writes each request as a line of JSON in the shape produced by its gRPC
//! or HTTP decoder.

use serde_json::Value;

pub(crate) use super::mockotlpserver_metrics::parse_points;
use super::span::{Attributes, Event, Link, Span, kind, scope, status};

/// Returns the spans from all complete lines. Lines that are not JSON are log messages from the server and are skipped.
pub(crate) fn parse(output: &str) -> Vec<Span> {
    // The last line may be incomplete.
    let complete = output.rsplit_once('\n').map_or("", |(complete, _)| complete);
    let requests = complete.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    requests.flat_map(|request| spans(&request)).collect()
}

fn spans(request: &Value) -> Vec<Span> {
    let mut spans = Vec::new();
    for of_resource in list(request, "resourceSpans") {
        for of_scope in list(of_resource, "scopeSpans") {
            for json in list(of_scope, "spans") {
                let mut span = span(json);
                span.resource = attributes(&of_resource["resource"]);
                span.scope = scope(text(of_scope, "/scope/name"), text(of_scope, "/scope/version"));
                span.scope_attributes = attributes(&of_scope["scope"]);
                spans.push(span);
            }
        }
    }
    spans
}

fn span(json: &Value) -> Span {
    Span {
        trace_id: text(json, "/traceId").to_lowercase(),
        span_id: text(json, "/spanId").to_lowercase(),
        parent_span_id: text(json, "/parentSpanId").to_lowercase(),
        trace_state: text(json, "/traceState").to_owned(),
        flags: json["flags"].as_u64(),
        name: text(json, "/name").to_owned(),
        kind: kind(text(json, "/kind")),
        start: nanos(&json["startTimeUnixNano"]),
        end: nanos(&json["endTimeUnixNano"]),
        status: status(text(json, "/status/code"), text(json, "/status/message")),
        attributes: attributes(json),
        events: list(json, "events").map(event).collect(),
        links: list(json, "links").map(link).collect(),
        ..Span::default()
    }
}

fn event(json: &Value) -> Event {
    Event { name: text(json, "/name").to_owned(), time: nanos(&json["timeUnixNano"]), attributes: attributes(json) }
}

fn link(json: &Value) -> Link {
    Link {
        trace_id: text(json, "/traceId").to_lowercase(),
        span_id: text(json, "/spanId").to_lowercase(),
        attributes: attributes(json),
    }
}

pub(super) fn list<'a>(json: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    json[key].as_array().into_iter().flatten()
}

pub(super) fn text<'a>(json: &'a Value, pointer: &str) -> &'a str {
    json.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn nanos(json: &Value) -> u64 {
    integer(json).parse().unwrap_or_default()
}

/// Reads a 64-bit number: a string, a number, or the two halves that the HTTP decoder produces.
pub(super) fn integer(json: &Value) -> String {
    if let (Some(low), Some(high)) = (json["low"].as_i64(), json["high"].as_i64()) {
        return (high << 32 | low & 0xffff_ffff).to_string();
    }
    json.as_str().map_or_else(|| json.to_string(), str::to_owned)
}

pub(super) fn attributes(json: &Value) -> Attributes {
    pairs(list(json, "attributes")).collect()
}

pub(super) fn pairs<'a>(list: impl Iterator<Item = &'a Value>) -> impl Iterator<Item = (String, String)> {
    list.map(|pair| (text(pair, "/key").to_owned(), value(&pair["value"])))
}

/// Formats bytes as hexadecimal. Depending on the protocol, the input is an array, the `data` of a buffer, or base64.
pub(super) fn hex(json: &Value) -> String {
    let to_hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    match json.as_array().or_else(|| json["data"].as_array()) {
        Some(bytes) => to_hex(&bytes.iter().filter_map(Value::as_u64).map(|byte| byte as u8).collect::<Vec<_>>()),
        None => to_hex(&base64(json.as_str().unwrap_or_default())),
    }
}

fn base64(text: &str) -> Vec<u8> {
    const SYMBOLS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let symbols = text.chars().filter_map(|symbol| SYMBOLS.find(symbol)).collect::<Vec<_>>();
    let bytes = symbols.chunks(4).flat_map(|chunk| {
        let bits = chunk.iter().fold(0, |bits, symbol| bits << 6 | symbol) << (6 * (4 - chunk.len()));
        (0..chunk.len() - 1).map(move |at| (bits >> (16 - 8 * at)) as u8)
    });
    bytes.collect()
}

/// Formats an attribute value in the common notation.
pub(super) fn value(json: &Value) -> String {
    let Some((kind, value)) = json.as_object().and_then(|object| object.iter().next()) else {
        return "()".to_owned();
    };
    match &**kind {
        "stringValue" => format!("{:?}", value.as_str().unwrap_or_default()),
        "intValue" => integer(value),
        "doubleValue" => match value.as_f64() {
            Some(number) => format!("{number:?}"),
            None => value.as_str().unwrap_or("NaN").to_owned(),
        },
        "bytesValue" => format!("0x{}", hex(value)),
        "arrayValue" => format!("[{}]", list(value, "values").map(self::value).collect::<Vec<_>>().join(", ")),
        "kvlistValue" => {
            let pairs = pairs(list(value, "values")).map(|(key, value)| format!("{key:?}: {value}"));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        }
        _ => value.to_string(),
    }
}
