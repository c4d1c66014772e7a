//! Records the end of a request whose handler panics, without catching the panic.

use telemark_http::{End, RequestSpan};

/// Polls the application, and ends the request if it panics. The caller must have attached the span's context.
pub(crate) fn watched<R>(span: &mut RequestSpan, poll: impl FnOnce() -> R) -> R {
    let guard = EndOnPanic(span);
    let result = poll();
    std::mem::forget(guard);
    result
}

/// Ends the request on drop, which happens only during a panic.
struct EndOnPanic<'s>(&'s mut RequestSpan);

impl Drop for EndOnPanic<'_> {
    fn drop(&mut self) {
        self.0.end(End::Panicked);
    }
}
