//! The bounded queue between the threads that make telemetry and the worker that exports it.
//!
//! Each thread pushes to a shard of its own, so that a push is an uncontended lock and a move. The common bound is kept by
//! handing out room in portions: a shard takes room for up to 64 items from the common budget, and asks again once that is used
//! up. If the budget is empty, a push looks for unused room in the other shards before it gives up, so that the queue holds
//! exactly `capacity` items whatever the number of threads.

use super::BatchConfig;
use crate::sync::{AtomicUsize, Mutex, Ordering, lock};

/// Maximum room that a shard takes at once.
const PORTION: usize = 64;

pub(super) struct Queue<T> {
    shards: Box<[Shard<T>]>,
    /// Room that no shard has taken.
    free: AtomicUsize,
    capacity: usize,
    /// Number of items at which the worker is woken.
    threshold: usize,
    /// The room a shard takes at once: a divisor of the threshold, so that the last portion ends on it.
    portion: usize,
}

/// Aligned so that no two threads write to one cache line.
#[repr(align(128))]
struct Shard<T>(Mutex<Contents<T>>);

struct Contents<T> {
    items: Vec<T>,
    /// Number of items that may be pushed here before the shard asks for more room.
    room: usize,
    closed: bool,
}

/// The result of a push.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pushed {
    /// The item waits.
    Queued,
    /// The item waits, together with about `threshold` others: wake the worker.
    Enough,
    /// There is no room; the item is dropped.
    Full,
    /// The queue is closed; the item is dropped.
    Closed,
}

impl<T> Queue<T> {
    /// Creates a queue of the configured size that asks for the worker once a batch is full.
    pub(super) fn for_config(config: BatchConfig) -> Self {
        let shards = std::thread::available_parallelism().map_or(4, usize::from).saturating_mul(2).min(64);
        Queue::new(config.max_queue_size(), config.max_batch_size(), shards)
    }

    /// Creates a queue of at most `capacity` items that asks for the worker at about `threshold`. Rounds `shards` up to a
    /// power of two.
    pub(super) fn new(capacity: usize, threshold: usize, shards: usize) -> Self {
        let shards = (0..shards.next_power_of_two())
            .map(|_| Shard(Mutex::new(Contents { items: Vec::new(), room: 0, closed: false })))
            .collect();
        let portion = threshold / threshold.div_ceil(PORTION);
        Queue { shards, free: AtomicUsize::new(capacity), capacity, threshold, portion }
    }

    /// Adds an item from the thread with this index. Never waits for the worker's exports, only for a swap of two vectors.
    #[inline]
    pub(super) fn push(&self, thread: usize, item: T) -> Pushed {
        let home = thread & (self.shards.len() - 1);
        let mut contents = lock(&self.shards[home].0);
        if contents.closed {
            return Pushed::Closed;
        }
        if contents.room == 0 {
            contents.room = self.take_room();
            if contents.room == 0 {
                drop(contents);
                if !self.borrow_room(home) {
                    return Pushed::Full;
                }
                contents = lock(&self.shards[home].0);
                contents.room += 1;
                if contents.closed {
                    return Pushed::Closed;
                }
            }
        }
        contents.items.push(item);
        contents.room -= 1;
        if contents.room == 0 && self.taken() >= self.threshold { Pushed::Enough } else { Pushed::Queued }
    }

    /// Returns the part of the capacity that is taken, by items and by room that shards hold.
    fn taken(&self) -> usize {
        self.capacity - self.free.load(Ordering::Relaxed)
    }

    /// Takes up to a portion of the free room.
    fn take_room(&self) -> usize {
        let mut free = self.free.load(Ordering::Relaxed);
        loop {
            let taken = free.min(self.portion);
            match self.free.compare_exchange_weak(free, free - taken, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return taken,
                Err(now) => free = now,
            }
        }
    }

    /// Takes unused room for one item from another shard.
    #[cold]
    fn borrow_room(&self, home: usize) -> bool {
        (1..self.shards.len()).any(|step| {
            let mut other = lock(&self.shards[(home + step) & (self.shards.len() - 1)].0);
            let found = other.room > 0;
            other.room -= usize::from(found);
            found
        }) || self.take_one()
    }

