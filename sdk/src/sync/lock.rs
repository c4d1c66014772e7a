//! Locks that ignore poisoning: every critical section in the SDK keeps its value consistent at each step.

use std::sync::{LockResult, PoisonError, TryLockError, TryLockResult};

use super::{Mutex, MutexGuard};

/// Locks the mutex, ignoring poison.
#[inline]
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    unpoisoned(mutex.lock())
}

/// Locks the mutex, ignoring poison, or returns `None` if it is already locked.
#[inline]
pub(crate) fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    free(mutex.try_lock())
}

/// Returns the guard of any lock or condition variable, ignoring poison. Meant for the `std` types that loom does not
/// replace.
#[inline]
pub(crate) fn unpoisoned<G>(guard: LockResult<G>) -> G {
    guard.unwrap_or_else(PoisonError::into_inner)
}

/// Returns the guard of a lock attempt, ignoring poison, or `None` if the lock is held.
#[inline]
pub fn free<G>(guard: TryLockResult<G>) -> Option<G> {
    match guard {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}
