//! Tells a forked child from the process that started the work.
//!
//! `fork` copies the memory but only the calling thread: threads of the SDK are missing in the child, and a lock that another
//! thread held at that moment stays locked there for ever. A value that belongs to a thread therefore keeps its
//! [`Generation`], and neither waits nor locks in a later one.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use super::system;

/// Number of forks between the first process that watched for them and this one.
static FORKS: AtomicU32 = AtomicU32::new(0);

/// Identifies the process that created a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Generation(u32);

impl Generation {
    /// Returns the generation of this process, and watches for forks from now on.
    pub(crate) fn current() -> Self {
        static WATCHED: OnceLock<()> = OnceLock::new();
        WATCHED.get_or_init(|| system::watch_forks(in_child));
        Generation(FORKS.load(Ordering::Relaxed))
    }

    /// Returns true in a child that was forked later.
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
/// handler: atomics and plain thread-locals, no lock and no memory. Adding a hook twice adds it once.
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
