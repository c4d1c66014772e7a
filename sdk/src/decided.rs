//! The traces of this process as tail sampling sees them: their running local roots, and what has been decided about them.
//!
//! A local root is a span without a parent in this process. The tracer [opens](Decided::open) a trace when a local root starts, and the
//! tail sampler [closes](Decided::close) it when that span arrives, or what drops the span on its way [loses](Decided::lose) it. A trace in
//! which no local root is running is complete, even if it had several, as in a service that calls itself.
//!
//! A local root that starts is noted in a list of its thread; whoever asks next moves it into the table, usually the tail sampler.
//!
//! The table remembers decisions for spans that end late, for log records and for exemplars: [`Decided::fate`] says if a trace was kept,
//! was dropped, or is undecided. It is bounded, and forgets the oldest traces first, but those with running local roots last. A trace that
//! it does not know may have been dropped.
//!
//! When a local root starts, a host thread takes the lock of a list, and those of shards only once the list is full. For log records and
//! exemplars that ask, it moves what is in the lists and takes the lock of a shard. A forked child takes none: everything is unknown there.

mod keys;
mod opened;
mod past;
mod shard;
#[cfg(all(test, not(loom)))]
mod tests;

use std::hash::BuildHasher;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use opentelemetry::trace::TraceId;

pub(crate) use self::keys::Keys;
use self::opened::{Opened, Opening};
use self::shard::{Id, Shard};
use crate::process::Generation;
use crate::sync::unpoisoned;

/// The number of shards, so that threads which ask about a trace rarely wait for each other. Few, because the tail sampler visits all of
/// them, and the less memory it touches, the more of it is in the caches.
const SHARDS: usize = 8;
/// The minimum number of traces in a full shard. A program may have many local roots running at the same time, whatever the number of
/// traces that its tail sampler may hold.
const MIN_TRACES: usize = 256;

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
    /// Local roots that have started and are not in the shards yet.
    opened: Opened,
    shards: Box<[Mutex<Shard>]>,
    keys: Keys,
    /// The number of traces in which an error is known.
    failed: AtomicUsize,
    /// True if a shard has traces whose last local root was lost.
    has_lost: AtomicBool,
    /// In a forked child, a lock may stay locked forever.
    home: Generation,
}

impl Decided {
    /// Creates a table that knows up to about `max_traces` traces.
    pub(crate) fn new(max_traces: usize) -> Self {
        let (keys, max_traces) = (Keys::new(), max_traces.div_ceil(SHARDS).max(MIN_TRACES));
        Decided {
            opened: Opened::new(),
            shards: (0..SHARDS).map(|_| Mutex::new(Shard::new(max_traces, keys))).collect(),
            keys,
            failed: AtomicUsize::new(0),
            has_lost: AtomicBool::new(false),
            home: Generation::current(),
        }
    }

    /// Notes that a local root has started, with its answers to the questions about its context. Takes no lock for which other threads
    /// wait, except once in a while.
    pub(crate) fn open(&self, trace: TraceId, asked: u16) {
        self.note(Opening::new(trace, asked, false));
    }

    /// Like [`Self::open`], for a local root with whose start the trace began, so that nothing was decided about it before.
    pub(crate) fn open_first(&self, trace: TraceId, asked: u16) {
        self.note(Opening::new(trace, asked, true));
    }

    fn note(&self, opening: Opening) {
        if !self.home.is_past() && self.opened.add(opening) {
            self.settle();
        }
    }

    /// Moves the local roots that have started into the shards.
    #[inline]
    fn settle(&self) {
        self.opened.take(|opening| self.start(opening));
    }

    fn start(&self, opening: Opening) {
        let failed = self.with_shard(opening.key(), |shard, id| shard.start(opening, id));
        self.forgot(failed.unwrap_or(0));
    }

    /// Notes that a shard has forgotten this number of traces with an error.
    fn forgot(&self, failed: usize) {
        if failed > 0 {
            self.failed.fetch_sub(failed, Ordering::Relaxed);
        }
    }

