//! The local roots that have started and are not in the table yet: each thread notes them in a list of its own, which costs less than
//! their places in the table, because only this thread has touched the list.

use opentelemetry::trace::TraceId;

use super::key_of;
use super::shard::{halves, whole};
use crate::sync::{AtomicU8, Mutex, Ordering, lock, thread_index};

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
    /// Changed by read-modify-write operations only, so that its values have one order in the models of loom as well.
    state: AtomicU8,
    /// Locked by the thread that moves what is in the lists. Empty outside of that, and kept for its memory.
    moving: Mutex<Vec<Opening>>,
}

/// Aligned so that no two lists share a cache line.
#[derive(Debug)]
#[repr(align(128))]
struct List(Mutex<Vec<Opening>>);

impl Opened {
    pub(super) fn new() -> Self {
        let lists = std::thread::available_parallelism().map_or(4, usize::from).saturating_mul(2).min(MAX_LISTS);
        Self::with_lists(lists.next_power_of_two())
    }

    /// Creates lists, whose number is a power of two.
    fn with_lists(number: usize) -> Self {
        Opened {
            lists: (0..number).map(|_| List(Mutex::new(Vec::new()))).collect(),
            state: AtomicU8::new(NOTHING),
            moving: Mutex::new(Vec::new()),
        }
    }

    /// Adds a local root. Returns true if the list of this thread is full, so that the caller has to [take](Self::take) everything.
    #[inline]
    pub(super) fn add(&self, opening: Opening) -> bool {
        self.add_to(thread_index(), opening)
    }

    #[inline]
    fn add_to(&self, index: usize, opening: Opening) -> bool {
        let Some(list) = self.lists.get(index & (self.lists.len() - 1)) else { return false };
        let mut list = lock(&list.0);
        list.push(opening);
        let is_full = list.len() >= FULL;
        drop(list);
        // After the lock, which orders this with the thread that empties the list: either that thread sees what was added, or this
        // thread sees that it has begun.
        if self.state.load(Ordering::Relaxed) != SOMETHING {
            self.state.swap(SOMETHING, Ordering::Release);
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
        let mut taken = lock(&self.moving);
        self.state.swap(MOVING, Ordering::Relaxed);
        for list in &self.lists {
            taken.append(&mut *lock(&list.0));
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

#[cfg(all(test, loom))]
mod loom_tests {
    use loom::thread;

    use super::*;
    use crate::sync::{Arc, AtomicU64};

    /// The lists, with a table that orders nothing by itself: the number of times that each of four local roots was moved into it.
    struct Model {
        opened: Opened,
        table: [AtomicU64; 4],
    }

    impl Model {
        fn new(lists: usize) -> Arc<Self> {
            Arc::new(Model { opened: Opened::with_lists(lists), table: std::array::from_fn(|_| AtomicU64::new(0)) })
        }

        fn add(&self, list: usize, number: u64) {
            self.opened.add_to(list, Opening::new(TraceId::from(u128::from(number)), 0, true));
        }

        /// Moves everything and returns the numbers of moves of each local root that are visible afterwards.
        fn settled(&self) -> [u64; 4] {
            self.opened.take(|opening| {
                // No two threads move at the same time, so this needs no atomic addition.
                let moves = &self.table[opening.key() as usize];
                moves.store(moves.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
            });
            std::array::from_fn(|number| self.table[number].load(Ordering::Relaxed))
        }
    }

    fn check(preemptions: usize, lists: usize, run: impl Fn(Arc<Model>) + Sync + Send + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(preemptions);
        builder.check(move || run(Model::new(lists)));
    }

    /// Two threads add to two lists and look into the table, while a third one looks.
    #[test]
    fn a_thread_finds_what_it_has_added() {
        check(3, 2, |model| {
            let adders = [0, 1].map(|list| {
                let model = model.clone();
                thread::spawn(move || {
                    model.add(list, list as u64);
                    assert_eq!(model.settled()[list], 1, "a local root is in the table once its thread has looked");
                })
            });
            assert!(model.settled()[..2].iter().all(|moves| *moves <= 1));
            adders.into_iter().for_each(|adder| adder.join().unwrap());
            assert_eq!(model.settled(), [1, 1, 0, 0]);
        });
    }

    /// Two threads that share a list add local roots, while another one looks twice.
    #[test]
    fn what_is_added_while_others_move_is_not_forgotten() {
        check(3, 1, |model| {
            let mover = {
                let model = model.clone();
                thread::spawn(move || {
                    let [first, second] = [(); 2].map(|()| model.settled());
                    assert!(first.iter().zip(&second).all(|(first, second)| first <= second && *second <= 1));
                })
            };
            let adder = {
                let model = model.clone();
                thread::spawn(move || model.add(0, 0))
            };
            [1, 2].into_iter().for_each(|number| model.add(0, number));
            mover.join().unwrap();
            adder.join().unwrap();
            assert_eq!(model.settled(), [1, 1, 1, 0]);
        });
    }

    /// A thread that only looks sees what another one has added and moved, without having waited for that thread.
    #[test]
    fn a_local_root_that_a_thread_has_told_of_is_in_the_table() {
        check(3, 2, |model| {
            let told = Arc::new(AtomicU64::new(0));
            let adder = {
                let (model, told) = (model.clone(), told.clone());
                thread::spawn(move || {
                    model.add(0, 0);
                    told.store(1, Ordering::Release);
                })
            };
            let mover = {
                let model = model.clone();
                thread::spawn(move || _ = model.settled())
            };
            let was_told = told.load(Ordering::Acquire);
            assert!(model.settled()[0] >= was_told);
            adder.join().unwrap();
            mover.join().unwrap();
            assert_eq!(model.settled()[0], 1);
        });
    }
}
