//! Describes an error for a log record with the same rules as for a span.

use super::spans::RecordError;
use crate::logs::Exception;

impl Exception {
    /// Describes an error: its type, and its message with those of its causes.
    pub fn for_error<Kind>(error: &(impl RecordError<Kind> + ?Sized)) -> Self {
        let (message, error_type) = error.described();
        Exception::new(error_type, &*message)
    }
}
