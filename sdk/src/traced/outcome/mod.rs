//! Turns what a function returns into the outcome of its span.
//!
//! | file | owns |
//! |---|---|
//! | `described` | picks, by the traits of an error's type, how it is described and named |
//! | `chain` | the description: an error and its causes |
//! | `error_type` | [`ErrorType`] and the names of errors |
//! | `record` | [`RecordError`]: the errors that [`record_error`](super::record_error) takes |

mod chain;
mod described;
mod error_type;
mod record;

use std::fmt::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};

pub(super) use chain::bounded;
pub use described::Described;
pub use error_type::ErrorType;
pub use record::RecordError;

/// A function's return value that may be an error.
#[diagnostic::on_unimplemented(
    message = "`#[traced]` records errors of a `Result`, and `{Self}` is not one",
    label = "this is not a `Result`",
    note = "leave out `err` and `err_if`: `#[traced]` finds the error of a `Result` by itself"
)]
pub trait Fallible<T, E> {
    /// The success.
    fn value(&self) -> Option<&T>;
    /// The error.
    fn error(&self) -> Option<&E>;
}

// Parameters and not associated types: a return type that is no `Result` then gets one message and not two.
#[diagnostic::do_not_recommend]
impl<T, E> Fallible<T, E> for Result<T, E> {
    fn value(&self) -> Option<&T> {
        self.as_ref().ok()
    }

    fn error(&self) -> Option<&E> {
        self.as_ref().err()
    }
}

/// Returns true if `err_if` calls this error an error. A panic in it counts as yes: better a span too red than a failure
/// that nobody sees.
#[inline]
pub fn is_failure<E>(error: &E, err_if: impl FnOnce(&E) -> bool) -> bool {
    catch_unwind(AssertUnwindSafe(|| err_if(error))).unwrap_or(true)
}

/// Formats without hurting the caller: keeps what was written before the value's own formatting failed or panicked.
pub(super) fn text(arguments: fmt::Arguments<'_>) -> String {
    let mut text = String::new();
    let _ = catch_unwind(AssertUnwindSafe(|| text.write_fmt(arguments)));
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
