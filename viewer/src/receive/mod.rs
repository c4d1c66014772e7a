//! Receives OTLP over gRPC and HTTP and adds it to the store.
//!
//! ```text
//! connection ─▶ server ─▶ body, bounded ─▶ grpc ─┐
//!                                     └──▶ http ─┴▶ compression ─▶ protobuf or json ─▶ Sink ─▶ Store
//! ```
//!
//! | file | owns |
//! |---|---|
//! | `server` | listeners, connections, and their number and patience |
//! | `origins` | web pages that send, and CORS |
//! | `body` | reading the bodies of requests within limits |
//! | `http` | OTLP/HTTP: paths, content types, status codes |
//! | `grpc` | OTLP/gRPC: methods, messages, status codes |
//! | `compression` | gzip and deflate, within limits |
//! | `protobuf`, `json` | the encodings |
//! | `status` | `google.rpc.Status` and the response of an export |
//! | `sink` | the way to the store |

mod body;
mod compression;
mod grpc;
mod http;
mod json;
mod origins;
mod protobuf;
mod server;
mod sink;
mod status;

pub(crate) use json::{decode as decode_json, signal_of};
pub use server::Receiver;
pub(crate) use sink::Sink;

use std::fmt;

use crate::model::Kind;
use crate::store::Store;

/// The maximum size of a request in bytes, both as sent and without compression.
pub(crate) const MAX_REQUEST: usize = 64 << 20;
/// The maximum number of points in a metric of the store. A metric with more points is added in parts.
const MAX_POINTS: usize = 4096;

/// A signal, which a request has one of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    Traces,
    Logs,
    Metrics,
}

/// An encoding of requests and responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Protobuf,
    Json,
}

/// The error of a request that does not follow its encoding, with the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Decodes a request into the store. Returns the number of items that were refused.
fn decode(encoding: Encoding, signal: Signal, request: &[u8], store: &Store) -> Result<u64, Malformed> {
    let sink = Sink::new(store);
    match encoding {
        Encoding::Protobuf => protobuf::decode(signal, request, sink),
        Encoding::Json => json::decode(signal, request, sink),
    }
}

/// Returns the span kind with this number. An unspecified kind counts as internal.
///
/// spec: opentelemetry-proto trace.proto, `SpanKind`
fn kind_of(number: u64) -> Kind {
    match number {
        2 => Kind::Server,
        3 => Kind::Client,
        4 => Kind::Producer,
        5 => Kind::Consumer,
        _ => Kind::Internal,
    }
}

/// Returns the severity, or 0 for numbers that the specification does not define.
fn severity_of(number: u64) -> u8 {
    u8::try_from(number).ok().filter(|number| *number <= 24).unwrap_or(0)
}

/// Decodes untrusted requests, for this repository's fuzz targets.
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing {
    use super::{Encoding, Signal, decode};
    use crate::store::Store;

    /// Decodes a request of this signal (0 to 2) in this encoding. Returns true if it is well-formed.
    pub fn decode_request(signal: u8, is_json: bool, request: &[u8], store: &Store) -> bool {
        let signal = [Signal::Traces, Signal::Logs, Signal::Metrics][usize::from(signal % 3)];
        let encoding = if is_json { Encoding::Json } else { Encoding::Protobuf };
        decode(encoding, signal, request, store).is_ok()
    }

    /// Decompresses a body. Returns its size, or `None` if it is refused.
    pub fn decompress(encoding: &str, body: &[u8]) -> Option<usize> {
        let encoding = super::compression::Compression::named(encoding.as_bytes())?;
        encoding.decompress(body).ok().map(|body| body.len())
    }

    /// Reads a gRPC message and decodes it. Returns true if it is well-formed.
    pub fn grpc_message(body: &[u8]) -> bool {
        super::grpc::message(body, super::compression::Compression::Gzip).is_ok()
    }
}
