//! The shield around user code: a panic in an attribute, an error's `Display` or a condition costs telemetry, not the call.

use crate::error::catch;

/// Runs `work`. Returns `None` if it panics.
#[inline]
pub(super) fn shielded<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch(work).ok()
}
