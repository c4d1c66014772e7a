//! Whether this thread has a context still: while it ends, its thread-locals go one by one.

use std::panic::catch_unwind;

use opentelemetry::Context;

thread_local! {
    /// Made after the API's own thread-local, so destroyed before it.
    static SENTINEL: Sentinel = Sentinel {
        // Without a context from the start when the API's is destroyed already.
        has_context: catch_unwind(|| Context::map_current(|_| ())).is_ok(),
    };
}

struct Sentinel {
    has_context: bool,
}

impl Drop for Sentinel {
    /// Being there is what makes the thread-local one that is destroyed.
    fn drop(&mut self) {
        self.has_context = false;
    }
}

/// Whether the API's current context can be used. In a destructor that runs after it is gone, the API panics, and a
/// panic there aborts the program.
#[inline]
pub(super) fn has_context() -> bool {
    SENTINEL.try_with(|sentinel| sentinel.has_context).unwrap_or(false)
}
