//! Shields the program from user code: a panic in an attribute, a condition or an error's `Display` loses telemetry
//! but does not interrupt the call.

use super::spans::open::OpenSpan;
use crate::error::catch;

/// Runs `work`. Returns `None` if it panics.
#[inline]
pub(super) fn shielded<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch(work).ok()
}

/// Records an output on a span. With a `dyn Fn` in its place, the compiler would make two more functions for each closure.
pub(super) trait Record<T: ?Sized> {
    /// Records the output.
    fn record(&self, span: &OpenSpan, output: &T);
}

impl<T: ?Sized, R: Fn(&OpenSpan, &T)> Record<T> for R {
    #[inline]
    fn record(&self, span: &OpenSpan, output: &T) {
        self(span, output);
    }
}

/// Records an output on a span. Compiled once for each type of output.
pub(super) fn record<T>(record: &dyn Record<T>, span: &OpenSpan, output: &T) {
    shielded(|| record.record(span, output));
}
