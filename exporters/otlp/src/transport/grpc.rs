//! OTLP over gRPC: a unary call over HTTP/2, and what its status means.
//!
//! spec: opentelemetry-proto docs/specification.md#otlpgrpc, gRPC over HTTP2

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, TE};
use http::uri::{Parts, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, Version};
use http_body_util::Full;
use telemark_sdk::time::Deadline;
use telemark_sdk::{ExportError, ExportReport};

use super::connection::{Connection, Unread, read, too_large};
use super::protocol::{Failure, headers};
use crate::answer::{PartialSuccess, Status, decode_base64};
use crate::config::{Compression, Config};
use crate::endpoint::Endpoint;
use telemark_sdk::config::percent_decode;

/// Whether the message is compressed, and its length.
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

    pub(super) async fn send(&mut self, body: Bytes, deadline: Deadline) -> Result<ExportReport, Failure> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        if let Some(remaining) = deadline.remaining() {
            request.headers_mut().insert("grpc-timeout", timeout(remaining));
        }
        let response = self.connection.send(request, deadline).await?;
        let (head, body) = response.into_parts();
        let (body, trailers) = match read(body, self.max_response_size.saturating_add(PREFIX)).await {
            Ok(read) => read,
            Err(Unread::TooLarge) => {
                self.connection.close();
                return Err(too_large(self.connection.endpoint(), self.max_response_size));
            }
            // The status comes last: without the end there is no answer.
            Err(Unread::Broken(error)) => {
                self.connection.close();
                return Err(self.connection.lost(error));
            }
        };
        // A call that fails at once has its status in the only headers there are.
        let status = trailers.as_ref().filter(|trailers| trailers.contains_key("grpc-status")).unwrap_or(&head.headers);
        match code(head.status, status) {
            OK => Ok(report(&body)),
            code => Err(failure(self.connection.endpoint(), code, head.status, status)),
        }
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
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let details = text("grpc-status-details-bin").and_then(decode_base64);
    let status = details.and_then(|details| Status::from_protobuf(&details)).unwrap_or_default();
    let reason = match text("grpc-message") {
        Some(message) => percent_decode(message).unwrap_or_else(|| message.to_owned()),
        None if headers.contains_key("grpc-status") => status.message,
        None => format!("HTTP {http} without a gRPC status: is the port that of another protocol?"),
    };
    let reason: String = reason.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect();
    let separator = if reason.is_empty() { "" } else { ": " };
    let name = NAMES.get(usize::from(code)).copied().unwrap_or("UNKNOWN");
    let message = format!("{endpoint} answered {name}{separator}{reason}");
    if is_retryable(code, status.retry_delay) {
        let asked = status.retry_delay.filter(|delay| !delay.is_zero());
        Failure::Transient { error: ExportError::unavailable(message), asked }
    } else {
        Failure::Final(ExportError::rejected(message))
    }
}

fn report(body: &[u8]) -> ExportReport {
    let message = match body.split_first_chunk::<PREFIX>() {
        Some(([0, len @ ..], message)) if u32::from_be_bytes(*len) as usize == message.len() => Some(message),
        // An answer without a message: nothing to say.
        None if body.is_empty() => Some(body),
        _ => None,
    };
    match message.and_then(PartialSuccess::from_protobuf) {
        Some(partial) => partial.into_report(),
        None => ExportReport::partial(0, "taken, but the answer is not OTLP"),
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
