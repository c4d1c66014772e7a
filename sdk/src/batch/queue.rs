//! The bounded queue between the threads that create telemetry and the worker that exports it.
//!
//! Each thread pushes to its own shard, which costs an uncontended lock and a move to the end of the shard's chunk. A
//! full chunk stays in the shard, and the shard starts another chunk. The worker takes whole chunks and returns them
//! empty. A drain takes the chunk away from a shard that has received no new items, so that idle threads hold no
//! memory.
//!
//! The shards share two limits, one in items and one in bytes, and take room from them in portions: a shard takes room
//! for up to 64 items and for a fraction of the bytes, and takes more when that is used up. If a budget is exhausted,
//! a push first collects the unused room of the other shards and only then gives up, so that the queue holds exactly
//! `capacity` items however many threads there are.

use super::BatchConfig;
use super::budget::Budget;
use crate::signal::{Chunk, Signal};
use crate::sync::{Mutex, MutexGuard, lock};

/// Maximum number of items for which a shard takes room at a time.
const PORTION: usize = 64;
/// Maximum number of empty chunks kept for reuse, which is the number of chunks in a full default queue.
const SPARES: usize = 16;
/// The same for chunks that a stage has held. It gives many back at the same time, and the threads soon need as many.
const HELD_SPARES: usize = 24;

pub(super) struct Queue<S: Signal> {
    shards: Box<[Shard<S>]>,
    items: Budget,
    bytes: Budget,
    /// The size, in bytes, at which a chunk is full regardless of its number of items.
    chunk_bytes: usize,
    /// Empty chunks that keep their memory.
    spares: Mutex<Vec<S::Chunk>>,
}

/// Aligned so that no two shards share a cache line.
#[repr(align(128))]
struct Shard<S: Signal>(Mutex<Contents<S>>);

struct Contents<S: Signal> {
    chunk: S::Chunk,
    /// The total size, in bytes, of the items in the chunk.
    charged: usize,
    /// Number of items that can be pushed here before the shard needs more room.
    room: usize,
    /// Number of bytes that can be pushed here before the shard needs more room.
    bytes: usize,
    closed: bool,
    /// Full chunks, oldest first.
    full: Vec<S::Chunk>,
}

/// The result of a push.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pushed {
    /// The item is waiting.
    Queued,
    /// The item is waiting, and so are about `threshold` items or many bytes in total: wake the worker.
    Enough,
    /// There is no room for another item; the item is dropped.
    Full,
    /// There is not enough room in bytes; the item is dropped.
    BytesFull,
    /// The queue is closed; the item is dropped.
    Closed,
}

impl<S: Signal> Queue<S> {
    /// Creates a queue of the configured size that requests a run of the worker once a batch is full.
    pub(super) fn for_config(config: BatchConfig) -> Self {
        let shards = std::thread::available_parallelism().map_or(4, usize::from).saturating_mul(2).min(64);
        Queue::new(config.max_queue_size(), config.max_queue_bytes(), config.max_batch_size(), shards)
    }

    /// Creates a queue that holds up to `capacity` items and about `bytes` bytes. It requests a run of the worker at
    /// about `threshold` items or at a quarter of the bytes. Rounds `shards` up to a power of two.
    pub(super) fn new(capacity: usize, bytes: usize, threshold: usize, shards: usize) -> Self {
        let shards: Box<[_]> =
            (0..shards.next_power_of_two()).map(|_| Shard(Mutex::new(Contents::default()))).collect();
        // Splits the threshold into equal portions, so that the last portion ends exactly at the threshold or just
        // below it.
        let portion = threshold / threshold.div_ceil(PORTION);
        let bytes = Budget::new(bytes, bytes / (16 * shards.len()), bytes / 4);
        Queue {
            items: Budget::new(capacity, portion, threshold),
            chunk_bytes: (bytes.capacity() / 64).max(1),
            bytes,
            spares: Mutex::new(Vec::new()),
            shards,
        }
    }

