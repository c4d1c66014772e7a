//! The locks and atomics of the queue and the clock, in one place so that loom can replace them.
//!
//! A panic in user code never poisons the SDK: [`lock`] hands out the value whatever happened to its last holder.

#[cfg(loom)]
pub(crate) use loom::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence},
};
#[cfg(not(loom))]
pub(crate) use std::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence},
};

/// Locks, ignoring poison: every critical section of the SDK leaves its value consistent at each step.
#[inline]
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Locks if nobody holds the lock just now.
#[inline]
pub(crate) fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(std::sync::TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(std::sync::TryLockError::WouldBlock) => None,
    }
}

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

/// A number for the calling thread, small and stable, which no other thread ever has.
#[inline]
pub(crate) fn thread_index() -> usize {
    use std::cell::Cell;

    static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    thread_local! {
        // Without a destructor: it can be read while the thread's other values are being destroyed.
        static INDEX: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    INDEX.with(|index| match index.get() {
        usize::MAX => {
            let new = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            index.set(new);
            new
        }
        known => known,
    })
}
