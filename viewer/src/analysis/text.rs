//! The words of findings: attributes as text, and durations as people say them.

use crate::model::{Attribute, Span, Status, Value};

/// Returns the attribute as text, if it is a string or a number and not empty.
pub(super) fn attribute(attributes: &[Attribute], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| &*attribute.key == key)?;
    match &found.value {
        Value::String(text) if !text.is_empty() => Some(text.to_string()),
        Value::Int(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Returns the first of the attributes that is there.
pub(super) fn first_attribute(span: &Span, keys: &[&str]) -> Option<String> {
    keys.iter().find_map(|key| attribute(&span.attributes, key))
}

/// Returns the code with which a call failed: of the database, of HTTP, of gRPC.
pub(super) fn code(span: &Span) -> Option<String> {
    first_attribute(
        span,
        &["db.response.status_code", "http.response.status_code", "rpc.status_code", "rpc.response.status_code"],
    )
}

/// Returns what a failed span says about its failure: its status, else its exception, else the type of the error.
pub(super) fn failure(span: &Span) -> String {
    let status = match &span.status {
        Status::Error(message) if !message.is_empty() => Some(message.to_string()),
        _ => None,
    };
    let exception = || {
        let mut exceptions = span.events.iter().rev().filter(|event| &*event.name == "exception");
        exceptions.find_map(|event| {
            attribute(&event.attributes, "exception.message").or_else(|| attribute(&event.attributes, "exception.type"))
        })
    };
    let message = status.or_else(exception).or_else(|| first_attribute(span, &["error.message", "error.type"]));
    let message = message.map(|message| first_line(&message));
    match (message, code(span)) {
        (Some(message), Some(code)) if !message.contains(&code) => format!("{message} ({code})"),
        (Some(message), _) => message,
        (None, Some(code)) => format!("status {code}"),
        (None, None) => "no message".to_owned(),
    }
}

/// The length at which a message is cut, in characters.
const LINE: usize = 200;

/// Returns the first line of `text`, cut at a length that fits a banner.
fn first_line(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    match line.char_indices().nth(LINE) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

/// Returns a duration with three significant digits, such as "842 ms" or "1.04 s".
pub(super) fn duration(nanoseconds: u64) -> String {
    let (value, unit) = match nanoseconds {
        0..1_000 => return format!("{nanoseconds} ns"),
        1_000..999_500 => (nanoseconds as f64 / 1e3, "µs"),
        999_500..999_500_000 => (nanoseconds as f64 / 1e6, "ms"),
        _ => (nanoseconds as f64 / 1e9, "s"),
    };
    let digits = match value {
        _ if value < 9.995 => 2,
        _ if value < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {unit}")
}

/// Returns "1 call" or "3 calls".
pub(super) fn count(number: usize, thing: &str) -> String {
    match number {
        1 => format!("1 {thing}"),
        _ => format!("{number} {thing}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{With, span};
    use super::*;

    #[test]
    fn durations_have_three_digits() {
        let said: Vec<_> = [0, 999, 1_000, 14_000_000, 842_000_000, 999_499_999, 1_040_000_000, 3_600_000_000_000]
            .map(duration)
            .into();
        assert_eq!(said, ["0 ns", "999 ns", "1.00 µs", "14.0 ms", "842 ms", "999 ms", "1.04 s", "3600 s"]);
    }

    #[test]
    fn a_failure_is_described_by_the_best_that_the_span_has() {
        let failed = span(1, 0, "a", 0, 1);
        assert_eq!(failure(&failed.clone().error("")), "no message");
        assert_eq!(failure(&failed.clone().error("").attribute("http.response.status_code", 503)), "status 503");
        assert_eq!(failure(&failed.clone().error("").attribute("error.type", "timeout")), "timeout");
        assert_eq!(failure(&failed.clone().error("").exception("no space")), "no space");
        let deadlock =
            failed.clone().error("deadlock detected\nDETAIL: x").attribute("db.response.status_code", "40P01");
        assert_eq!(failure(&deadlock), "deadlock detected (40P01)");
        assert_eq!(failure(&failed.error(&"ä".repeat(300))).chars().count(), LINE + 1);
    }
}
