//! The locks and atomics of the queue and the clock, in one place so that loom can replace them.
//!
//! A panic in user code never poisons the SDK: [`lock`] hands out the value whatever happened to its last holder.

#[cfg(loom)]
pub(crate) use loom::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence},
};
#[cfg(not(loom))]
pub(crate) use std::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence},
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
