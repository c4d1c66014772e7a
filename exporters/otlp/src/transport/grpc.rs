//! OTLP over gRPC: a unary call over HTTP/2, and what its status means.
//!
//! spec: opentelemetry-proto docs/specification.md#otlpgrpc, gRPC over HTTP2

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, TE};
use http::uri::{Parts, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, Version};
use http_body_util::Full;
use percent_encoding::percent_decode_str;
use telemark_sdk::time::Deadline;
use telemark_sdk::{ExportError, ExportReport, ResponseStatus};

use super::connection::Connection;
use super::protocol::{Failure, headers};
use crate::config::Config;
use crate::endpoint::Endpoint;
use crate::response::{ACCEPTED_ENCODING, PartialSuccess, Status, Undecoded, decode, decode_base64, shown};
use crate::settings::Compression;

/// Before each message: a flag that says whether it is compressed, and its length.
pub(super) const PREFIX: usize = 5;

/// Calls over HTTP/2.
#[derive(Debug)]
pub(crate) struct Grpc {
    pub(super) connection: Connection,
    uri: Uri,
    headers: HeaderMap,
    compressed: bool,
    max_response_size: usize,
}

impl Grpc {
    pub(super) fn new(config: &Config) -> Self {
        let compressed = config.compression == Compression::Gzip;
        let mut headers = headers(config);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(TE, HeaderValue::from_static("trailers"));
        if compressed {
            headers.insert("grpc-encoding", HeaderValue::from_static("gzip"));
        }
        if let Some(accepted) = ACCEPTED_ENCODING {
            headers.insert("grpc-accept-encoding", HeaderValue::from_static(accepted));
        }
        Grpc {
            connection: Connection::new(config),
            uri: uri(&config.endpoint),
            headers,
            compressed,
            max_response_size: config.max_response_size,
        }
    }

    /// Writes the prefix of the message that follows it.
    pub(super) fn frame(&self, message: &mut [u8]) {
        let len = message.len().saturating_sub(PREFIX);
        if let Some((prefix, _)) = message.split_first_chunk_mut::<PREFIX>() {
            // The limit of a request keeps the length within the type.
            let [a, b, c, d] = u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes();
            *prefix = [u8::from(self.compressed), a, b, c, d];
        }
    }

    pub(super) fn send(&mut self, body: Bytes, deadline: Deadline) -> Result<ExportReport, Failure> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        if let Some(remaining) = deadline.remaining() {
            request.headers_mut().insert("grpc-timeout", timeout(remaining));
        }
        let answer = self.connection.exchange(request, PREFIX, deadline)?;
        // The status comes last: without the end there is no answer.
        let body = answer.body.map_err(|error| self.connection.lost(error))?;
        let head = answer.head;
        // A call that fails at once has its status in the only headers there are.
        let trailers = answer.trailers.as_ref().filter(|trailers| trailers.contains_key("grpc-status"));
        let headers = trailers.unwrap_or(&head.headers);
        let code = code(head.status, headers);
        let status = ResponseStatus::Rpc(name(code));
        if code != OK {
            return Err(failure(self.connection.endpoint(), code, head.status, headers).with_response(status));
        }
        let report = match message(header(&head.headers, "grpc-encoding"), body, self.max_response_size) {
            Ok(message) => match PartialSuccess::from_protobuf(&message) {
                Some(partial) => partial.into_report(),
                None => unreadable("not OTLP"),
            },
            Err(Undecoded::TooLarge) => return Err(self.connection.too_large().with_response(status)),
            Err(Undecoded::Unknown(what)) => unreadable(&what),
        };
        Ok(report.with_response(status))
    }
}

const OK: u8 = 0;
const RESOURCE_EXHAUSTED: u8 = 8;
const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The code of the call; without one, that for which the HTTP status stands.
fn code(http: StatusCode, headers: &HeaderMap) -> u8 {
    const UNKNOWN: u8 = 2;
    if let Some(code) = headers.get("grpc-status") {
        let code = code.to_str().ok().and_then(|code| code.parse().ok());
        return code.filter(|&code| usize::from(code) < NAMES.len()).unwrap_or(UNKNOWN);
    }
    // spec: gRPC, HTTP to gRPC status code mapping
    match http.as_u16() {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502 | 503 | 504 => 14,
        _ => UNKNOWN,
    }
}

