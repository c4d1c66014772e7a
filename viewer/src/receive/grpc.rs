//! OTLP over gRPC: methods, messages, and status codes. Exports are unary calls, so a request is one message.
//!
//! spec: opentelemetry-proto docs/specification.md#otlpgrpc, grpc/doc/PROTOCOL-HTTP2.md

use std::borrow::Cow;

use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method, Response};
use hyper::body::Incoming;

use super::body::{NotReceived, Receiving};
use super::compression::{Compression, Refused};
use super::status::{self, Code};
use super::{Encoding, Malformed, Signal, decode};
use crate::store::Store;

/// The number of bytes before a message: a flag, and the length.
const PREFIX: usize = 5;

/// A status that is not OK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failure(Code, &'static str);

/// Returns true if the request is a gRPC call.
pub(super) fn is_call(head: &Parts) -> bool {
    let value = head.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    value.starts_with(b"application/grpc") && head.method == Method::POST
}

/// Responds to a call. Returns the response with the body's trailers, if there is a body.
pub(super) async fn respond(
    head: &Parts,
    body: Incoming,
    receiving: &Receiving,
    store: &Store,
) -> (Response<Vec<u8>>, Option<HeaderMap>) {
    let result = export(head, body, receiving, store).await;
    let mut response = Response::new(Vec::new());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-accept-encoding", HeaderValue::from_static("identity,gzip,deflate"));
    match result {
        Ok(message) => {
            let body = response.body_mut();
            body.push(0);
            body.extend_from_slice(&(message.len() as u32).to_be_bytes());
            body.extend(message);
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            (response, Some(trailers))
        }
        Err(Failure(code, message)) => {
            // Without a message, the headers are the trailers.
            headers.insert("grpc-status", HeaderValue::from(code as u16));
            headers.insert("grpc-message", HeaderValue::from_static(message));
            (response, None)
        }
    }
}

async fn export(head: &Parts, body: Incoming, receiving: &Receiving, store: &Store) -> Result<Vec<u8>, Failure> {
    let signal = signal(head.uri.path()).ok_or(Failure(Code::Unimplemented, "the method is none of OTLP"))?;
    let compression = match head.headers.get("grpc-encoding") {
        None => Compression::Identity,
        Some(name) => Compression::named(name.as_bytes())
            .ok_or(Failure(Code::Unimplemented, "the message must be compressed with gzip or deflate"))?,
    };
    let body = receiving.receive(body).await.map_err(|error| match error {
        NotReceived::TooLarge => TOO_LARGE,
        NotReceived::Busy => Failure(Code::Unavailable, "other requests take too much memory"),
        NotReceived::Incomplete => Failure(Code::InvalidArgument, "the message did not arrive completely"),
    })?;
    let message = message(&body.bytes, compression)?;
    match decode(Encoding::Protobuf, signal, &message, store) {
        Ok(rejected) => Ok(status::exported(Encoding::Protobuf, signal, rejected)),
        Err(Malformed(why)) => Err(Failure(Code::InvalidArgument, why)),
    }
}

const TOO_LARGE: Failure = Failure(Code::ResourceExhausted, "a message may have up to 64 MiB");

/// Returns the only message of a body.
pub(super) fn message(body: &[u8], compression: Compression) -> Result<Cow<'_, [u8]>, Failure> {
    let (prefix, message) =
        body.split_at_checked(PREFIX).ok_or(Failure(Code::InvalidArgument, "the call has no message"))?;
    let (flag, length) = match *prefix {
        [flag, a, b, c, d] => (flag, u32::from_be_bytes([a, b, c, d])),
        _ => return Err(Failure(Code::InvalidArgument, "the call has no message")),
    };
    if u64::from(length) != message.len() as u64 {
        return Err(Failure(Code::InvalidArgument, "the call does not have exactly one message"));
    }
    let compression = match flag {
        0 => Compression::Identity,
        1 => compression,
        _ => return Err(Failure(Code::InvalidArgument, "the flags of the message are unknown")),
    };
    compression.decompress(message).map_err(|error| match error {
        Refused::TooLarge => TOO_LARGE,
        Refused::Malformed => Failure(Code::InvalidArgument, "the message does not follow its compression"),
    })
}

fn signal(path: &str) -> Option<Signal> {
    match path {
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => Some(Signal::Traces),
        "/opentelemetry.proto.collector.logs.v1.LogsService/Export" => Some(Signal::Logs),
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export" => Some(Signal::Metrics),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_has_exactly_one_message() {
        let read = |body: &[u8]| message(body, Compression::Gzip).map(Cow::into_owned).map_err(|Failure(_, why)| why);
        assert_eq!(read(&[0, 0, 0, 0, 2, 7, 8]), Ok(vec![7, 8]));
        assert_eq!(read(&[0, 0, 0, 0, 0]), Ok(vec![]));
        assert_eq!(read(&[0, 0, 0, 0]), Err("the call has no message"));
        for body in [&[0, 0, 0, 0, 1][..], &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[0, 255, 255, 255, 255, 1]] {
            assert_eq!(read(body), Err("the call does not have exactly one message"));
        }
        assert_eq!(read(&[2, 0, 0, 0, 0]), Err("the flags of the message are unknown"));
        assert_eq!(read(&[1, 0, 0, 0, 1, 9]), Err("the message does not follow its compression"));
    }
}
