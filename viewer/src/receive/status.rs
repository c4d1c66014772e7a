//! The bodies of responses: `google.rpc.Status`, and the response of an export with its partial success.

use serde_json::json;

use super::{Encoding, Signal};

/// The gRPC status codes of responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    InvalidArgument = 3,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Unavailable = 14,
}

/// Encodes a `google.rpc.Status`.
///
/// spec: opentelemetry-proto docs/specification.md#failures-1
pub(super) fn status(encoding: Encoding, code: Code, message: &str) -> Vec<u8> {
    match encoding {
        Encoding::Json => json!({"code": code as u8, "message": message}).to_string().into_bytes(),
        Encoding::Protobuf => {
            let mut out = vec![0x08, code as u8];
            text(&mut out, 2, message);
            out
        }
    }
}

/// Encodes the response of an export that refused this number of items.
///
/// spec: opentelemetry-proto docs/specification.md#partial-success
pub(super) fn exported(encoding: Encoding, signal: Signal, rejected: u64) -> Vec<u8> {
    let (name, why) = match signal {
        Signal::Traces => (
            "rejectedSpans",
            "spans need a trace id and a span id, and less than 16 MiB; resources and scopes, less than 1 MiB",
        ),
        Signal::Logs => {
            ("rejectedLogRecords", "log records need less than 16 MiB; resources and scopes, less than 1 MiB")
        }
        Signal::Metrics => {
            ("rejectedDataPoints", "metrics need less than 16 MiB; resources and scopes, less than 1 MiB")
        }
    };
    match (encoding, rejected) {
        (Encoding::Json, 0) => b"{}".to_vec(),
        (Encoding::Protobuf, 0) => Vec::new(),
        (Encoding::Json, rejected) => {
            json!({"partialSuccess": {name: rejected.to_string(), "errorMessage": why}}).to_string().into_bytes()
        }
        (Encoding::Protobuf, rejected) => {
            let mut partial = vec![0x08];
            varint(&mut partial, rejected);
            text(&mut partial, 2, why);
            let mut out = vec![0x0a];
            varint(&mut out, partial.len() as u64);
            out.extend(partial);
            out
        }
    }
}

fn text(out: &mut Vec<u8>, number: u8, text: &str) {
    out.push(number << 3 | 2);
    varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
