//! The guard around foreign code: tracers, meters, propagators, and what an application plugs in.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls `run` and returns its result; `None` if it panicked.
///
/// Instrumentation must not fail the work it observes. Values that `run` has changed when it panics stay changed, so give it
/// only what remains usable then.
#[inline]
pub fn guarded<R>(run: impl FnOnce() -> R) -> Option<R> {
    catch_unwind(AssertUnwindSafe(run)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_ends_here() {
        assert_eq!(guarded(|| 7), Some(7));
        let mut done = 0;
        let panicked = guarded(|| {
            done += 1;
            std::panic::resume_unwind(Box::new("on purpose"))
        });
        assert_eq!((panicked, done), (None::<()>, 1));
    }
}
