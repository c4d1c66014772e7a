//! Catches panics in foreign code.

use std::any::Any;
use std::fmt;
use std::ops::{Deref, DerefMut};
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

/// A component of the program, such as a sampler, whose destructor may panic. The panic ends here: neither does it reach the thread
/// that drops the component, nor does it meet the panic of another component's destructor, which would abort the program.
pub(crate) struct Contained<T>(
    /// `None` only while it is dropped.
    Option<T>,
);

impl<T> Contained<T> {
    pub(crate) fn new(component: T) -> Self {
        Contained(Some(component))
    }
}

impl<T> Deref for Contained<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        match &self.0 {
            Some(component) => component,
            None => unreachable!("a component is there until it is dropped"),
        }
    }
}

impl<T> DerefMut for Contained<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        match &mut self.0 {
            Some(component) => component,
            None => unreachable!("a component is there until it is dropped"),
        }
    }
}

impl<T> Drop for Contained<T> {
    fn drop(&mut self) {
        let component = self.0.take();
        // The program's panic hook has already reported a panic.
        let _ = catch(|| drop(component));
    }
}

impl<T: fmt::Debug> fmt::Debug for Contained<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
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
    fn components_that_panic_when_they_are_dropped_are_contained_together() {
        drop([Contained::new(Bomb), Contained::new(Bomb)]);
        // Nor does it matter that the thread is panicking already.
        let bomb = Contained::new(Bomb);
        let panics = move || {
            let _bomb = bomb;
            panic!("the host")
        };
        assert_eq!(catch(panics), Err::<(), _>(Panicked));
    }

    #[test]
    fn a_payload_is_dropped() {
        let payload = std::sync::Arc::new(());
        let thrown = payload.clone();
        assert_eq!(catch(|| std::panic::resume_unwind(Box::new(thrown))), Err::<(), _>(Panicked));
        assert_eq!(std::sync::Arc::strong_count(&payload), 1);
    }
}
