//! A lock for critical sections that last a few nanoseconds.

use super::{AtomicBool, Ordering};

/// A spin lock for critical sections that last a few nanoseconds. It costs half as much as a mutex, because unlocking
/// is a plain store. In return, waiting threads have to poll.
pub(crate) struct Latch(AtomicBool);

/// Keeps the latch closed until this value is dropped.
pub(crate) struct Closed<'a>(&'a Latch);

impl Latch {
    pub(crate) fn new() -> Self {
        Latch(AtomicBool::new(false))
    }

    /// Closes the latch if it is open.
    #[inline(always)]
    pub(crate) fn try_close(&self) -> Option<Closed<'_>> {
        let closed = self.0.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed);
        closed.is_ok().then(|| Closed(self))
    }

    /// Waits until the latch is open, then closes it.
    pub(crate) fn close(&self) -> Closed<'_> {
        let mut waits = 0;
        loop {
            if let Some(closed) = self.try_close() {
                return closed;
            }
            pause(waits);
            waits += 1;
        }
    }
}

impl Drop for Closed<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        self.0.0.store(false, Ordering::Release);
    }
}

/// Pauses before the next attempt to close the latch. `waits` is the number of previous calls.
#[cfg(not(loom))]
pub(crate) fn pause(waits: u32) {
    match waits {
        ..64 => std::hint::spin_loop(),
        64..128 => std::thread::yield_now(),
        // The thread that holds the latch has probably been preempted, and may have a lower priority.
        _ => std::thread::sleep(std::time::Duration::from_micros(50)),
    }
}

#[cfg(loom)]
pub(crate) fn pause(_: u32) {
    loom::thread::yield_now();
}