    /// Adds an item from the thread with index `thread`. Never waits for the worker's exports, only for a swap of two
    /// chunks.
    #[cfg(test)]
    pub(super) fn push(&self, thread: usize, item: S::Item) -> Pushed {
        self.push_or_lose(thread, item, |_| ())
    }

    /// Like [`Self::push`], and calls `lose`, without a lock, if the item is refused.
    #[inline]
    pub(super) fn push_or_lose(&self, thread: usize, item: S::Item, lose: impl FnOnce(&S::Item)) -> Pushed {
        let size = S::size(&item);
        let home = thread & (self.shards.len() - 1);
        let mut contents = lock(&self.shards[home].0);
        if contents.closed {
            drop(contents);
            lose(&item);
            return Pushed::Closed;
        }
        let mut takes_bytes = false;
        if contents.lacks_room(size) {
            takes_bytes = contents.bytes < size;
            contents = match self.with_room(contents, home, size) {
                Ok(contents) => contents,
                Err(refused) => {
                    lose(&item);
                    return refused;
                }
            };
        }
        contents.room -= 1;
        contents.bytes -= size;
        contents.charged += size;
        contents.chunk.push(item, size);
        if contents.chunk.is_full() || contents.charged >= self.chunk_bytes {
            self.set_aside(&mut contents);
        }
        let is_enough = contents.room == 0 && self.items.is_much_taken() || takes_bytes && self.bytes.is_much_taken();
        if is_enough { Pushed::Enough } else { Pushed::Queued }
    }

