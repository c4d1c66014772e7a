//! A value that is replaced while other threads use it.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::thread::LocalKey;

use super::unpoisoned;
use crate::process::unless_stuck;

/// A value that is replaced while other threads use it. Each thread keeps the value that it has used last, so a use costs a relaxed
/// load and takes no lock, except for the first one after a replacement.
///
/// A value that has been replaced is dropped by the thread that replaces it, or at a later call of [`Self::free`] if another thread
/// still kept it. So there are at most as many old values as there are threads.
#[derive(Debug)]
pub(crate) struct Live<T> {
    /// The number of `current`, which no other value of the process has.
    version: AtomicU64,
    current: RwLock<Arc<T>>,
    /// The values that have been replaced and may still be kept by threads. They are held here so that no other thread drops them.
    replaced: Mutex<Vec<Arc<T>>>,
}

/// The place for the value that a thread has used last, with its number.
pub(crate) type Slot<T> = Cell<Option<(u64, Arc<T>)>>;

/// A type whose values threads keep.
pub(crate) trait Kept: Send + Sync + 'static {
    /// Returns the thread's place for values of this type.
    fn slot() -> &'static LocalKey<Slot<Self>>;
}

/// Returns a number that no other value has.
fn next_version() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

impl<T: Kept> Live<T> {
    pub(crate) fn new(value: T) -> Self {
        Live {
            version: AtomicU64::new(next_version()),
            current: RwLock::new(Arc::new(value)),
            replaced: Mutex::default(),
        }
    }

    /// Calls `read` with the value. Holds no lock meanwhile, so `read` may run code of the program. Returns `None` in a forked child
    /// whose parent was replacing the value during the fork.
    #[inline]
    pub(crate) fn with<R>(&self, read: impl FnOnce(&T) -> R) -> Option<R> {
        let mut read = Some(read);
        let with_slot = |slot: &Slot<T>| {
            // Taken out rather than borrowed, because `read` may come back here.
            let kept = match slot.take() {
                Some(kept) if kept.0 == self.version.load(Ordering::Relaxed) => kept,
                outdated => {
                    // Before the lookup, so that a thread keeps one value at most.
                    drop(outdated);
                    self.look()?
                }
            };
            let result = read.take().map(|read| read(&kept.1));
            slot.set(Some(kept));
            result
        };
        match T::slot().try_with(with_slot) {
            Ok(result) => result,
            // An exiting thread has no thread-locals, so it looks the value up each time.
            Err(_) => read.and_then(|read| self.look().map(|(_, value)| read(&value))),
        }
    }

    /// Returns the value with its number.
    #[cold]
    fn look(&self) -> Option<(u64, Arc<T>)> {
        let current = unless_stuck(self.current.try_read(), || self.current.read())?;
        // The number changes only while the lock is held for writing.
        Some((self.version.load(Ordering::Relaxed), current.clone()))
    }

    /// Returns the value, or `None` in a forked child whose parent was replacing it.
    pub(crate) fn get(&self) -> Option<Arc<T>> {
        self.look().map(|(_, value)| value)
    }

    /// Replaces the value for all uses that begin from now on. Returns the one before, which other threads may still be using.
    /// Call [`Self::free`] afterwards.
    pub(crate) fn replace(&self, value: T) -> Arc<T> {
        let value = Arc::new(value);
        let before = {
            let mut current = unpoisoned(self.current.write());
            self.version.store(next_version(), Ordering::Relaxed);
            std::mem::replace(&mut *current, value)
        };
        unpoisoned(self.replaced.lock()).push(before.clone());
        before
    }

    /// Drops the values that have been replaced and that no other thread keeps any more. Waits for no lock in a forked child.
    pub(crate) fn free(&self) {
        // The thread that has replaced a value must not be the one that keeps it.
        drop(T::slot().try_with(Cell::take));
        let lock = unless_stuck(self.replaced.try_lock(), || self.replaced.lock());
        let Some(mut replaced) = lock else { return };
        let all = std::mem::take(&mut *replaced);
        // Only who keeps a value can copy its reference, so a value without other references stays without.
        let (free, kept): (Vec<_>, _) = all.into_iter().partition(|value| Arc::strong_count(value) == 1);
        *replaced = kept;
        drop(replaced);
        // Outside the lock, because the values may be code of the program.
        drop(free);
    }
}

#[cfg(all(test, not(loom)))]
#[allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests of threads")]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    /// A number, with a token whose references are the values that exist.
    struct Counted(usize, #[expect(dead_code, reason = "counts references")] Arc<()>);

    thread_local!(static SLOT: Slot<Counted> = const { Cell::new(None) });

    impl Kept for Counted {
        fn slot() -> &'static LocalKey<Slot<Self>> {
            &SLOT
        }
    }

    fn read(live: &Live<Counted>) -> usize {
        live.with(|value| value.0).unwrap()
    }

    #[test]
    fn each_use_sees_the_latest_value_and_values_do_not_mix() {
        let token = Arc::new(());
        let [one, two] = [0, 100].map(|first| Live::new(Counted(first, token.clone())));
        for n in 1..10 {
            assert_eq!((read(&one), read(&one), read(&two)), (n - 1, n - 1, 100));
            assert_eq!(one.replace(Counted(n, token.clone())).0, n - 1);
            one.free();
        }
        // A use within a use finds the value as well, and so does the use after it.
        let nested = one.with(|outer| (outer.0, read(&one), read(&two), read(&one)));
        assert_eq!((nested, read(&one)), (Some((9, 9, 100, 9)), 9));
    }

    #[test]
    fn values_are_dropped_once_no_thread_keeps_them() {
        let token = Arc::new(());
        let live = Live::new(Counted(0, token.clone()));
        let exist = || Arc::strong_count(&token) - 1;
        let (replaced, kept) = (Barrier::new(2), Barrier::new(2));
        thread::scope(|scope| {
            let idle = scope.spawn(|| {
                assert_eq!(read(&live), 0);
                kept.wait();
                replaced.wait();
                // Looks the value up again, and so gives up the old one.
                assert_eq!(read(&live), 1000);
            });
            kept.wait();
            for n in 1..=1000 {
                drop(live.replace(Counted(n, token.clone())));
                live.free();
                assert_eq!(read(&live), n);
                assert!(exist() <= 3, "the current value, that of this thread and that of the other one: {}", exist());
            }
            replaced.wait();
            idle.join().unwrap();
        });
        live.free();
        assert_eq!(exist(), 1);
        // This thread keeps the value until it uses another one.
        drop(live);
        let other = Live::new(Counted(0, token.clone()));
        read(&other);
        assert_eq!(exist(), 1);
    }
}
