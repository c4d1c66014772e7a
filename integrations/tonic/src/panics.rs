//! Records the end of a call whose handler panics, without catching the panic.

use crate::semantics::call::{Call, End};

/// Polls the application, and ends the call if it panics. The caller must have attached the call's context.
pub(crate) fn watched<R>(call: &mut Call, poll: impl FnOnce() -> R) -> R {
    let guard = EndOnPanic(call);
    let result = poll();
    std::mem::forget(guard);
    result
}

/// Ends the call on drop, which happens only during a panic.
struct EndOnPanic<'c>(&'c mut Call);

impl Drop for EndOnPanic<'_> {
    fn drop(&mut self) {
        self.0.end(End::Panicked);
    }
}
