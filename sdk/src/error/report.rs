//! Result of a successful export.

use super::ResponseStatus;

/// Describes how a batch was delivered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExportReport {
    /// Number of items that the receiver rejected while accepting the rest (OTLP partial success).
    pub rejected: u64,
    /// The receiver's reason for rejecting items, or a warning that accompanies a full success.
    pub message: Option<String>,
    /// Number of retries before the batch was accepted.
    pub retries: u32,
    /// Status of the last response, for the SDK's own metrics.
    pub response: Option<ResponseStatus>,
}

impl ExportReport {
    /// Creates a report for a batch that was fully accepted.
    pub fn accepted() -> Self {
        ExportReport::default()
    }

    /// Creates a report for a batch of which the receiver rejected `rejected` items. `message` is the receiver's reason, or
    /// only a warning if `rejected` is zero.
    pub fn partial(rejected: u64, message: impl Into<String>) -> Self {
        ExportReport { rejected, message: Some(message.into()), ..ExportReport::default() }
    }

    /// Sets the number of retries.
    pub fn with_retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// Sets the status of the last response.
    pub fn with_response(mut self, status: ResponseStatus) -> Self {
        self.response = Some(status);
        self
    }
}
