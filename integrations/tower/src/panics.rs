//! The end of a request whose handler panics: recorded, not caught.

use telemark_http::{End, RequestSpan};

/// Runs a poll of the application, and ends the request if it panics. The caller has attached the span's context.
pub(crate) fn watched<R>(span: &mut RequestSpan, poll: impl FnOnce() -> R) -> R {
    let guard = EndOnPanic(span);
    let result = poll();
    std::mem::forget(guard);
    result
}

/// Ends the request when it is dropped, which happens only in a panic.
struct EndOnPanic<'s>(&'s mut RequestSpan);

impl Drop for EndOnPanic<'_> {
    fn drop(&mut self) {
        self.0.end(End::Panicked);
    }
}
