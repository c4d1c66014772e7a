//! The traces of this process as tail sampling sees them: their running local roots, and what has been decided about them.
//!
//! A local root is a span without a parent in this process. The tracer [opens](Decided::open) a trace when a local root starts, and the
//! tail sampler [closes](Decided::close) it when that span arrives, or whoever [loses](Decided::lose) the span on its way. A trace in which no local root is running is complete, even if it
//! had several, as in a service that calls itself.
//!
//! The table remembers decisions for spans that end late, for log records and for exemplars: [`Decided::fate`] says if a trace was kept,
//! was dropped, or is undecided. It is bounded, and forgets the oldest traces first, but those with running local roots last. A trace that
//! it does not know may have been dropped.
//!
//! Host threads take a lock of one of several shards when a local root starts, and for log records and exemplars that ask. A forked
//! child takes none: everything is unknown there.

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hasher};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use opentelemetry::trace::TraceId;

use crate::process::Generation;
use crate::sync::unpoisoned;

/// The number of shards. Threads that start local roots at the same moment rarely share one.
const SHARDS: usize = 32;
/// The minimum number of traces in a full shard. A program may have many local roots running at the same time, whatever the number of
/// traces that its tail sampler may hold.
const MIN_TRACES: usize = 64;
/// The number of traces that a full shard looks at to find one to forget.
const MAX_STEPS: usize = 8;

/// What was decided about a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nothing yet.
    Pending,
    /// The trace is not exported.
    Dropped,
    /// The trace is exported, with this mark of the tail sampler.
    Kept(u64),
}

/// The state of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) fate: Fate,
    /// The number of local roots that have started and have not arrived.
    pub(crate) open: u16,
    /// The questions about the context to which the start of a local root said yes, as bits.
    pub(crate) asked: u16,
}

/// The traces of a telemetry with tail sampling. Shared by its tracer, its stages and its exemplars.
#[derive(Debug)]
pub(crate) struct Decided {
    shards: Box<[Mutex<Shard>]>,
    /// The number of traces at which a shard is full. It may have a quarter more if the oldest ones are all running.
    max_traces: usize,
    keys: Keys,
    /// The number of traces in which an error is known.
    failed: AtomicUsize,
    /// True if a shard has traces whose last local root was lost.
    has_lost: AtomicBool,
    /// In a forked child, a lock may stay locked forever.
    home: Generation,
}

#[derive(Debug)]
struct Shard {
    traces: HashMap<u128, Entry, Keys>,
    /// The traces, oldest first.
    order: VecDeque<u128>,
    /// The traces whose last local root was lost.
    lost: Vec<u128>,
}

/// A trace in 16 bytes.
#[derive(Clone, Copy, Debug)]
struct Entry {
    mark: u64,
    open: u16,
    asked: u16,
    fate: Kind,
    has_failed: bool,
    /// True while the trace is in [`Shard::lost`].
    is_lost: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Pending,
    Dropped,
    Kept,
}

impl Decided {
    /// Creates a table that knows up to about `max_traces` traces.
    pub(crate) fn new(max_traces: usize) -> Self {
        let keys = Keys::new();
        let shard =
            || Mutex::new(Shard { traces: HashMap::with_hasher(keys), order: VecDeque::new(), lost: Vec::new() });
        Decided {
            shards: (0..SHARDS).map(|_| shard()).collect(),
            max_traces: max_traces.div_ceil(SHARDS).max(MIN_TRACES),
            keys,
            failed: AtomicUsize::new(0),
            has_lost: AtomicBool::new(false),
            home: Generation::current(),
        }
    }

    /// Notes that a local root has started, with its answers to the questions about its context.
    pub(crate) fn open(&self, trace: TraceId, asked: u16) {
        self.update(trace, |entry| {
            entry.open = entry.open.saturating_add(1);
            entry.asked |= asked;
        });
    }

    /// Notes that a local root has ended, and returns the state of its trace without it.
    pub(crate) fn close(&self, trace: TraceId) -> Option<Standing> {
        self.with(trace, |shard, key| {
            let entry = shard.traces.get_mut(&key)?;
            entry.open = entry.open.saturating_sub(1);
            Some(entry.standing())
        })?
    }

