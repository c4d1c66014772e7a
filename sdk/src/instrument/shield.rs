//! The shield around user code: a panic in an attribute, an error's `Display` or a condition costs telemetry, not the call.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `work`. Returns `None` if it panics.
#[inline]
pub(super) fn shielded<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}
