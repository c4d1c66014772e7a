//! The facts read from a response, the same in every format.

use std::time::Duration;

use telemark_sdk::{ExportReport, text};

use super::Secrets;

/// The response to an accepted batch, the same for every signal.
///
/// spec: opentelemetry-proto docs/specification.md#partial-success
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PartialSuccess {
    pub(crate) rejected: u64,
    pub(crate) message: String,
}

impl PartialSuccess {
    pub(crate) fn into_report(self, secrets: &Secrets) -> ExportReport {
        match self {
            PartialSuccess { rejected: 0, message } if message.is_empty() => ExportReport::accepted(),
            PartialSuccess { rejected, message } => {
                ExportReport::partial(rejected, text::foreign(&secrets.hide(message.as_bytes())).to_string())
            }
        }
    }
}

/// Returns the report for an accepted batch whose response is not OTLP, as described by `description`.
pub(crate) fn unreadable(description: &str) -> ExportReport {
    ExportReport::partial(0, format!("accepted, but the response is {description}"))
}

/// A `google.rpc.Status`, the body of a rejection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) message: String,
    /// The delay from a `google.rpc.RetryInfo` among the details.
    pub(crate) retry_delay: Option<Duration>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_of_a_partial_success_is_short_and_harmless() {
        let long = PartialSuccess { rejected: 1, message: format!("\u{1b}[31m{}", "x".repeat(5000)) };
        let message = long.into_report(&Secrets::default()).message.unwrap();
        assert!(message.starts_with(r"\u{1b}[31mxxx") && message.len() < 600, "{message}");
    }
}
