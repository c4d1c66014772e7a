//! Tells a forked child from the process that started the work.
//!
//! `fork` copies the memory and only the thread that called it: threads of the SDK are missing in the child, and a lock that
//! another thread held at that moment stays locked there for ever. What belongs to a thread therefore keeps the
//! [`Generation`] it was made in, and in a later one neither waits nor locks.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use super::system;

/// The forks between the first process that watched for them and this one.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// The process that something was made in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Generation(u32);

impl Generation {
    /// Returns that of this process, and watches for forks from now on.
    pub(crate) fn current() -> Self {
        static WATCHED: OnceLock<()> = OnceLock::new();
        WATCHED.get_or_init(|| system::watch_forks(in_child));
        Generation(FORKS.load(Ordering::Relaxed))
    }

    /// Returns true in a child that was forked since.
    #[inline]
    pub(crate) fn is_past(self) -> bool {
        FORKS.load(Ordering::Relaxed) != self.0
    }
}

/// Returns true in a child of a process that watched for forks: a lock may be held for ever there.
pub(crate) fn is_forked_child() -> bool {
    FORKS.load(Ordering::Relaxed) != 0
}

/// The hooks of [`after_fork`].
static HOOKS: [OnceLock<fn()>; 4] = [const { OnceLock::new() }; 4];

/// Calls `hook` in every forked child, on its only thread, before `fork` returns there. The hook must be fit for a signal
/// handler: atomics and plain thread-locals, no lock and no memory. A hook that is there already is not added again.
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
