//! What an answer comes down to: a partial success, or the reason of a refusal.

use std::time::Duration;

use telemark_sdk::{ExportReport, text};

/// The answer to a batch that was taken, the same for every signal.
///
/// spec: opentelemetry-proto docs/specification.md#partial-success
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PartialSuccess {
    pub(crate) rejected: u64,
    pub(crate) message: String,
}

impl PartialSuccess {
    /// Reads the protobuf response; `None` when it is none.
    pub(crate) fn from_protobuf(bytes: &[u8]) -> Option<Self> {
        super::protobuf::partial_success(bytes)
    }

    /// Reads the JSON response, in which the number of refused items has the name `rejected`.
    pub(crate) fn from_json(bytes: &[u8], rejected: &str) -> Option<Self> {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Some(PartialSuccess::default());
        }
        super::json::partial_success(std::str::from_utf8(bytes).ok()?, rejected)
    }

    pub(crate) fn into_report(self) -> ExportReport {
        match self {
            PartialSuccess { rejected: 0, message } if message.is_empty() => ExportReport::accepted(),
            PartialSuccess { rejected, message } => {
                ExportReport::partial(rejected, text::foreign(&message).to_string())
            }
        }
    }
}

/// A `google.rpc.Status`, the body of a refusal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) message: String,
    /// From a `google.rpc.RetryInfo` among the details.
    pub(crate) retry_delay: Option<Duration>,
}

impl Status {
    pub(crate) fn from_protobuf(bytes: &[u8]) -> Option<Self> {
        super::protobuf::status(bytes)
    }
}

/// The type of a body, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MediaType {
    Protobuf,
    Json,
    Other,
}

impl MediaType {
    /// Reads a `Content-Type`, whose names have no case and which may have parameters.
    ///
    /// spec: RFC 9110, 8.3.1
    pub(crate) fn of(content_type: &str) -> Self {
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

/// The reason of a refusal from a body of any kind, short and harmless enough for a message.
pub(crate) fn reason(content_type: &str, body: &[u8]) -> String {
    let found = match MediaType::of(content_type) {
        MediaType::Protobuf => Status::from_protobuf(body).map(|status| status.message),
        MediaType::Json => std::str::from_utf8(body).ok().and_then(super::json::message),
        MediaType::Other => None,
    };
    let text = found.as_ref().map_or(body, |message| message.as_bytes());
    shown(text.trim_ascii())
}

/// What is shown of a reason.
pub(crate) fn shown(reason: &[u8]) -> String {
    const LONGEST: usize = 200;
    text::foreign(reason).cut_at(LONGEST).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons() {
        let check = |content_type, body: &[u8], expected| assert_eq!(reason(content_type, body), expected);
        check("application/x-protobuf", b"\x08\x03\x12\x04nope", "nope");
        check("application/json", br#"{"code":3,"message":"nope"}"#, "nope");
        check("application/json", b"{broken", "{broken");
        check("text/plain", b" no\r\nroute \xff", r"no\r\nroute \xff");
        check("text/plain", b"\x1b[2Jgone", r"\u{1b}[2Jgone");
        check("", b"", "");
        assert!(reason("text/html", &[b'x'; 5000]).len() < 210);
    }

    #[test]
    fn media_types_have_no_case_and_may_have_parameters() {
        let check = |content_type, expected| assert_eq!(MediaType::of(content_type), expected, "{content_type}");
        check("application/json", MediaType::Json);
        check("Application/JSON", MediaType::Json);
        check("application/json; charset=utf-8", MediaType::Json);
        check(" APPLICATION/JSON ;charset=UTF-8", MediaType::Json);
        check("Application/X-Protobuf", MediaType::Protobuf);
        check("application/jsonp", MediaType::Other);
        check("", MediaType::Other);
    }

    #[test]
    fn what_a_receiver_says_about_a_batch_is_short_and_harmless() {
        let long = PartialSuccess { rejected: 1, message: format!("\u{1b}[31m{}", "x".repeat(5000)) };
        let message = long.into_report().message.unwrap();
        assert!(message.starts_with(r"\u{1b}[31mxxx") && message.len() < 600, "{message}");
    }
}
