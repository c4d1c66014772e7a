//! Catches panics in foreign code.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Marks a caught panic. The payload has been dropped.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Panicked;

/// Runs `work`, which is or calls foreign code, and catches any panic.
///
/// The panic payload is a value from the code that panicked, so its destructor may panic as well. The payload is
/// dropped here, so that no part of it reaches the caller.
#[doc(hidden)]
#[inline]
pub fn catch<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(discard)
}

#[cold]
fn discard(payload: Box<dyn Any + Send>) -> Panicked {
    if let Err(next) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        // The new payload's destructor could panic as well, and so on, so the payload is leaked.
        std::mem::forget(next);
    }
    Panicked
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            std::panic::panic_any(Bomb);
        }
    }

    #[test]
    fn a_payload_that_panics_when_it_is_dropped_is_contained() {
        assert_eq!(catch(|| 7), Ok(7));
        assert_eq!(catch(|| std::panic::panic_any(Bomb)), Err::<(), _>(Panicked));
    }

    #[test]
    fn a_payload_is_dropped() {
        let payload = std::sync::Arc::new(());
        let thrown = payload.clone();
        assert_eq!(catch(|| std::panic::resume_unwind(Box::new(thrown))), Err::<(), _>(Panicked));
        assert_eq!(std::sync::Arc::strong_count(&payload), 1);
    }
}
