//! OTLP over HTTP: paths, content types, compression, and status codes.
//!
//! spec: opentelemetry-proto docs/specification.md#otlphttp

use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use hyper::body::Incoming;

use super::body::{NotReceived, Receiving};
use super::compression::{ACCEPTED, Compression, Refused};
use super::status::{self, Code};
use super::{Encoding, Malformed, Signal, decode};
use crate::store::Store;

/// A response that is not an export's.
struct Refusal {
    status: StatusCode,
    code: Code,
    message: &'static str,
}

const fn refusal(status: StatusCode, code: Code, message: &'static str) -> Refusal {
    Refusal { status, code, message }
}

/// Responds to a request.
pub(super) async fn respond(head: &Parts, body: Incoming, receiving: &Receiving, store: &Store) -> Response<Vec<u8>> {
    let encoding = encoding(head);
    match export(head, encoding, body, receiving, store).await {
        Ok(body) => response(StatusCode::OK, encoding.unwrap_or(Encoding::Protobuf), body),
        Err(Refusal { status, code, message }) => {
            // A request of an unknown type gets a status that a person can read.
            let encoding = encoding.unwrap_or(Encoding::Json);
            let mut response = response(status, encoding, status::status(encoding, code, message));
            let headers = response.headers_mut();
            match status {
                StatusCode::METHOD_NOT_ALLOWED => {
                    headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
                }
                StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(ACCEPTED));
                }
                StatusCode::SERVICE_UNAVAILABLE => {
                    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
                }
                // The body has not been read.
                StatusCode::PAYLOAD_TOO_LARGE => {
                    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
                }
                _ => {}
            }
            response
        }
    }
}

async fn export(
    head: &Parts,
    encoding: Option<Encoding>,
    body: Incoming,
    receiving: &Receiving,
    store: &Store,
) -> Result<Vec<u8>, Refusal> {
    let signal = signal(head.uri.path()).ok_or(refusal(
        StatusCode::NOT_FOUND,
        Code::Unimplemented,
        "the paths are /v1/traces, /v1/logs and /v1/metrics",
    ))?;
    if head.method != Method::POST {
        return Err(refusal(StatusCode::METHOD_NOT_ALLOWED, Code::Unimplemented, "only POST is allowed"));
    }
    let encoding = encoding.ok_or(refusal(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Code::InvalidArgument,
        "the content type must be application/x-protobuf or application/json",
    ))?;
    let compression = head
        .headers
        .get(header::CONTENT_ENCODING)
        .map_or(Some(Compression::Identity), |value| Compression::named(value.as_bytes()));
    let compression = compression.ok_or(refusal(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Code::InvalidArgument,
        "the content encoding must be gzip, deflate or identity",
    ))?;
    let body = receiving.receive(body).await.map_err(|error| match error {
        NotReceived::TooLarge => TOO_LARGE,
        NotReceived::Busy => {
            refusal(StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable, "other requests take too much memory")
        }
        NotReceived::Incomplete => {
            refusal(StatusCode::BAD_REQUEST, Code::InvalidArgument, "the body did not arrive completely")
        }
    })?;
    let body = compression.decompress(&body.bytes).map_err(|error| match error {
        Refused::TooLarge => TOO_LARGE,
        Refused::Malformed => {
            refusal(StatusCode::BAD_REQUEST, Code::InvalidArgument, "the body does not follow its content encoding")
        }
    })?;
    match decode(encoding, signal, &body, store) {
        Ok(rejected) => Ok(status::exported(encoding, signal, rejected)),
        Err(Malformed(why)) => Err(refusal(StatusCode::BAD_REQUEST, Code::InvalidArgument, why)),
    }
}

const TOO_LARGE: Refusal =
    refusal(StatusCode::PAYLOAD_TOO_LARGE, Code::ResourceExhausted, "a request may have up to 64 MiB");

fn signal(path: &str) -> Option<Signal> {
    match path {
        "/v1/traces" => Some(Signal::Traces),
        "/v1/logs" => Some(Signal::Logs),
        "/v1/metrics" => Some(Signal::Metrics),
        _ => None,
    }
}

fn encoding(head: &Parts) -> Option<Encoding> {
    let value = head.headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let essence = value.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/x-protobuf") {
        Some(Encoding::Protobuf)
    } else if essence.eq_ignore_ascii_case("application/json") {
        Some(Encoding::Json)
    } else {
        None
    }
}

fn response(status: StatusCode, encoding: Encoding, body: Vec<u8>) -> Response<Vec<u8>> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let content_type = match encoding {
        Encoding::Protobuf => "application/x-protobuf",
        Encoding::Json => "application/json",
    };
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
