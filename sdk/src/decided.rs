//! The traces of this process as tail sampling sees them: their running local roots, and what has been decided about them.
//!
//! A local root is a span without a parent in this process. The tracer [opens](Decided::open) a trace when a local root starts, and the
//! tail sampler [closes](Decided::close) it when that span arrives. A trace in which no local root is running is complete, even if it
//! had several, as in a service that calls itself.
//!
//! The table remembers decisions for spans that end late, for log records and for exemplars: [`Decided::fate`] says if a trace was kept,
//! was dropped, or is undecided. It is bounded, and forgets the oldest traces first. A trace that it does not know may have been dropped.
//!
//! Host threads take a lock of one of several shards when a local root starts, and for log records and exemplars that ask. A forked
//! child takes none: everything is unknown there.

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hasher};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use opentelemetry::trace::TraceId;

use crate::process::Generation;
use crate::sync::unpoisoned;

/// The number of shards. Threads that start local roots at the same moment rarely share one.
const SHARDS: usize = 32;

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
    /// The maximum number of traces in a shard.
    max_traces: usize,
    keys: Keys,
    /// The number of traces in which an error is known.
    failed: AtomicUsize,
    /// In a forked child, a lock may stay locked forever.
    home: Generation,
}

#[derive(Debug)]
struct Shard {
    traces: HashMap<u128, Entry, Keys>,
    /// The traces, oldest first.
    order: VecDeque<u128>,
}

/// A trace in 16 bytes.
#[derive(Clone, Copy, Debug)]
struct Entry {
    mark: u64,
    open: u16,
    asked: u16,
    fate: Kind,
    has_failed: bool,
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
        let shard = || Mutex::new(Shard { traces: HashMap::with_hasher(keys), order: VecDeque::new() });
        Decided {
            shards: (0..SHARDS).map(|_| shard()).collect(),
            max_traces: max_traces.div_ceil(SHARDS).max(1),
            keys,
            failed: AtomicUsize::new(0),
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
        });
    }

    /// Notes that a span of the trace has failed.
    pub(crate) fn note_error(&self, trace: TraceId) {
        self.with(trace, |shard, key| {
            let Some(entry) = shard.traces.get_mut(&key) else { return };
            if !std::mem::replace(&mut entry.has_failed, true) {
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

    /// Changes the entry of a trace. A new one replaces the oldest one if the shard is full.
    fn update(&self, trace: TraceId, change: impl FnOnce(&mut Entry)) {
        self.with(trace, |shard, key| {
            let Shard { traces, order } = shard;
            change(traces.entry(key).or_insert_with(|| {
                order.push_back(key);
                Entry { mark: 0, open: 0, asked: 0, fate: Kind::Pending, has_failed: false }
            }));
            if order.len() > self.max_traces {
                let oldest = order.pop_front().and_then(|oldest| traces.remove(&oldest));
                if oldest.is_some_and(|entry| entry.has_failed) {
                    self.failed.fetch_sub(1, Ordering::Relaxed);
                }
            }
        });
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
        let decided = Decided::new(SHARDS * 10);
        for number in 0..100_000 {
            decided.open(trace(number), 0);
            decided.note_error(trace(number));
        }
        assert_eq!(decided.len(), SHARDS * 10);
        assert!(decided.fate(trace(99_999)).is_some() && decided.fate(trace(0)).is_none());
        assert_eq!(decided.failed.load(Ordering::Relaxed), SHARDS * 10);
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
