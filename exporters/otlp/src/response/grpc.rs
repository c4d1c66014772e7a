//! Reads the response to a gRPC call: its status, and the message after its prefix.
//!
//! spec: gRPC over HTTP2, opentelemetry-proto docs/specification.md#otlpgrpc

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use percent_encoding::percent_decode_str;

use super::encoding::{Undecoded, decode};
use super::reason::shown;
use super::{Secrets, base64, protobuf};

/// The length of a message's prefix, which consists of a compression flag and the message's length.
pub(crate) const PREFIX: usize = 5;

const OK: u8 = 0;
const RESOURCE_EXHAUSTED: u8 = 8;
const OUT_OF_RANGE: u8 = 11;

/// The request length in bytes from which a refusal without a stated reason is attributed to the size. With their default
/// configuration, servers refuse more than 4 MiB.
const SUSPICIOUS: usize = 3 << 20;
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

/// The status of a call.
#[derive(Debug)]
pub(crate) struct CallStatus {
    code: u8,
    /// The reason, shortened and escaped for use in a message, or `None` if the response has no gRPC status.
    pub(crate) reason: Option<String>,
    retry_delay: Option<Duration>,
}

impl CallStatus {
    pub(crate) fn is_ok(&self) -> bool {
        self.code == OK
    }

    /// Returns the name of the code, such as `UNAVAILABLE`.
    pub(crate) fn name(&self) -> &'static str {
        NAMES.get(usize::from(self.code)).copied().unwrap_or("UNKNOWN")
    }

    /// Returns true if the same batch may be accepted later.
    ///
    /// spec: opentelemetry-proto docs/specification.md#failures
    pub(crate) fn is_retryable(&self) -> bool {
        matches!(self.code, 1 | 4 | 10 | 11 | 14 | 15) || self.code == RESOURCE_EXHAUSTED && self.retry_delay.is_some()
    }

    /// Returns true if a message of `len` bytes was refused because of its size.
    ///
    /// gRPC has no separate code for this. grpc-go, grpc-java and servers based on grpc-core return RESOURCE_EXHAUSTED,
    /// which they also use for quotas and overload. tonic returns OUT_OF_RANGE, which OTLP lists as retryable, but sending
    /// the same message again would not help.
    pub(crate) fn is_too_large(&self, len: usize) -> bool {
        let may_be = self.code == OUT_OF_RANGE || self.code == RESOURCE_EXHAUSTED && self.retry_delay.is_none();
        may_be && (len >= SUSPICIOUS || self.reason.as_deref().is_some_and(names_a_size))
    }

    /// Returns the pause that the receiver requests.
    pub(crate) fn pause(&self) -> Option<Duration> {
        self.retry_delay.filter(|delay| !delay.is_zero())
    }
}

/// Reads the status of a call from its trailers, or from its headers if it failed immediately and has no trailers.
pub(crate) fn call_status(http: StatusCode, headers: &HeaderMap, secrets: &Secrets) -> CallStatus {
    let details = headers.get("grpc-status-details-bin").and_then(|value| base64::decode(value.to_str().ok()?));
    let status = details.and_then(|details| protobuf::status(&details)).unwrap_or_default();
    let reason = match headers.get("grpc-message") {
        // spec: gRPC over HTTP2 — a message with invalid escapes is shown unchanged
        Some(message) => {
            let message = String::from_utf8_lossy(message.as_bytes());
            Some(shown(&percent_decode_str(&message).collect::<Vec<_>>(), secrets))
        }
        None if headers.contains_key("grpc-status") => Some(shown(status.message.as_bytes(), secrets)),
        None => None,
    };
    CallStatus { code: code(http, headers), reason, retry_delay: status.retry_delay }
}

/// Returns true if the reason is that a message is too large. Rate limits, such as bytes per second, do not count.
fn names_a_size(reason: &str) -> bool {
    const PHRASES: [&str; 7] =
        ["larger than max", "too large", "too big", "exceeds max", "exceeds the max", "size limit", "message size"];
    let reason = reason.to_ascii_lowercase();
    PHRASES.iter().any(|phrase| reason.contains(phrase)) && !reason.contains("rate")
}

/// Returns the call's status code, or the code that corresponds to the HTTP status if there is none.
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

/// Returns the message in the body of a response, decompressed up to `limit` bytes. An empty body is an empty message.
pub(crate) fn message(encoding: &str, mut body: Vec<u8>, limit: usize) -> Result<Vec<u8>, Undecoded> {
    let not_otlp = || Err(Undecoded::Unknown("not OTLP".to_owned()));
    let Some(&[flag, a, b, c, d]) = body.first_chunk::<PREFIX>() else {
        return if body.is_empty() { Ok(body) } else { not_otlp() };
    };
    let message = body.split_off(PREFIX);
    if u32::from_be_bytes([a, b, c, d]) as usize != message.len() {
        return not_otlp();
    }
    match flag {
        0 => Ok(message),
        1 => decode(encoding, message, limit),
        _ => not_otlp(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transient_codes_are_retried() {
        let is_retryable =
            |code, retry_delay: Option<Duration>| CallStatus { code, reason: None, retry_delay }.is_retryable();
        let retryable: Vec<_> =
            (0..17).filter(|&code| is_retryable(code, None)).map(|code| NAMES[usize::from(code)]).collect();
        let expected = ["CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"];
        assert_eq!(retryable, expected);
        assert!(is_retryable(RESOURCE_EXHAUSTED, Some(Duration::ZERO)));
    }

    #[test]
    fn a_size_is_refused_with_either_code_and_a_reason_or_a_suspicious_length() {
        let status =
            |code, reason: &str, retry_delay| CallStatus { code, reason: Some(reason.to_owned()), retry_delay };
        for reason in [
            "grpc: received message larger than max (5242880 vs. 4194304)",
            "SERVER: Received message larger than max (5242880 vs. 4194304)",
            "gRPC message exceeds maximum size 4194304: 5242880",
            "Received message exceeds the maximum configured message size.",
            "Error, decoded message length too large: found 5242880 bytes, the limit is: 4194304 bytes",
            "Error decompressing: size limit, of 4194304 bytes, exceeded while decompressing message",
        ] {
            for code in [RESOURCE_EXHAUSTED, OUT_OF_RANGE] {
                assert!(status(code, reason, None).is_too_large(100), "{reason}");
            }
            assert!(!status(RESOURCE_EXHAUSTED, reason, Some(Duration::ZERO)).is_too_large(100), "{reason}");
            assert!(!status(14, reason, None).is_too_large(100), "{reason}");
        }
        for reason in ["", "quota", "RATE_LIMITED: ingestion rate limit (4194304 bytes) exceeded: batch too large"] {
            for code in [RESOURCE_EXHAUSTED, OUT_OF_RANGE] {
                assert!(!status(code, reason, None).is_too_large(SUSPICIOUS - 1), "{reason}");
                assert!(status(code, reason, None).is_too_large(4 << 20), "{reason}");
            }
            assert!(!status(14, reason, None).is_too_large(4 << 20), "{reason}");
        }
    }
}