    /// Takes room for an item of `size` bytes, either from the budgets or from the unused room of other shards.
    #[cold]
    fn with_room<'a>(
        &'a self,
        mut contents: MutexGuard<'a, Contents<S>>,
        home: usize,
        size: usize,
    ) -> Result<MutexGuard<'a, Contents<S>>, Pushed> {
        contents.take_room(&self.items, &self.bytes, size);
        if !contents.lacks_room(size) {
            return Ok(contents);
        }
        drop(contents);
        for other in (1..self.shards.len()).map(|step| (home + step) & (self.shards.len() - 1)) {
            self.release_unused(&mut lock(&self.shards[other].0));
        }
        let mut contents = lock(&self.shards[home].0);
        if contents.closed {
            return Err(Pushed::Closed);
        }
        contents.take_room(&self.items, &self.bytes, size);
        match () {
            () if contents.room == 0 => Err(Pushed::Full),
            () if contents.bytes < size => Err(Pushed::BytesFull),
            () => Ok(contents),
        }
    }

    fn release_unused(&self, contents: &mut Contents<S>) {
        let (room, bytes) = (std::mem::take(&mut contents.room), std::mem::take(&mut contents.bytes));
        if room > 0 {
            self.items.release(room);
        }
        if bytes > 0 {
            self.bytes.release(bytes);
        }
    }

    /// Keeps a full chunk for the worker and starts another one.
    #[cold]
    fn set_aside(&self, contents: &mut Contents<S>) {
        let next = lock(&self.spares).pop().unwrap_or_default();
        let full = self.replace_chunk(contents, next);
        contents.full.push(full);
    }

    /// Takes a shard's chunk. From now on the whole chunk counts against the budget, including the unused memory of
    /// its lists.
    fn replace_chunk(&self, contents: &mut Contents<S>, next: S::Chunk) -> S::Chunk {
        let chunk = std::mem::replace(&mut contents.chunk, next);
        let charged = std::mem::take(&mut contents.charged);
        self.bytes.charge(chunk.bytes().saturating_sub(charged));
        chunk
    }

    /// Moves all waiting items to the end of `chunks` and returns their number. They count against the capacity until
    /// [`Self::release`] is called, and their bytes count until [`Self::recycle`] is called.
    pub(super) fn drain_into(&self, chunks: &mut Vec<S::Chunk>) -> usize {
        let before = chunks.len();
        for shard in &self.shards {
            let mut contents = lock(&shard.0);
            // Return unused room, because an idle thread must not keep it.
            self.release_unused(&mut contents);
            let (idle, partial) = if contents.chunk.is_empty() {
                (Some(std::mem::take(&mut contents.chunk)), None)
            } else {
                let next = lock(&self.spares).pop().unwrap_or_default();
                (None, Some(self.replace_chunk(&mut contents, next)))
            };
            chunks.append(&mut contents.full);
            // Free the memory of an idle chunk outside the lock.
            drop(contents);
            drop(idle);
            chunks.extend(partial);
        }
        chunks[before..].iter().map(S::Chunk::len).sum()
    }

    /// Releases the room of items that have been drained and are about to be exported.
    pub(super) fn release(&self, items: usize) {
        self.items.release(items);
    }

    /// Drops the items of a drained chunk, releases their bytes, and keeps the chunk for reuse.
    pub(super) fn recycle(&self, chunk: S::Chunk) {
        let bytes = chunk.bytes();
        self.recycle_drained(chunk, bytes);
    }

    /// Like [`Self::recycle`], but for a chunk that had `bytes` bytes before its items were moved out.
    pub(super) fn recycle_drained(&self, chunk: S::Chunk, bytes: usize) {
        self.bytes.release(bytes);
        self.keep(chunk, SPARES);
    }

    /// Like [`Self::recycle`], but for a chunk that a stage held for some time, whose bytes no longer count here.
    pub(super) fn recycle_held(&self, chunk: S::Chunk) {
        self.keep(chunk, HELD_SPARES);
    }

    /// Returns an empty chunk, for items that are passed on together.
    pub(super) fn spare(&self) -> S::Chunk {
        lock(&self.spares).pop().unwrap_or_default()
    }

    fn keep(&self, mut chunk: S::Chunk, max_spares: usize) {
        chunk.clear();
        let mut spares = lock(&self.spares);
        let surplus = if spares.len() < max_spares {
            spares.push(chunk);
            None
        } else {
            Some(chunk)
        };
        // Free the memory outside the lock.
        drop(spares);
        drop(surplus);
    }

    /// Frees the empty chunks. Called after a period without items.
    pub(super) fn free_spares(&self) {
        drop(std::mem::take(&mut *lock(&self.spares)));
    }

    /// Returns the byte budget, for items that are held elsewhere.
    pub(super) fn bytes(&self) -> &Budget {
        &self.bytes
    }

    /// Returns the number of waiting items, not counting those that have been drained.
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(&shard.0).len()).sum()
    }

    /// Returns the number of items that occupy room: those that are waiting, and those that have been drained but not
    /// yet released.
    pub(super) fn waiting(&self) -> usize {
        let in_hand: usize = self.shards.iter().map(|shard| lock(&shard.0).room).sum();
        self.items.taken().saturating_sub(in_hand)
    }

    /// Returns true if at least half of the items or of the bytes is in use.
    pub(super) fn is_half_full(&self) -> bool {
        self.items.taken() >= self.items.capacity() / 2 || self.bytes.taken() >= self.bytes.capacity() / 2
    }

    /// Refuses all later pushes. Waiting items stay until they are drained.
    pub(super) fn close(&self) {
        self.shards.iter().for_each(|shard| lock(&shard.0).closed = true);
    }
}

impl<S: Signal> Contents<S> {
    fn lacks_room(&self, size: usize) -> bool {
        self.room == 0 || self.bytes < size
    }

    fn take_room(&mut self, items: &Budget, bytes: &Budget, size: usize) {
        if self.room == 0 {
            self.room = items.take(1);
        }
        if self.bytes < size {
            self.bytes += bytes.take(size - self.bytes);
        }
    }

    fn len(&self) -> usize {
        self.chunk.len() + self.full.iter().map(S::Chunk::len).sum::<usize>()
    }
}

impl<S: Signal> Default for Contents<S> {
    fn default() -> Self {
        Contents { chunk: S::Chunk::default(), charged: 0, room: 0, bytes: 0, closed: false, full: Vec::new() }
    }
}

/// A test signal whose items are numbers. The size of each item is its value.
#[cfg(test)]
mod numbers {
    use std::ops::Range;

