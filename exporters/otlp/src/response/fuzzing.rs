//! The response readers, for fuzz targets. Hidden and not covered by semantic versioning.

use http::{HeaderMap, StatusCode};

use super::{Secrets, base64, decode, grpc, json, protobuf, reason};

/// The limit of a decompressed body.
pub const MAX_SIZE: usize = 64 * 1024;

/// Reads an HTTP response body in every format. Returns all text that would appear in an error message.
pub fn http(content_type: &str, encoding: &str, body: &[u8]) -> Vec<String> {
    let mut shown = Vec::new();
    let body = match decode(encoding, body.to_vec(), MAX_SIZE) {
        Ok(body) => body,
        Err(undecoded) => {
            shown.push(format!("{undecoded:?}"));
            body.to_vec()
        }
    };
    let partial_successes = [json::partial_success(&body, "rejectedSpans"), protobuf::partial_success(&body)];
    for partial in partial_successes.into_iter().flatten() {
        shown.extend(partial.into_report(&Secrets::default()).message);
    }
    shown.push(reason(content_type, &body, &Secrets::default()));
    shown
}

/// Reads the status of a gRPC call and returns the text that would appear in an error message.
pub fn grpc_status(status: StatusCode, headers: &HeaderMap) -> String {
    let call = grpc::call_status(status, headers, &Secrets::default());
    format!("{} {} {}", call.name(), call.is_retryable(), call.reason.unwrap_or_default())
}

/// Reads the body of a gRPC response, which is a prefix and a message. Returns the length of the decompressed message.
pub fn grpc_message(encoding: &str, body: &[u8]) -> Option<usize> {
    let message = grpc::message(encoding, body.to_vec(), MAX_SIZE).ok()?;
    let _ = protobuf::partial_success(&message);
    Some(message.len())
}

/// Decodes base64 as used in gRPC's binary header.
pub fn base64(text: &str) -> Option<Vec<u8>> {
    base64::decode(text)
}

/// Reads a `google.rpc.Status`. Returns the length of its message field in bytes.
pub fn status_message(bytes: &[u8]) -> Option<usize> {
    protobuf::status(bytes).map(|status| status.message.len())
}
