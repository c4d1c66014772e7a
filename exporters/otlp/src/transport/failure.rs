//! The failure of one request, and whether a retry may help.

use std::time::Duration;

use telemark_sdk::{ExportError, ResponseStatus};

/// The failure of one request.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The receiver will never accept this request.
    Final(ExportError),
    /// The request was too large. Smaller ones may be accepted.
    TooLarge(ExportError),
    /// A retry may help. `asked` is the pause that the receiver requests.
    Transient { error: ExportError, asked: Option<Duration> },
    /// The deadline passed before a response arrived.
    Timeout(ExportError),
}

impl Failure {
    pub(super) fn transient(error: ExportError) -> Self {
        Failure::Transient { error, asked: None }
    }

    /// Adds the status of the response.
    pub(super) fn with_response(self, status: ResponseStatus) -> Self {
        match self {
            Failure::Final(error) => Failure::Final(error.with_response(status)),
            Failure::TooLarge(error) => Failure::TooLarge(error.with_response(status)),
            Failure::Transient { error, asked } => Failure::Transient { error: error.with_response(status), asked },
            Failure::Timeout(error) => Failure::Timeout(error),
        }
    }
}