    /// Notes that a local root was lost after its start, so that the tail sampler never sees it.
    pub(crate) fn lose(&self, trace: TraceId) {
        self.with(trace, |shard, key| {
            let Some(entry) = shard.traces.get_mut(&key) else { return };
            entry.open = entry.open.saturating_sub(1);
            // If the tail sampler hangs, the list stays bounded.
            if entry.open == 0 && !entry.is_lost && shard.lost.len() < self.max_traces {
                entry.is_lost = true;
                shard.lost.push(key);
                self.has_lost.store(true, Ordering::Relaxed);
            }
        });
    }

    /// Takes the traces whose last local root was lost since the last call.
    pub(crate) fn take_lost(&self) -> Vec<TraceId> {
        if !self.has_lost.load(Ordering::Relaxed) || self.home.is_past() {
            return Vec::new();
        }
        // The flag is reset first, so that what is lost from now on sets it again.
        self.has_lost.store(false, Ordering::Relaxed);
        let take = |shard: &Mutex<Shard>| {
            let Shard { traces, lost, .. } = &mut *unpoisoned(shard.lock());
            let taken = std::mem::take(lost);
            for key in &taken {
                if let Some(entry) = traces.get_mut(key) {
                    entry.is_lost = false;
                }
            }
            taken.into_iter().map(TraceId::from)
        };
        self.shards.iter().flat_map(take).collect()
    }

    /// Returns the state of a trace; `None` if it is not known.
    pub(crate) fn standing(&self, trace: TraceId) -> Option<Standing> {
        self.with(trace, |shard, key| shard.traces.get(&key).map(Entry::standing))?
    }

    /// Returns what was decided about a trace; `None` if it is not known.
    pub(crate) fn fate(&self, trace: TraceId) -> Option<Fate> {
        self.standing(trace).map(|standing| standing.fate)
    }

    /// Notes a decision.
    pub(crate) fn decide(&self, trace: TraceId, fate: Fate) {
        self.update(trace, |entry| {
            (entry.fate, entry.mark) = match fate {
                Fate::Pending => (Kind::Pending, 0),
                Fate::Dropped => (Kind::Dropped, 0),
                Fate::Kept(mark) => (Kind::Kept, mark),
            };
            // Nothing starts in the trace any more that could be told about the error.
            if entry.open == 0 && std::mem::take(&mut entry.has_failed) {
                self.failed.fetch_sub(1, Ordering::Relaxed);
            }
        });
    }

    /// Notes that a span of the trace has failed.
    pub(crate) fn note_error(&self, trace: TraceId) {
        self.with(trace, |shard, key| {
            let Some(entry) = shard.traces.get_mut(&key) else { return };
            let is_over = entry.open == 0 && entry.fate != Kind::Pending;
            if !is_over && !std::mem::replace(&mut entry.has_failed, true) {
                self.failed.fetch_add(1, Ordering::Relaxed);
            }
        });
    }

    /// Returns true if a span of the trace has failed. Costs one load as long as there is no such trace.
    #[inline]
    pub(crate) fn has_failed(&self, trace: TraceId) -> bool {
        self.failed.load(Ordering::Relaxed) > 0
            && self.with(trace, |shard, key| shard.traces.get(&key).is_some_and(|entry| entry.has_failed)) == Some(true)
    }

