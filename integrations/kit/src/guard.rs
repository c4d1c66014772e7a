//! The guard around foreign code: tracers, meters, propagators, and the application's extensions.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Calls `run` and returns its result, or `None` if it panicked. Also contains a panic in the destructor of the panic
/// payload.
///
/// Instrumentation must not fail the work that it observes. If `run` panics, values that it has changed stay changed, so
/// pass it only values that remain usable.
#[inline]
pub fn guarded<R>(run: impl FnOnce() -> R) -> Option<R> {
    catch_unwind(AssertUnwindSafe(run)).map_err(discard).ok()
}

#[cold]
fn discard(payload: Box<dyn Any + Send>) {
    if let Err(next) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        // The destructor of this payload may panic as well, and so on indefinitely.
        std::mem::forget(next);
    }
}

/// Calls `run`, and also `panicked` with the value if `run` panics. The panic is not caught.
#[inline]
pub fn watch<T, R>(value: &mut T, run: impl FnOnce() -> R, panicked: fn(&mut T)) -> R {
    let guard = OnPanic { value, panicked };
    let result = run();
    std::mem::forget(guard);
    result
}

/// Calls `panicked` on drop, which happens only during a panic.
struct OnPanic<'v, T> {
    value: &'v mut T,
    panicked: fn(&mut T),
}

impl<T> Drop for OnPanic<'_, T> {
    fn drop(&mut self) {
        (self.panicked)(self.value);
    }
}

/// Locks a mutex and ignores poisoning; use it only if the data is valid at every step.
#[inline]
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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

    #[test]
    fn a_payload_that_panics_when_it_is_dropped_ends_here_too() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                std::panic::panic_any(Bomb);
            }
        }
        assert_eq!(guarded(|| std::panic::panic_any(Bomb)), None::<()>);
    }

    #[test]
    fn a_panic_that_is_watched_goes_on() {
        let mut seen = 0;
        assert_eq!(watch(&mut seen, || 7, |seen| *seen += 1), 7);
        assert_eq!(seen, 0);
        let panicked =
            guarded(|| watch(&mut seen, || std::panic::resume_unwind(Box::new("on purpose")), |seen| *seen += 1));
        assert_eq!((panicked, seen), (None::<()>, 1));
    }

    #[test]
    fn a_lock_survives_a_panic() {
        let mutex = Mutex::new(1);
        guarded(|| {
            *lock(&mutex) += 1;
            let _held = lock(&mutex);
            std::panic::resume_unwind(Box::new("on purpose"))
        });
        assert!(mutex.is_poisoned());
        assert_eq!(*lock(&mutex), 2);
    }
}
