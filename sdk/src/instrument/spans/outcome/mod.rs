//! Turns the return value of a function into the outcome of its span.
//!
//! | file | owns |
//! |---|---|
//! | `described` | the description and name of an error, selected by the traits its type implements |
//! | `chain` | the description of an error and its causes |
//! | `error_type` | [`ErrorType`] and the names of errors |
//! | `record` | [`RecordError`]: the errors that [`record_error`](super::record_error) accepts |

mod chain;
mod described;
mod error_type;
mod record;

use std::fmt::{self, Write as _};

pub(super) use chain::Description;
pub(in crate::instrument) use chain::describe;
pub use described::Described;
pub use error_type::ErrorType;
pub use record::RecordError;

use crate::instrument::shield::shielded;

/// A return value that may be an error.
#[diagnostic::on_unimplemented(
    message = "`#[traced]` records errors of a `Result`, and `{Self}` is not one",
    label = "this is not a `Result`",
    note = "leave out `err` and `err_if`: `#[traced]` finds the error of a `Result` by itself"
)]
pub trait Fallible<T, E> {
    /// Returns the success value.
    fn value(&self) -> Option<&T>;
    /// Returns the error.
    fn error(&self) -> Option<&E>;
}

// Type parameters rather than associated types, so that a return type other than `Result` produces one error message
// instead of two.
#[diagnostic::do_not_recommend]
impl<T, E> Fallible<T, E> for Result<T, E> {
    fn value(&self) -> Option<&T> {
        self.as_ref().ok()
    }

    fn error(&self) -> Option<&E> {
        self.as_ref().err()
    }
}

/// Returns true if this `Err` is an error according to `err_if`. A panic in the condition counts as true, because a false
/// error on a span does less harm than a hidden failure.
#[inline]
pub fn is_failure<E>(error: &E, err_if: impl FnOnce(&E) -> bool) -> bool {
    shielded(|| err_if(error)).unwrap_or(true)
}

/// Formats a value. If its own formatting fails or panics, keeps the text written so far.
pub(in crate::instrument) fn text(arguments: fmt::Arguments<'_>) -> String {
    let mut text = String::new();
    let _ = shielded(|| text.write_fmt(arguments));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_that_panics_counts_as_an_error() {
        assert!(is_failure(&1, |n| *n == 1));
        assert!(!is_failure(&1, |n| *n == 2));
        assert!(is_failure(&1, |_| panic!("in err_if")));
    }
}