    /// Returns the number of known traces.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| unpoisoned(shard.lock()).traces.len()).sum()
    }

    /// Changes the entry of a trace. A new one may replace older ones.
    fn update(&self, trace: TraceId, change: impl FnOnce(&mut Entry)) {
        self.with(trace, |shard, key| {
            let Shard { traces, order, .. } = shard;
            change(traces.entry(key).or_insert_with(|| {
                order.push_back(key);
                Entry { mark: 0, open: 0, asked: 0, fate: Kind::Pending, has_failed: false, is_lost: false }
            }));
            if order.len() > self.max_traces {
                self.forget_some(shard);
            }
        });
    }

    /// Forgets old traces of a shard that has too many. Moves those with running local roots to the end, because their spans would be
    /// decided one by one; but forgets them as well if there are too many of them.
    fn forget_some(&self, shard: &mut Shard) {
        for _ in 0..MAX_STEPS {
            if shard.order.len() <= self.max_traces {
                return;
            }
            let Some(oldest) = shard.order.pop_front() else { return };
            let is_running = shard.traces.get(&oldest).is_some_and(|entry| entry.open > 0);
            if is_running && shard.order.len() < self.max_traces + self.max_traces / 4 {
                shard.order.push_back(oldest);
            } else if shard.traces.remove(&oldest).is_some_and(|entry| entry.has_failed) {
                self.failed.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// Runs `work` with the shard of a trace, except in a forked child.
    fn with<T>(&self, trace: TraceId, work: impl FnOnce(&mut Shard, u128) -> T) -> Option<T> {
        if self.home.is_past() {
            return None;
        }
        let key = u128::from_be_bytes(trace.to_bytes());
        // The low bits select the place within the shard.
        let index = (self.keys.hash_one(key) >> 56) as usize % SHARDS;
        let shard = self.shards.get(index)?;
        let mut shard = unpoisoned(shard.lock());
        Some(work(&mut shard, key))
    }
}

impl Entry {
    fn standing(&self) -> Standing {
        let fate = match self.fate {
            Kind::Pending => Fate::Pending,
            Kind::Dropped => Fate::Dropped,
            Kind::Kept => Fate::Kept(self.mark),
        };
        Standing { fate, open: self.open, asked: self.asked }
    }
}

/// Hashes trace ids with secrets of the process, because a remote parent may choose them. Much faster than the default for 16 bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keys([u64; 2]);

impl Keys {
    pub(crate) fn new() -> Self {
        let state = RandomState::new();
        Keys([0_u64, 1].map(|word| state.hash_one(word)))
    }
}

impl BuildHasher for Keys {
    type Hasher = KeyHasher;

    #[inline]
    fn build_hasher(&self) -> KeyHasher {
        KeyHasher { keys: self.0, hash: 0 }
    }
}

/// The hasher of [`Keys`].
#[derive(Debug)]
pub(crate) struct KeyHasher {
    keys: [u64; 2],
    hash: u64,
}

impl KeyHasher {
    #[inline]
    fn fold(&mut self, high: u64, low: u64) {
        let product = u128::from(high ^ self.keys[0]) * u128::from(low ^ self.keys[1] ^ self.hash.rotate_left(32));
        // A second multiplication spreads every bit over the whole word.
        let folded = (product as u64) ^ (product >> 64) as u64;
        self.hash = folded.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (folded >> 32);
    }
}

impl Hasher for KeyHasher {
    #[inline]
    fn write_u128(&mut self, value: u128) {
        self.fold((value >> 64) as u64, value as u64);
    }

    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(8) {
            let mut word = [0; 8];
            word.iter_mut().zip(part).for_each(|(to, from)| *to = *from);
            self.fold(u64::from_le_bytes(word), part.len() as u64);
        }
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.hash
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn trace(number: u128) -> TraceId {
        TraceId::from(number)
    }

    #[test]
    fn a_trace_is_complete_once_each_of_its_local_roots_has_ended() {
        let decided = Decided::new(100);
        decided.open(trace(1), 0b01);
        decided.open(trace(1), 0b10);
        let open = |standing: Option<Standing>| standing.map(|standing| (standing.open, standing.asked));
        assert_eq!(open(decided.close(trace(1))), Some((1, 0b11)));
        assert_eq!(open(decided.close(trace(1))), Some((0, 0b11)));
        assert_eq!(open(decided.close(trace(1))), Some((0, 0b11)));
        assert_eq!(decided.close(trace(2)), None);
    }

    #[test]
    fn decisions_are_remembered_and_may_change() {
        let decided = Decided::new(100);
        assert_eq!(decided.fate(trace(1)), None);
        decided.open(trace(1), 0);
        assert_eq!(decided.fate(trace(1)), Some(Fate::Pending));
        for fate in [Fate::Dropped, Fate::Kept(u64::MAX), Fate::Kept(7)] {
            decided.decide(trace(1), fate);
            assert_eq!(decided.fate(trace(1)), Some(fate));
        }
        decided.decide(trace(2), Fate::Dropped);
        assert_eq!(decided.fate(trace(2)), Some(Fate::Dropped));
    }

    #[test]
    fn the_oldest_traces_are_forgotten_first() {
        let decided = Decided::new(SHARDS * MIN_TRACES);
        for number in 0..100_000 {
            decided.open(trace(number), 0);
            decided.note_error(trace(number));
            decided.close(trace(number));
        }
        assert_eq!(decided.len(), SHARDS * MIN_TRACES);
        assert!(decided.fate(trace(99_999)).is_some() && decided.fate(trace(0)).is_none());
        assert_eq!(decided.failed.load(Ordering::Relaxed), SHARDS * MIN_TRACES);
    }

    #[test]
    fn a_small_table_knows_the_traces_that_run() {
        let decided = Decided::new(1);
        (0..1000).for_each(|number| decided.open(trace(number), 1));
        assert!((0..1000).all(|number| decided.standing(trace(number)).is_some()));
    }

    #[test]
    fn traces_that_run_outlast_those_that_are_over() {
        let decided = Decided::new(SHARDS * MIN_TRACES);
        // A quarter of the table runs for long, as connections do.
        (0..500).for_each(|number| decided.open(trace(number), 0));
        for number in 500..100_000 {
            decided.open(trace(number), 0);
            decided.close(trace(number));
        }
        let known = (0..500).filter(|number| decided.standing(trace(*number)).is_some()).count();
        assert_eq!(known, 500);
        assert!(decided.len() <= SHARDS * MIN_TRACES * 5 / 4);
    }

    #[test]
    fn memory_is_bounded_if_all_traces_run_without_end() {
        let decided = Decided::new(SHARDS * MIN_TRACES);
        for number in 0..100_000 {
            decided.open(trace(number), 0);
            decided.note_error(trace(number));
        }
        assert_eq!(decided.len(), SHARDS * MIN_TRACES * 5 / 4);
        assert_eq!(decided.failed.load(Ordering::Relaxed), decided.len());
        assert!(decided.fate(trace(99_999)).is_some());
        // Once they end, others take their places.
        for number in 0..100_000 {
            decided.close(trace(number));
        }
        (100_000..200_000).for_each(|number| decided.decide(trace(number), Fate::Dropped));
        assert_eq!((decided.len(), decided.failed.load(Ordering::Relaxed)), (SHARDS * MIN_TRACES, 0));
    }

    #[test]
    fn a_trace_is_reported_once_its_last_local_root_was_lost() {
        let decided = Decided::new(100);
        decided.lose(trace(9));
        assert_eq!(decided.take_lost(), [], "it has not started");
        (0..2).for_each(|_| decided.open(trace(1), 0));
        decided.lose(trace(1));
        assert_eq!(decided.take_lost(), []);
        decided.lose(trace(1));
        decided.lose(trace(1));
        assert_eq!((decided.take_lost(), decided.take_lost()), (vec![trace(1)], vec![]));
        decided.open(trace(1), 0);
        decided.lose(trace(1));
        assert_eq!(decided.take_lost(), [trace(1)]);
        // Even if nothing takes them, they are bounded.
        for number in 0..100_000 {
            decided.open(trace(number), 0);
            decided.lose(trace(number));
        }
        assert!(decided.take_lost().len() <= SHARDS * MIN_TRACES);
    }

    #[test]
    fn an_error_is_over_with_the_decision() {
        let decided = Decided::new(100);
        (0..2).for_each(|_| decided.open(trace(1), 0));
        decided.note_error(trace(1));
        decided.close(trace(1));
        decided.decide(trace(1), Fate::Kept(1));
        assert!(decided.has_failed(trace(1)), "a local root is still running");
        decided.close(trace(1));
        decided.decide(trace(1), Fate::Kept(1));
        assert!(!decided.has_failed(trace(1)));
        decided.note_error(trace(1));
        assert!(!decided.has_failed(trace(1)));
        // From now on, no span costs more than a load again.
        assert_eq!(decided.failed.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn an_error_is_known_for_its_trace_alone() {
        let decided = Decided::new(100);
        decided.note_error(trace(1));
        decided.open(trace(1), 0);
        assert!(!decided.has_failed(trace(1)), "an error before the start of the trace says nothing about it");
        decided.note_error(trace(1));
        decided.note_error(trace(1));
        assert!(decided.has_failed(trace(1)) && !decided.has_failed(trace(2)));
        assert_eq!(decided.failed.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn ids_that_count_up_spread_over_shards_and_places() {
        let keys = Keys::new();
        for step in [1_u128, 1 << 56, 1 << 64, 1 << 100] {
            let hashes: Vec<u64> = (0..4096).map(|number| keys.hash_one(number * step)).collect();
            let distinct = |part: &dyn Fn(u64) -> u64| {
                let mut parts: Vec<_> = hashes.iter().map(|hash| part(*hash)).collect();
                parts.sort_unstable();
                parts.dedup();
                parts.len()
            };
            // Of 4096 random numbers, about 2589 of 4096 places are taken.
            assert!(distinct(&|hash| hash & 4095) > 2000, "{step}");
            assert!(distinct(&|hash| hash >> 52) > 2000, "{step}");
        }
    }
}
