//! Locks that no panic poisons: every critical section of the SDK leaves its value consistent at each step.

use std::sync::{LockResult, PoisonError, TryLockError, TryLockResult};

use super::{Mutex, MutexGuard};

/// Locks, ignoring poison.
#[inline]
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    unpoisoned(mutex.lock())
}

/// Locks, ignoring poison, unless another thread holds the lock.
#[inline]
pub(crate) fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    free(mutex.try_lock())
}

/// Returns the guard of any lock or condition variable, ignoring poison: for those of `std`, which loom does not replace.
#[inline]
pub(crate) fn unpoisoned<G>(guard: LockResult<G>) -> G {
    guard.unwrap_or_else(PoisonError::into_inner)
}

/// Returns the guard of any lock that is free, ignoring poison.
#[inline]
pub(crate) fn free<G>(guard: TryLockResult<G>) -> Option<G> {
    match guard {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}
