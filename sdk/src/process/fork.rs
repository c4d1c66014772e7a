//! Distinguishes a forked child from the process that started the work.
//!
//! `fork` copies all memory but only the calling thread. The SDK's threads do not exist in the child, and a lock that
//! another thread held during the fork stays locked in the child forever. A value that depends on a thread therefore
//! stores its [`Generation`], and does not wait or take locks in any later generation.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

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

    /// Returns true in a child that was forked after this generation was taken.
    #[inline]
    pub(crate) fn is_past(self) -> bool {
        FORKS.load(Ordering::Relaxed) != self.0
    }
}

/// Returns true in a forked child of a process that watched for forks. In such a child, a lock may stay locked forever.
pub(crate) fn is_forked_child() -> bool {
    FORKS.load(Ordering::Relaxed) != 0
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