/// spec: opentelemetry-proto docs/specification.md#failures
fn is_retryable(code: u8, retry_delay: Option<Duration>) -> bool {
    matches!(code, 1 | 4 | 10 | 11 | 14 | 15) || code == RESOURCE_EXHAUSTED && retry_delay.is_some()
}

fn failure(endpoint: &Endpoint, code: u8, http: StatusCode, headers: &HeaderMap) -> Failure {
    let details = headers.get("grpc-status-details-bin").and_then(|value| decode_base64(value.to_str().ok()?));
    let status = details.and_then(|details| Status::from_protobuf(&details)).unwrap_or_default();
    let reason = match headers.get("grpc-message") {
        // spec: gRPC over HTTP2 — what is not encoded as it should be is shown as it is
        Some(message) => shown(&percent_decode_str(&String::from_utf8_lossy(message.as_bytes())).collect::<Vec<_>>()),
        None if headers.contains_key("grpc-status") => shown(status.message.as_bytes()),
        None => {
            let hint = endpoint.port_hint(true);
            let hint = hint.as_deref().unwrap_or(": is the port that of another protocol?");
            format!("HTTP {http} without a gRPC status{hint}")
        }
    };
    let separator = if reason.is_empty() { "" } else { ": " };
    let message = format!("{endpoint} answered {}{separator}{reason}", name(code));
    if is_retryable(code, status.retry_delay) {
        let asked = status.retry_delay.filter(|delay| !delay.is_zero());
        Failure::Transient { error: ExportError::unavailable(message), asked }
    } else {
        Failure::Final(ExportError::rejected(message))
    }
}

fn name(code: u8) -> &'static str {
    NAMES.get(usize::from(code)).copied().unwrap_or("UNKNOWN")
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn unreadable(what: &str) -> ExportReport {
    ExportReport::partial(0, format!("taken, but the answer is {what}"))
}

/// The message in the body of an answer, inflated; empty when there is none.
fn message(encoding: &str, mut body: Vec<u8>, limit: usize) -> Result<Vec<u8>, Undecoded> {
    let Some(&[flag, a, b, c, d]) = body.first_chunk::<PREFIX>() else {
        return if body.is_empty() { Ok(body) } else { Err(Undecoded::Unknown("not OTLP".to_owned())) };
    };
    let message = body.split_off(PREFIX);
    if u32::from_be_bytes([a, b, c, d]) as usize != message.len() {
        return Err(Undecoded::Unknown("not OTLP".to_owned()));
    }
    match flag {
        0 => Ok(message),
        1 => decode(encoding, message, limit),
        _ => Err(Undecoded::Unknown("not OTLP".to_owned())),
    }
}

/// At most eight digits and a unit.
fn timeout(remaining: Duration) -> HeaderValue {
    let millis = remaining.as_millis().max(1);
    let text =
        if millis < 100_000_000 { format!("{millis}m") } else { format!("{}S", remaining.as_secs().min(99_999_999)) };
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("99999999S"))
}

fn uri(endpoint: &Endpoint) -> Uri {
    let mut parts = Parts::default();
    parts.scheme = Some(if endpoint.tls { Scheme::HTTPS } else { Scheme::HTTP });
    parts.authority = Some(endpoint.authority.clone());
    parts.path_and_query = Some(endpoint.path.clone());
    // Fails only when one of the three is missing.
    Uri::from_parts(parts).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_may_pass() {
        let retryable: Vec<_> =
            (0..17).filter(|&code| is_retryable(code, None)).map(|code| NAMES[usize::from(code)]).collect();
        let expected = ["CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"];
        assert_eq!(retryable, expected);
        assert!(is_retryable(RESOURCE_EXHAUSTED, Some(Duration::ZERO)));
    }

    #[test]
    fn timeouts_have_at_most_eight_digits() {
        let check = |remaining, expected: &str| assert_eq!(timeout(remaining), expected);
        check(Duration::ZERO, "1m");
        check(Duration::from_secs(10), "10000m");
        check(Duration::from_secs(99_999), "99999000m");
        check(Duration::from_secs(100_000), "100000S");
        check(Duration::MAX, "99999999S");
    }
}
