//! The local roots that have started and are not in the table yet: each thread notes them in a list of its own, which costs less than
//! their places in the table, because only this thread has touched the list.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, Ordering};

use opentelemetry::trace::TraceId;

use super::{halves, key_of, whole};
use crate::sync::{thread_index, unpoisoned};

/// The number of local roots at which a list is full. The tail sampler moves them into the table in each of its runs.
const FULL: usize = 256;
/// The maximum number of lists. Further threads share them.
const MAX_LISTS: usize = 64;

/// A local root that has started.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opening {
    key: [u64; 2],
    pub(super) asked: u16,
    /// True if the trace began with this root, so nothing was decided about it before.
    pub(super) is_first: bool,
}

impl Opening {
    pub(super) fn new(trace: TraceId, asked: u16, is_first: bool) -> Self {
        Opening { key: halves(key_of(trace)), asked, is_first }
    }

    pub(super) fn key(&self) -> u128 {
        whole(self.key)
    }
}

/// Nothing is in the lists, and nobody is moving what was there.
const NOTHING: u8 = 0;
/// There may be something in the lists.
const SOMETHING: u8 = 1;
/// A thread is moving what is in the lists, and nothing was added since.
const MOVING: u8 = 2;

/// The lists of all threads.
#[derive(Debug)]
pub(super) struct Opened {
    lists: Box<[List]>,
    state: AtomicU8,
    /// Locked by the thread that moves what is in the lists. Empty outside of that, and kept for its memory.
    moving: Mutex<Vec<Opening>>,
}

/// Aligned so that no two lists share a cache line.
#[derive(Debug, Default)]
#[repr(align(128))]
struct List(Mutex<Vec<Opening>>);

impl Opened {
    pub(super) fn new() -> Self {
        let lists = std::thread::available_parallelism().map_or(4, usize::from).saturating_mul(2).min(MAX_LISTS);
        Opened {
            lists: (0..lists.next_power_of_two()).map(|_| List::default()).collect(),
            state: AtomicU8::new(NOTHING),
            moving: Mutex::default(),
        }
    }

    /// Adds a local root. Returns true if the list of this thread is full, so that the caller has to [take](Self::take) everything.
    #[inline]
    pub(super) fn add(&self, opening: Opening) -> bool {
        let Some(list) = self.lists.get(thread_index() & (self.lists.len() - 1)) else { return false };
        let mut list = unpoisoned(list.0.lock());
        list.push(opening);
        let is_full = list.len() >= FULL;
        drop(list);
        // After the lock, which orders this with the thread that empties the list: either that thread sees what was added, or this
        // thread sees that it has begun.
        if self.state.load(Ordering::Relaxed) != SOMETHING {
            self.state.store(SOMETHING, Ordering::Release);
        }
        is_full
    }

    /// Passes everything that was added before to `to`. If another thread does so, waits until it has finished. Costs one load if nothing
    /// was added.
    #[inline]
    pub(super) fn take(&self, to: impl FnMut(Opening)) {
        if self.state.load(Ordering::Acquire) != NOTHING {
            self.take_some(to);
        }
    }

    #[cold]
    fn take_some(&self, to: impl FnMut(Opening)) {
        let mut taken = unpoisoned(self.moving.lock());
        self.state.store(MOVING, Ordering::Relaxed);
        for list in &self.lists {
            taken.append(&mut *unpoisoned(list.0.lock()));
        }
        taken.drain(..).for_each(to);
        // Only now, because until then another thread must not look into the table.
        let _ = self.state.compare_exchange(MOVING, NOTHING, Ordering::Release, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::collections::HashSet;
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[test]
    fn everything_that_threads_add_is_taken_once() {
        const EACH: u64 = 20_000;
        let (opened, is_over, seen) = (Opened::new(), AtomicBool::new(false), Mutex::new(Vec::new()));
        let take = || opened.take(|opening| seen.lock().unwrap().push(opening.key()));
        std::thread::scope(|scope| {
            let taker = scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    take();
                }
            });
            let adders: Vec<_> = (0..4_u64)
                .map(|thread| {
                    let (opened, take) = (&opened, &take);
                    scope.spawn(move || {
                        for number in 0..EACH {
                            let trace = TraceId::from(u128::from(thread * EACH + number) << 60 | 1);
                            if opened.add(Opening::new(trace, 0, true)) {
                                take();
                            }
                        }
                    })
                })
                .collect();
            adders.into_iter().for_each(|adder| adder.join().unwrap());
            is_over.store(true, Ordering::Relaxed);
            taker.join().unwrap();
        });
        take();
        let seen = seen.into_inner().unwrap();
        assert_eq!((seen.len() as u64, seen.iter().collect::<HashSet<_>>().len() as u64), (4 * EACH, 4 * EACH));
    }

    /// A thread that finds nothing must not miss what another thread is moving at the moment.
    #[test]
    fn what_is_being_moved_is_waited_for() {
        let opened = Opened::new();
        opened.add(Opening::new(TraceId::from(7), 0, true));
        let (table, has_begun) = (Mutex::new(Vec::new()), std::sync::Barrier::new(2));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                opened.take(|opening| {
                    has_begun.wait();
                    std::thread::yield_now();
                    table.lock().unwrap().push(opening.key());
                });
            });
            has_begun.wait();
            opened.take(|_| ());
            assert_eq!(*table.lock().unwrap(), [7]);
        });
    }
}