    /// Notes that a local root has ended, and returns the state of its trace without it.
    pub(crate) fn close(&self, trace: TraceId) -> Option<Standing> {
        self.with(trace, |shard, id| {
            shard.end(id.key);
            shard.standing(id)
        })?
    }

    /// Notes that a local root was lost after its start, so that the tail sampler never sees it.
    pub(crate) fn lose(&self, trace: TraceId) {
        self.with(trace, |shard, id| {
            if shard.lose(id.key) {
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
        let take = |shard: &Mutex<Shard>| unpoisoned(shard.lock()).take_lost();
        self.shards.iter().flat_map(take).map(TraceId::from).collect()
    }

    /// Returns the state of a trace; `None` if it is not known.
    pub(crate) fn standing(&self, trace: TraceId) -> Option<Standing> {
        self.with(trace, |shard, id| shard.standing(id))?
    }

    /// Returns the number of local roots of a trace that are running, and the answers of all of them to the questions about their contexts.
    pub(crate) fn running(&self, trace: TraceId) -> (u16, u16) {
        self.with(trace, |shard, id| shard.running(id.key)).flatten().unwrap_or_default()
    }

    /// Returns what was decided about a trace; `None` if it is not known.
    pub(crate) fn fate(&self, trace: TraceId) -> Option<Fate> {
        self.standing(trace).map(|standing| standing.fate)
    }

    /// Notes a decision.
    pub(crate) fn decide(&self, trace: TraceId, fate: Fate) {
        self.decide_all(&mut vec![(trace, fate)]);
    }

    /// Notes decisions, and empties their list. Visits each shard once and does nothing else in between, so that the memory of several
    /// decisions is fetched at the same time.
    pub(crate) fn decide_all(&self, decisions: &mut Vec<(TraceId, Fate)>) {
        if decisions.is_empty() || self.home.is_past() {
            return decisions.clear();
        }
        self.settle();
        let decided: Vec<_> = decisions.drain(..).map(|(trace, fate)| (self.id(key_of(trace)), fate)).collect();
        for (index, shard) in self.shards.iter().enumerate() {
            let mut of_shard = decided.iter().filter(|(id, _)| id.shard() == index).peekable();
            if of_shard.peek().is_none() {
                continue;
            }
            let failed = unpoisoned(shard.lock()).decide(of_shard);
            self.forgot(failed);
        }
    }

    /// Notes that a span of the trace has failed.
    pub(crate) fn note_error(&self, trace: TraceId) {
        self.with(trace, |shard, id| {
            // Counted within the lock, so that the trace cannot be forgotten before.
            if shard.note_error(id.key) {
                self.failed.fetch_add(1, Ordering::Relaxed);
            }
        });
    }

    /// Returns true if a span of the trace has failed. Costs one load as long as there is no such trace.
    #[inline]
    pub(crate) fn has_failed(&self, trace: TraceId) -> bool {
        self.failed.load(Ordering::Relaxed) > 0 && self.with(trace, |shard, id| shard.has_failed(id.key)) == Some(true)
    }

    /// Returns the number of traces that are running or undecided.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.settle();
        self.shards.iter().map(|shard| unpoisoned(shard.lock()).len()).sum()
    }

    /// Runs `work` with the shard of a trace, except in a forked child.
    fn with<T>(&self, trace: TraceId, work: impl FnOnce(&mut Shard, Id) -> T) -> Option<T> {
        if self.home.is_past() {
            return None;
        }
        self.settle();
        self.with_shard(key_of(trace), work)
    }

    fn with_shard<T>(&self, key: u128, work: impl FnOnce(&mut Shard, Id) -> T) -> Option<T> {
        let id = self.id(key);
        let mut shard = unpoisoned(self.shards.get(id.shard())?.lock());
        Some(work(&mut shard, id))
    }

    fn id(&self, key: u128) -> Id {
        Id { key, hash: self.keys.hash_one(key) }
    }
}

fn key_of(trace: TraceId) -> u128 {
    u128::from_be_bytes(trace.to_bytes())
}

impl Id {
    fn shard(self) -> usize {
        // The low bits select the place within the shard.
        (self.hash >> 56) as usize % SHARDS
    }
}
