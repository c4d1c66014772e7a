//! What an answer comes down to: a partial success, or the reason of a refusal.

use std::time::Duration;

use telemark_sdk::ExportReport;

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
            PartialSuccess { rejected, message } => ExportReport::partial(rejected, message),
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

/// The reason of a refusal from a body of any kind, short enough for a message.
pub(crate) fn reason(content_type: &str, body: &[u8]) -> String {
    const LONGEST: usize = 200;
    let found = if content_type.starts_with("application/x-protobuf") {
        Status::from_protobuf(body).map(|status| status.message)
    } else if content_type.starts_with("application/json") {
        std::str::from_utf8(body).ok().and_then(super::json::message)
    } else {
        None
    };
    let text = found.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
    let printable = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST);
    printable.collect::<String>().trim().to_owned()
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
        check("text/plain", b" no\r\nroute \xff", "no  route \u{fffd}");
        check("", b"", "");
        assert_eq!(reason("text/html", &[b'x'; 5000]).len(), 200);
    }
}
