//! Responses to OTLP exports: bodies in protobuf or JSON, compressed or not, and the status of a gRPC call.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use telemark_otlp::fuzzing;
use telemark_sdk::text::is_harmful;

/// Every response must be read within its bounds, and every string for a message must be harmless and short.
///
/// The input consists of header lines, a blank line, and the body. The header `status` is the HTTP status.
pub(crate) fn otlp(input: &[u8]) {
    let (head, body) = match input.windows(2).position(|pair| pair == b"\n\n") {
        Some(at) => (&input[..at], &input[at + 2..]),
        None => (&[][..], input),
    };
    let headers = headers(head);
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let status = StatusCode::from_bytes(header("status").as_bytes()).unwrap_or_default();

    for text in fuzzing::http(header("content-type"), header("content-encoding"), body) {
        check_shown(&text);
    }
    check_shown(&fuzzing::grpc_status(status, &headers));
    if let Some(len) = fuzzing::grpc_message(header("grpc-encoding"), body) {
        assert!(len <= body.len().max(fuzzing::MAX_SIZE), "{} bytes became {len}", body.len());
    }
    if let Some(len) = fuzzing::status_message(body) {
        // An invalid byte becomes a replacement character of three bytes.
        assert!(len <= 3 * body.len(), "{} bytes became {len}", body.len());
    }
    if let Some(decoded) = std::str::from_utf8(body).ok().and_then(fuzzing::base64) {
        assert!(decoded.len() <= body.len() * 3 / 4, "{} symbols became {} bytes", body.len(), decoded.len());
    }
}

fn headers(head: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in head.split(|byte| *byte == b'\n') {
        let Some(at) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (HeaderName::from_bytes(&line[..at]), HeaderValue::from_bytes(line[at + 1..].trim_ascii()));
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.insert(name, value);
        }
    }
    headers
}

fn check_shown(text: &str) {
    assert!(!text.chars().any(is_harmful), "{text:?} is shown");
    assert!(text.len() <= 1024, "{} bytes are shown", text.len());
}
