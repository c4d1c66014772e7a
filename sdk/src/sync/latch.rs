//! A lock for what takes a few nanoseconds.

use super::{AtomicBool, Ordering};

/// A lock for what takes a few nanoseconds. It costs half of a mutex, for letting go is a plain store: whoever waits for it
/// has to look again and again.
pub(crate) struct Latch(AtomicBool);

/// The latch is closed until this is dropped.
pub(crate) struct Closed<'a>(&'a Latch);

impl Latch {
    pub(crate) fn new() -> Self {
        Latch(AtomicBool::new(false))
    }

    /// Closes it unless somebody has.
    #[inline(always)]
    pub(crate) fn try_close(&self) -> Option<Closed<'_>> {
        let closed = self.0.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed);
        closed.is_ok().then(|| Closed(self))
    }

    /// Closes it when nobody has it closed any more.
    pub(crate) fn close(&self) -> Closed<'_> {
        let mut waits = 0;
        loop {
            if let Some(closed) = self.try_close() {
                return closed;
            }
            wait(waits);
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

#[cfg(not(loom))]
fn wait(waits: u32) {
    match waits {
        ..64 => std::hint::spin_loop(),
        64..128 => std::thread::yield_now(),
        // Whoever has it closed is not running, and may be of a lower priority.
        _ => std::thread::sleep(std::time::Duration::from_micros(50)),
    }
}

#[cfg(loom)]
fn wait(_: u32) {
    loom::thread::yield_now();
}
