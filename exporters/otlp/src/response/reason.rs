//! The reason for a rejection, as text for a message.

use telemark_sdk::text;

use super::{Secrets, json, protobuf};

/// The media type of a body: one that can be decoded, or any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MediaType {
    Protobuf,
    Json,
    Other,
}

impl MediaType {
    /// Reads a `Content-Type`. Names are case-insensitive, and parameters may follow.
    ///
    /// spec: RFC 9110, 8.3.1
    pub(crate) fn parse(content_type: &str) -> Self {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let is = |name: &str| essence.eq_ignore_ascii_case(name);
        if is("application/x-protobuf") || is("application/protobuf") {
            MediaType::Protobuf
        } else if is("application/json") {
            MediaType::Json
        } else {
            MediaType::Other
        }
    }
}

/// Returns the reason from a body of any media type, shortened and escaped for use in a message.
pub(crate) fn reason(content_type: &str, body: &[u8], secrets: &Secrets) -> String {
    let found = match MediaType::parse(content_type) {
        MediaType::Protobuf => protobuf::status(body).map(|status| status.message),
        MediaType::Json => std::str::from_utf8(body).ok().and_then(json::message),
        MediaType::Other => None,
    };
    let text = found.as_ref().map_or(body, |message| message.as_bytes());
    shown(text.trim_ascii(), secrets)
}

/// Shortens and escapes a reason, and hides secrets in it.
pub(super) fn shown(reason: &[u8], secrets: &Secrets) -> String {
    const MAX_REASON: usize = 200;
    text::foreign(&secrets.hide(reason)).cut_at(MAX_REASON).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons() {
        let check =
            |content_type, body: &[u8], expected| assert_eq!(reason(content_type, body, &Secrets::default()), expected);
        check("application/x-protobuf", b"\x08\x03\x12\x04nope", "nope");
        check("application/json", br#"{"code":3,"message":"nope"}"#, "nope");
        check("application/json", b"{broken", "{broken");
        check("text/plain", b" no\r\nroute \xff", r"no\r\nroute \xff");
        check("text/plain", b"\x1b[2Jgone", r"\u{1b}[2Jgone");
        check("", b"", "");
        assert!(reason("text/html", &[b'x'; 5000], &Secrets::default()).len() < 210);
    }

    #[test]
    fn media_types_ignore_case_and_parameters() {
        let check = |content_type, expected| assert_eq!(MediaType::parse(content_type), expected, "{content_type}");
        check("application/json", MediaType::Json);
        check("Application/JSON", MediaType::Json);
        check("application/json; charset=utf-8", MediaType::Json);
        check(" APPLICATION/JSON ;charset=UTF-8", MediaType::Json);
        check("Application/X-Protobuf", MediaType::Protobuf);
        check("application/jsonp", MediaType::Other);
        check("", MediaType::Other);
    }
}
