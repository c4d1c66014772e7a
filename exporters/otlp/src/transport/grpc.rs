//! OTLP over gRPC: a unary call over HTTP/2, and the verdict in its status.
//!
//! spec: opentelemetry-proto docs/specification.md#otlpgrpc, gRPC over HTTP2

use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_TYPE, TE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, Version};
use telemark_sdk::time::Deadline;
use telemark_sdk::{ExportError, ExportReport, ResponseStatus};

use super::connection::Connection;
use super::failure::Failure;
use super::request::{Headers, header, uri};
use crate::config::Config;
use crate::endpoint::Endpoint;
use crate::response::{
    ACCEPTED_ENCODING, CallStatus, GRPC_PREFIX, Undecoded, call_status, grpc_message, partial_success_of_protobuf,
    unreadable,
};
use crate::settings::Compression;

const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

/// Calls over HTTP/2.
#[derive(Debug)]
pub(crate) struct Grpc {
    pub(super) connection: Connection,
    uri: Uri,
    pub(super) headers: Headers,
    compressed: bool,
    max_response_size: usize,
}

impl Grpc {
    pub(super) fn new(config: &Config) -> Self {
        let compressed = config.compression == Compression::Gzip;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(TE, HeaderValue::from_static("trailers"));
        if compressed {
            headers.insert(GRPC_ENCODING, HeaderValue::from_static("gzip"));
        }
        if let Some(accepted) = ACCEPTED_ENCODING {
            headers.insert("grpc-accept-encoding", HeaderValue::from_static(accepted));
        }
        Grpc {
            connection: Connection::new(config),
            uri: uri(&config.endpoint),
            headers: Headers::new(config, headers),
            compressed,
            max_response_size: config.max_response_size,
        }
    }

    /// Writes the message's prefix: a compression flag and the length.
    pub(super) fn frame(&self, message: &mut [u8]) {
        let len = message.len().saturating_sub(GRPC_PREFIX);
        if let Some((prefix, _)) = message.split_first_chunk_mut::<GRPC_PREFIX>() {
            // The request limit keeps the length within 32 bits.
            let [a, b, c, d] = u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes();
            *prefix = [u8::from(self.compressed), a, b, c, d];
        }
    }

    /// Sends a call. `len` is the message's length before or after compression, whichever is larger.
    pub(super) fn send(&mut self, body: Arc<Vec<u8>>, len: usize, deadline: Deadline) -> Result<ExportReport, Failure> {
        let headers = self.headers.current(&mut self.connection, deadline)?.clone();
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = headers;
        if let Some(remaining) = deadline.remaining() {
            request.headers_mut().insert("grpc-timeout", timeout(remaining));
        }
        let response = self.connection.exchange(request, GRPC_PREFIX, deadline)?;
        // The status is at the end, so an incomplete response is useless.
        let body = response.body.map_err(|error| self.connection.peer.lost(error))?;
        let headers = response.headers;
        // A call that fails immediately has no trailers, and its status is in the headers.
        let trailers = response.trailers.as_ref().filter(|trailers| trailers.contains_key("grpc-status"));
        let call = call_status(response.status, trailers.unwrap_or(&headers), self.connection.peer.secrets());
        let status = ResponseStatus::Rpc(call.name());
        if !call.is_ok() {
            return Err(failure(&self.connection.peer.endpoint, response.status, call, len).with_response(status));
        }
        let report = match grpc_message(header(&headers, GRPC_ENCODING), body, self.max_response_size) {
            Ok(message) => match partial_success_of_protobuf(&message) {
                Some(partial) => partial.into_report(self.connection.peer.secrets()),
                None => unreadable("not OTLP"),
            },
            Err(Undecoded::TooLarge) => return Err(self.connection.peer.too_large().with_response(status)),
            Err(Undecoded::Unknown(description)) => unreadable(&description),
        };
        Ok(report.with_response(status))
    }
}

fn failure(endpoint: &Endpoint, http: StatusCode, status: CallStatus, len: usize) -> Failure {
    let name = status.name();
    let is_too_large = http == StatusCode::PAYLOAD_TOO_LARGE || status.is_too_large(len);
    let (is_retryable, asked) = (status.is_retryable(), status.pause());
    let reason = status.reason.unwrap_or_else(|| {
        let hint = endpoint.port_hint(true);
        let hint = hint.as_deref().unwrap_or(": is the port that of another protocol?");
        format!("HTTP {http} without a gRPC status{hint}")
    });
    let separator = if reason.is_empty() { "" } else { ": " };
    let message = format!("{endpoint} answered {name}{separator}{reason}");
    if is_too_large {
        Failure::TooLarge(ExportError::too_large(message))
    } else if is_retryable {
        Failure::Transient { error: ExportError::unavailable(message), asked }
    } else {
        Failure::Final(ExportError::rejected(message))
    }
}

/// Formats a timeout for `grpc-timeout`: at most eight digits and a unit.
fn timeout(remaining: Duration) -> HeaderValue {
    let millis = remaining.as_millis().max(1);
    let text =
        if millis < 100_000_000 { format!("{millis}m") } else { format!("{}S", remaining.as_secs().min(99_999_999)) };
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("99999999S"))
}

#[cfg(test)]
mod tests {
    use super::*;

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