    use crate::signal::{Chunk, Signal, sealed::Sealed};

    #[derive(Debug)]
    pub(super) enum Numbers {}

    impl Sealed for Numbers {}

    impl Signal for Numbers {
        type Item = u32;
        type View<'a> = u32;
        type Chunk = Vec<u32>;
        const NAME: &'static str = "numbers";
        const ITEMS: &'static str = "numbers";
        const OWNED_SIZE: usize = 0;

        fn to_item(view: u32) -> u32 {
            view
        }

        fn size(item: &u32) -> usize {
            *item as usize
        }
    }

    impl Chunk<Numbers> for Vec<u32> {
        fn len(&self) -> usize {
            self.len()
        }

        fn views(&self, range: Range<usize>) -> impl Iterator<Item = u32> + Clone {
            self.get(range).unwrap_or_default().iter().copied()
        }

        fn push(&mut self, item: u32, _: usize) {
            self.push(item);
        }

        fn is_full(&self) -> bool {
            self.len() >= 100
        }

        fn bytes(&self) -> usize {
            self.iter().sum::<u32>() as usize
        }

        fn drain(&mut self) -> impl Iterator<Item = u32> {
            std::mem::take(self).into_iter()
        }

        fn clear(&mut self) {
            self.clear();
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::numbers::Numbers;
    use super::*;
    use crate::signal::Traces;
    use crate::trace::{Scope, SpanData};

    fn queue(capacity: usize, threshold: usize, shards: usize) -> Queue<Numbers> {
        Queue::new(capacity, usize::MAX, threshold, shards)
    }

    fn push_all(queue: &Queue<Numbers>, thread: usize, items: std::ops::Range<u32>) -> Vec<Pushed> {
        items.map(|item| queue.push(thread, item)).collect()
    }

    fn drained(queue: &Queue<Numbers>) -> Vec<u32> {
        let mut chunks = Vec::new();
        let items = queue.drain_into(&mut chunks);
        queue.release(items);
        let all: Vec<_> = chunks.iter().flatten().copied().collect();
        assert_eq!(all.len(), items);
        chunks.into_iter().for_each(|chunk| queue.recycle(chunk));
        all
    }

    #[test]
    fn it_holds_exactly_its_capacity_from_one_thread() {
        for capacity in [1, 2, 63, 64, 65, 200] {
            let queue = queue(capacity, capacity, 4);
            let pushed = push_all(&queue, 0, 0..capacity as u32 + 5);
            assert_eq!(pushed.iter().filter(|p| **p == Pushed::Full).count(), 5, "capacity {capacity}");
            assert_eq!(drained(&queue), (0..capacity as u32).collect::<Vec<_>>());
        }
    }

    #[test]
    fn it_holds_exactly_its_capacity_whatever_the_number_of_threads() {
        let queue = queue(100, 100, 8);
        let full = (0..160u32).filter(|&n| queue.push(n as usize % 8, n) == Pushed::Full).count();
        assert_eq!(full, 60);
        assert_eq!(drained(&queue).len(), 100);
    }

    #[test]
    fn it_holds_exactly_its_bytes_whatever_the_number_of_threads() {
        let queue = Queue::<Numbers>::new(1000, 1000, 1000, 8);
        let refused: Vec<_> = (0..150).map(|n| queue.push(n % 8, 10)).filter(|p| *p == Pushed::BytesFull).collect();
        assert_eq!((refused.len(), queue.bytes.taken()), (50, 1000));
        assert_eq!((drained(&queue).len(), queue.bytes.taken()), (100, 0));
        assert_eq!([queue.push(0, 1001), queue.push(0, 1)], [Pushed::BytesFull, Pushed::Queued]);
    }

    #[test]
    fn what_is_drained_takes_bytes_until_its_chunk_is_recycled() {
        let queue = Queue::<Numbers>::new(10, 100, 10, 1);
        let full = |queue: &Queue<Numbers>| queue.push(0, 60) == Pushed::BytesFull;
        assert!(!full(&queue));
        let mut chunks = Vec::new();
        let items = queue.drain_into(&mut chunks);
        queue.release(items);
        assert!(full(&queue), "the exporter has it in hand");
        chunks.into_iter().for_each(|chunk| queue.recycle(chunk));
        assert!(!full(&queue));
    }

    #[test]
    fn the_unused_memory_of_a_drained_chunk_counts() {
        let queue = Queue::<Traces>::new(100, 1 << 20, 100, 1);
        let scope = Scope::from(opentelemetry::InstrumentationScope::builder("test").build());
        for _ in 0..3 {
            let mut span = SpanData::new(opentelemetry::trace::SpanContext::NONE, "span", scope.clone());
            span.own_attributes = (0..50).map(|n| opentelemetry::KeyValue::new("key", n)).collect();
            queue.push(0, span);
        }
        let mut chunks = Vec::new();
        queue.drain_into(&mut chunks);
        assert_eq!(queue.bytes.taken(), chunks.iter().map(Chunk::<Traces>::bytes).sum::<usize>());
        chunks.into_iter().for_each(|chunk| queue.recycle(chunk));
        assert_eq!(queue.bytes.taken(), 0);
    }

    #[test]
    fn it_says_when_there_is_enough() {
        let queue = queue(2048, 512, 1);
        let enough: Vec<_> = push_all(&queue, 0, 0..600)
            .iter()
            .enumerate()
            .filter(|(_, pushed)| **pushed == Pushed::Enough)
            .map(|(index, _)| index + 1)
            .collect();
        assert_eq!(enough, [512, 576]);
        let small = self::queue(10, 3, 1);
        assert_eq!(push_all(&small, 0, 0..3), [Pushed::Queued, Pushed::Queued, Pushed::Enough]);
        let heavy = Queue::<Numbers>::new(100, 100, 100, 1);
        assert_eq!([heavy.push(0, 20), heavy.push(0, 20)], [Pushed::Queued, Pushed::Enough]);
    }

    #[test]
    fn what_is_drained_takes_room_until_it_is_released() {
        let queue = queue(4, 4, 1);
        push_all(&queue, 0, 0..4);
        queue.drain_into(&mut Vec::new());
        assert_eq!((queue.push(0, 9), queue.waiting()), (Pushed::Full, 4));
        queue.release(1);
        assert_eq!(queue.waiting(), 3);
        assert_ne!(queue.push(0, 9), Pushed::Full);
        assert_eq!((queue.push(0, 9), queue.waiting()), (Pushed::Full, 4));
    }

    #[test]
    fn a_closed_queue_takes_nothing_and_keeps_what_it_has() {
        let queue = queue(4, 4, 2);
        queue.push(0, 1);
        queue.close();
        assert_eq!(queue.push(0, 2), Pushed::Closed);
        assert_eq!(queue.push(1, 2), Pushed::Closed);
        assert_eq!(drained(&queue), [1]);
    }

    #[test]
    fn a_shard_without_new_items_loses_its_chunk_and_idle_spares_are_freed() {
        let queue = queue(2000, 512, 1);
        push_all(&queue, 0, 0..1000);
        drained(&queue);
        let memory = |queue: &Queue<Numbers>| {
            let spares = lock(&queue.spares).iter().map(Vec::capacity).sum::<usize>();
            (lock(&queue.shards[0].0).chunk.capacity() > 0, spares > 0)
        };
        push_all(&queue, 0, 0..1);
        drained(&queue);
        assert_eq!(memory(&queue), (true, true), "a spare chunk waits for the next item");
        drained(&queue);
        queue.free_spares();
        assert_eq!(memory(&queue), (false, false));
    }

    #[test]
    fn spare_chunks_are_bounded() {
        let queue = queue(100_000, 512, 1);
        push_all(&queue, 0, 0..50_000);
        drained(&queue);
        assert_eq!(lock(&queue.spares).len(), SPARES);
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "a test of several threads")]
    fn nothing_is_lost_between_threads() {
        const PER_THREAD: u32 = 20_000;
        let queue = Queue::<Numbers>::new(512, 20_000_000, 128, 4);
        let mut seen = std::thread::scope(|scope| {
            let producers: Vec<_> = (0..4u32)
                .map(|thread| {
                    let queue = &queue;
                    scope.spawn(move || {
                        for item in 0..PER_THREAD {
                            while matches!(
                                queue.push(thread as usize, thread * PER_THREAD + item),
                                Pushed::Full | Pushed::BytesFull
                            ) {
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
        drained(&queue);
        assert_eq!((queue.items.taken(), queue.bytes.taken()), (0, 0), "all room is back");
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::numbers::Numbers;
    use super::*;
    use loom::sync::Arc;
    use loom::thread;

    fn check(model: impl Fn() + Sync + Send + 'static) {
        let mut builder = loom::model::Builder::new();
        // Two preemptions suffice for every known class of queue errors; without a bound, this test would run for
        // hours.
        builder.preemption_bound = Some(2);
        builder.check(model);
    }

    fn push(queue: &Arc<Queue<Numbers>>, shard: usize, item: u32) -> thread::JoinHandle<Pushed> {
        let queue = queue.clone();
        thread::spawn(move || queue.push(shard, item))
    }

    fn was_refused(pushed: thread::JoinHandle<Pushed>) -> usize {
        usize::from(matches!(pushed.join().unwrap(), Pushed::Full | Pushed::BytesFull))
    }

    /// Two threads push while the worker drains. Checks that no item is lost or duplicated and that the limit holds.
    fn pushes_against_drains(queue: impl Fn() -> Queue<Numbers>) {
        let queue = Arc::new(queue());
        let producers: Vec<_> = (0..2).map(|shard| push(&queue, shard, 5)).collect();
        let mut chunks = Vec::new();
        let first = queue.drain_into(&mut chunks);
        assert!(first <= 1);
        queue.release(first);
        chunks.drain(..).for_each(|chunk| queue.recycle(chunk));
        let dropped: usize = producers.into_iter().map(was_refused).sum();
        let second = queue.drain_into(&mut chunks);
        assert!(second <= 1);
        assert_eq!(first + second + dropped, 2);
    }

    #[test]
    fn pushes_and_a_drain() {
        check(|| pushes_against_drains(|| Queue::new(1, 100, 1, 2)));
    }

    #[test]
    fn pushes_and_a_drain_with_bytes_for_one() {
        check(|| pushes_against_drains(|| Queue::new(10, 9, 1, 2)));
    }

    /// Every item fills its chunk, so chunks are filled, taken, recycled and reused while threads push.
    #[test]
    fn full_chunks_change_hands() {
        check(|| {
            // A chunk is full once it holds a 64th of the bytes.
            let queue = Arc::new(Queue::<Numbers>::new(4, 64, 4, 1));
            let producers: Vec<_> = (1..3).map(|item| push(&queue, 0, item)).collect();
            let mut seen = Vec::new();
            let mut chunks = Vec::new();
            for _ in 0..2 {
                queue.drain_into(&mut chunks);
                chunks.drain(..).for_each(|chunk| {
                    seen.extend_from_slice(&chunk);
                    queue.recycle(chunk);
                });
            }
            producers.into_iter().for_each(|producer| assert_eq!(was_refused(producer), 0));
            queue.drain_into(&mut chunks);
            seen.extend(chunks.drain(..).flatten());
            seen.sort_unstable();
            assert_eq!(seen, [1, 2]);
        });
    }

    /// A push that races with a close has a definite outcome: the item is either drained or refused.
    #[test]
    fn a_push_against_a_close() {
        loom::model(|| {
            let queue = Arc::new(Queue::<Numbers>::new(4, 100, 4, 1));
            let pusher = push(&queue, 0, 7);
            queue.close();
            let drained = queue.drain_into(&mut Vec::new());
            let pushed = pusher.join().unwrap();
            assert_eq!(drained, usize::from(pushed != Pushed::Closed));
        });
    }
}