    /// Takes room for one item that the worker has released in the meantime.
    fn take_one(&self) -> bool {
        self.free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |free| free.checked_sub(1)).is_ok()
    }

    /// Moves all waiting items to the end of `batch`. They count against the capacity until [`Self::release`].
    ///
    /// If `batch` is empty, the first items move by a swap of vectors, and the shard reuses the memory of `batch`.
    pub(super) fn drain_into(&self, batch: &mut Vec<T>) {
        for shard in &self.shards {
            let mut contents = lock(&shard.0);
            // Unused room goes back: an idle thread must not keep it.
            let unused = std::mem::take(&mut contents.room);
            if batch.is_empty() {
                std::mem::swap(batch, &mut contents.items);
            } else {
                batch.append(&mut contents.items);
            }
            drop(contents);
            if unused > 0 {
                self.release(unused);
            }
        }
    }

    /// Returns the room of items that were drained and are now being exported.
    pub(super) fn release(&self, items: usize) {
        self.free.fetch_add(items, Ordering::Relaxed);
    }

    /// Returns the number of items that wait, without those that were drained.
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(&shard.0).items.len()).sum()
    }

    /// Returns the number of items that take room: those that wait, and those that were drained and not yet released.
    pub(super) fn waiting(&self) -> usize {
        let in_hand: usize = self.shards.iter().map(|shard| lock(&shard.0).room).sum();
        self.taken().saturating_sub(in_hand)
    }

    /// Refuses every later push. Waiting items stay until they are drained.
    pub(super) fn close(&self) {
        self.shards.iter().for_each(|shard| lock(&shard.0).closed = true);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn push_all(queue: &Queue<u32>, thread: usize, items: std::ops::Range<u32>) -> Vec<Pushed> {
        items.map(|item| queue.push(thread, item)).collect()
    }

    fn drained(queue: &Queue<u32>) -> Vec<u32> {
        let mut batch = Vec::new();
        queue.drain_into(&mut batch);
        queue.release(batch.len());
        batch
    }

    #[test]
    fn it_holds_exactly_its_capacity_from_one_thread() {
        for capacity in [1, 2, 63, 64, 65, 200] {
            let queue = Queue::new(capacity, capacity, 4);
            let pushed = push_all(&queue, 0, 0..capacity as u32 + 5);
            assert_eq!(pushed.iter().filter(|p| **p == Pushed::Full).count(), 5, "capacity {capacity}");
            assert_eq!(drained(&queue), (0..capacity as u32).collect::<Vec<_>>());
        }
    }

    #[test]
    fn it_holds_exactly_its_capacity_whatever_the_number_of_threads() {
        let queue = Queue::new(100, 100, 8);
        let full = (0..160u32).filter(|&n| queue.push(n as usize % 8, n) == Pushed::Full).count();
        assert_eq!(full, 60);
        assert_eq!(drained(&queue).len(), 100);
    }

    #[test]
    fn it_says_when_there_is_enough() {
        let queue = Queue::new(2048, 512, 1);
        let enough: Vec<_> = push_all(&queue, 0, 0..600)
            .iter()
            .enumerate()
            .filter(|(_, pushed)| **pushed == Pushed::Enough)
            .map(|(index, _)| index + 1)
            .collect();
        assert_eq!(enough, [512, 576]);
        let small = Queue::new(10, 3, 1);
        assert_eq!(push_all(&small, 0, 0..3), [Pushed::Queued, Pushed::Queued, Pushed::Enough]);
    }

    #[test]
    fn what_is_drained_takes_room_until_it_is_released() {
        let queue = Queue::new(4, 4, 1);
        push_all(&queue, 0, 0..4);
        let mut batch = Vec::new();
        queue.drain_into(&mut batch);
        assert_eq!((queue.push(0, 9), queue.waiting()), (Pushed::Full, 4));
        queue.release(1);
        assert_eq!(queue.waiting(), 3);
        assert_ne!(queue.push(0, 9), Pushed::Full);
        assert_eq!((queue.push(0, 9), queue.waiting()), (Pushed::Full, 4));
    }

    #[test]
    fn a_closed_queue_takes_nothing_and_keeps_what_it_has() {
        let queue = Queue::new(4, 4, 2);
        queue.push(0, 1);
        queue.close();
        assert_eq!(queue.push(0, 2), Pushed::Closed);
        assert_eq!(queue.push(1, 2), Pushed::Closed);
        assert_eq!(drained(&queue), [1]);
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "a test of several threads")]
    fn nothing_is_lost_between_threads() {
        const PER_THREAD: u32 = 20_000;
        let queue = Queue::new(512, 128, 4);
        let mut seen = std::thread::scope(|scope| {
            let producers: Vec<_> = (0..4u32)
                .map(|thread| {
                    let queue = &queue;
                    scope.spawn(move || {
                        for item in 0..PER_THREAD {
                            while queue.push(thread as usize, thread * PER_THREAD + item) == Pushed::Full {
                                std::thread::yield_now();
                            }
                        }
                    })
                })
                .collect();
            let mut seen = Vec::new();
            while seen.len() < 4 * PER_THREAD as usize {
                seen.extend(drained(&queue));
                std::thread::yield_now();
            }
            producers.into_iter().for_each(|producer| producer.join().unwrap());
            seen
        });
        seen.sort_unstable();
        assert_eq!(seen, (0..4 * PER_THREAD).collect::<Vec<_>>());
        assert_eq!(
            queue.free.load(Ordering::Relaxed) + queue.shards.iter().map(|s| lock(&s.0).room).sum::<usize>(),
            512
        );
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use loom::sync::Arc;
    use loom::thread;

    /// Two threads push while the worker drains: nothing is lost, nothing doubled, the bound holds.
    #[test]
    fn pushes_and_a_drain() {
        let mut model = loom::model::Builder::new();
        // Two preemptions suffice for every known class of queue errors; without a bound this runs for hours.
        model.preemption_bound = Some(2);
        model.check(|| {
            let queue = Arc::new(Queue::new(1, 1, 2));
            let producers: Vec<_> = (0..2)
                .map(|index| {
                    let queue = queue.clone();
                    thread::spawn(move || usize::from(queue.push(index, index) == Pushed::Full))
                })
                .collect();
            let mut batch = Vec::new();
            queue.drain_into(&mut batch);
            let first = batch.len();
            assert!(first <= 1);
            queue.release(first);
            let dropped: usize = producers.into_iter().map(|producer| producer.join().unwrap()).sum();
            queue.drain_into(&mut batch);
            assert!(batch.len() - first <= 1);
            assert_eq!(batch.len() + dropped, 2);
        });
    }

    /// Every push has a definite end around a close: drained or refused.
    #[test]
    fn a_push_against_a_close() {
        loom::model(|| {
            let queue = Arc::new(Queue::new(4, 4, 1));
            let pusher = {
                let queue = queue.clone();
                thread::spawn(move || queue.push(0, 7))
            };
            queue.close();
            let mut batch = Vec::new();
            queue.drain_into(&mut batch);
            let pushed = pusher.join().unwrap();
            assert_eq!(batch.len(), usize::from(pushed != Pushed::Closed));
        });
    }
}
