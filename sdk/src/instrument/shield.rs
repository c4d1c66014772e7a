//! Shields the program from user code: a panic in an attribute, a condition or an error's `Display` loses telemetry
//! but does not interrupt the call.

use crate::error::catch;

/// Runs `work`. Returns `None` if it panics.
#[inline]
pub(super) fn shielded<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch(work).ok()
}
