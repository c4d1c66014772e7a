//! Result of a successful export.

use super::{ExportError, Kind, ResponseStatus};

/// Describes how all or part of a batch was delivered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExportReport {
    /// Number of items that the receiver rejected although it accepted the rest of the batch (OTLP partial success).
    pub rejected: u64,
    /// The receiver's reason for rejecting items, or a warning that accompanies a full success.
    pub message: Option<String>,
    /// Number of retries before the batch was accepted.
    pub retries: u32,
    /// Status of the last response, for the SDK's own metrics.
    pub response: Option<ResponseStatus>,
    /// Numbers of items that were not delivered, indexed like [`ExportError::TYPES`].
    failed: [u64; ExportError::TYPES.len()],
    /// The first error that prevented items from being delivered.
    failure: Option<(Kind, String)>,
}

impl ExportReport {
    /// Creates a report for a batch that was fully accepted.
    pub fn accepted() -> Self {
        ExportReport::default()
    }

    /// Creates a report for a batch in which the receiver rejected `rejected` items. `message` is the receiver's
    /// reason, or only a warning if `rejected` is zero.
    pub fn partial(rejected: u64, message: impl Into<String>) -> Self {
        ExportReport { rejected, message: Some(message.into()), ..ExportReport::default() }
    }

    /// Adds `items` that were not delivered, although other items of the batch were, together with the reason. Ignores
    /// the number of retries in `error`. The items of several calls are added up.
    pub fn with_failed(mut self, items: u64, error: &ExportError) -> Self {
        let failed = &mut self.failed[error.type_index()];
        *failed = failed.saturating_add(items);
        self.failure.get_or_insert_with(|| (error.kind, error.to_string()));
        self
    }

    /// Returns the number of items that were not delivered.
    pub fn failed(&self) -> u64 {
        self.failed.iter().fold(0, |sum, failed| sum.saturating_add(*failed))
    }

    /// Returns the numbers of items that were not delivered, indexed like [`ExportError::TYPES`].
    pub(crate) fn failed_by_type(&self) -> &[u64] {
        &self.failed
    }

    /// Returns the first error that prevented items from being delivered.
    pub(crate) fn failure(&self) -> Option<ExportError> {
        let (kind, message) = self.failure.as_ref()?;
        Some(ExportError { items: Some(self.failed()), ..ExportError::new(*kind, message.clone()) })
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
