//! Distinguishes a forked child from the process that started the work.
//!
//! `fork` copies all memory but only the calling thread. The SDK's threads do not exist in the child, and a lock that
//! another thread held during the fork stays locked in the child forever. A value that depends on a thread therefore
//! stores its [`Generation`], and does not wait or take locks in any later generation.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LockResult, OnceLock, PoisonError, TryLockError, TryLockResult};

use super::system;

/// Number of forks between the first process that watched for them and the current process.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// Identifies the process that created a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Generation(u32);

impl Generation {
    /// Returns the generation of this process, and starts watching for forks.
    pub(crate) fn current() -> Self {
        static WATCHED: OnceLock<()> = OnceLock::new();
        WATCHED.get_or_init(|| system::watch_forks(in_child));
        Generation(FORKS.load(Ordering::Relaxed))
    }

    /// Returns a generation that is past, as in a forked child.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn elsewhere() -> Self {
        Generation(u32::MAX)
    }

    /// Returns true in a child that was forked after this generation was taken.
    #[inline]
    pub(crate) fn is_past(self) -> bool {
        FORKS.load(Ordering::Relaxed) != self.0
    }
}

/// Returns true in a forked child of a process that watched for forks. In such a child, a lock may stay locked forever.
fn is_forked_child() -> bool {
    FORKS.load(Ordering::Relaxed) != 0
}

/// Waits for a lock after a first attempt has failed, or returns `None` in a forked child, in which the lock may stay locked
/// forever. Ignores poisoning.
pub(crate) fn unless_stuck<G>(attempt: TryLockResult<G>, wait: impl FnOnce() -> LockResult<G>) -> Option<G> {
    match attempt {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) if is_forked_child() => None,
        Err(TryLockError::WouldBlock) => Some(wait().unwrap_or_else(PoisonError::into_inner)),
    }
}

/// A value for each process: the process that watches for forks, its forked children, their children and so on. Meant for a table
/// behind a lock, which a thread that does not exist in the child may have held during the fork. The child starts with another
/// table, up to seven forks deep.
#[derive(Debug)]
pub struct PerProcess<T>([T; PLACES]);

/// The number of values. A process that is more than seven forks away from the first one has the table of its parent, as it was
/// during the fork.
const PLACES: usize = 8;

impl<T> PerProcess<T> {
    /// The number of values that [`Self::new`] takes.
    pub const PLACES: usize = PLACES;

    /// Creates the values of all processes.
    pub const fn new(values: [T; PLACES]) -> Self {
        PerProcess(values)
    }

    /// Returns the value of this process.
    pub fn get(&self) -> &T {
        let forks = FORKS.load(Ordering::Relaxed) as usize;
        &self.0[forks.min(PLACES - 1)]
    }
}

/// Hooks registered with [`after_fork`].
static HOOKS: [OnceLock<fn()>; 4] = [const { OnceLock::new() }; 4];

/// Calls `hook` in every forked child, on its only thread, before `fork` returns there. The hook must be async-signal-safe:
/// it may use atomics and plain thread-locals, but must not lock or allocate. Adding a hook twice has no further effect.
pub(crate) fn after_fork(hook: fn()) {
    let _ = Generation::current();
    for place in &HOOKS {
        if *place.get_or_init(|| hook) as usize == hook as usize {
            return;
        }
    }
}

extern "C" fn in_child() {
    FORKS.fetch_add(1, Ordering::Relaxed);
    for hook in HOOKS.iter().filter_map(OnceLock::get) {
        hook();
    }
}
