//! A shard of the table: the traces that are running or undecided, oldest first, and what was decided.

use std::collections::{HashMap, VecDeque};

use super::opened::Opening;
use super::past::Past;
use super::{Fate, Keys, Standing};

/// The number of traces that a full shard looks at to find one to forget.
const MAX_STEPS: usize = 8;
/// The number of traces that are gone and may be in the list of a shard by age, beside as many as there are in the shard.
pub(super) const MAX_GONE: usize = 16;

/// Traces with similar hashes. Methods that may forget traces return how many of them had an error, because the table counts those.
#[derive(Debug)]
pub(super) struct Shard {
    /// The number of traces at which the shard is full. It may have a quarter more if the oldest ones are all running.
    max_traces: usize,
    /// The traces that are running or undecided. They are few, so their memory is in the caches.
    traces: HashMap<u128, Entry, Keys>,
    /// These traces, oldest first, with their serial numbers. Traces that are gone are skipped.
    order: VecDeque<([u64; 2], u32)>,
    next_serial: u32,
    /// What was decided, also about traces that are running again or still.
    past: Past,
    /// The traces whose last local root was lost.
    lost: Vec<u128>,
}

/// The id of a trace, with its hash.
#[derive(Clone, Copy)]
pub(super) struct Id {
    pub(super) key: u128,
    pub(super) hash: u64,
}

/// A trace in 12 bytes.
#[derive(Clone, Copy, Debug)]
struct Entry {
    serial: u32,
    open: u16,
    asked: u16,
    /// True if something was decided about the trace.
    is_decided: bool,
    has_failed: bool,
}

impl Shard {
    pub(super) fn new(max_traces: usize, keys: Keys) -> Self {
        Shard {
            max_traces,
            traces: HashMap::with_hasher(keys),
            order: VecDeque::new(),
            next_serial: 0,
            past: Past::new(max_traces, keys),
            lost: Vec::new(),
        }
    }

    /// Notes that a local root has started.
    #[must_use]
    pub(super) fn start(&mut self, opening: Opening, Id { key, hash }: Id) -> usize {
        let Shard { max_traces, traces, order, next_serial, past, .. } = self;
        let entry = traces.entry(key).or_insert_with(|| {
            *next_serial = next_serial.wrapping_add(1);
            order.push_back((halves(key), *next_serial));
            let is_decided = !opening.is_first && past.get(key, hash).is_some();
            Entry { serial: *next_serial, open: 0, asked: 0, is_decided, has_failed: false }
        });
        entry.open = entry.open.saturating_add(1);
        entry.asked |= opening.asked;
        let is_there =
            |(key, serial): &([u64; 2], u32)| traces.get(&whole(*key)).is_some_and(|entry| entry.serial == *serial);
        // Most traces end in the order in which they started, so the first ones are gone.
        let gone = order.iter().take(MAX_GONE).take_while(|first| !is_there(first)).count();
        order.drain(..gone);
        if order.len() > 2 * traces.len() + MAX_GONE {
            order.retain(is_there);
        }
        if traces.len() > *max_traces { self.forget_some() } else { 0 }
    }

    /// Notes that a local root has ended. Returns true if it was the last one that was running.
    pub(super) fn end(&mut self, key: u128) -> bool {
        let Some(entry) = self.traces.get_mut(&key).filter(|entry| entry.open > 0) else { return false };
        entry.open -= 1;
        entry.open == 0
    }

    /// Notes that a local root was lost. Returns true if it was the last one that was running, so that the trace is among the
    /// [lost](Self::take_lost) ones.
    pub(super) fn lose(&mut self, key: u128) -> bool {
        // If the tail sampler hangs, the list stays bounded.
        let is_over = self.end(key) && self.lost.len() < self.max_traces;
        if is_over {
            self.lost.push(key);
        }
        is_over
    }

    pub(super) fn take_lost(&mut self) -> Vec<u128> {
        std::mem::take(&mut self.lost)
    }

    pub(super) fn standing(&self, Id { key, hash }: Id) -> Option<Standing> {
        let Some(entry) = self.traces.get(&key) else {
            return self.past.get(key, hash).map(|fate| Standing { fate, open: 0, asked: 0 });
        };
        let fate = if entry.is_decided { self.past.get(key, hash) } else { None };
        Some(Standing { fate: fate.unwrap_or(Fate::Pending), open: entry.open, asked: entry.asked })
    }

    /// Returns the number of local roots that are running, and their answers.
    pub(super) fn running(&self, key: u128) -> Option<(u16, u16)> {
        self.traces.get(&key).map(|entry| (entry.open, entry.asked))
    }

    /// Notes decisions. Looks at each table once, so that the memory of several decisions is fetched at the same time.
    #[must_use]
    pub(super) fn decide<'a>(&mut self, decisions: impl Iterator<Item = &'a (Id, Fate)> + Clone) -> usize {
        for (Id { key, hash }, fate) in decisions.clone() {
            self.past.insert(*key, *hash, *fate);
        }
        let mut failed = 0;
        for (Id { key, .. }, _) in decisions {
            match self.traces.get_mut(key) {
                Some(entry) if entry.open > 0 => entry.is_decided = true,
                Some(_) => failed += self.forget(*key),
                None => {}
            }
        }
        failed
    }

    /// Notes that a span of the trace has failed. Returns true if this was not known, and may still matter.
    pub(super) fn note_error(&mut self, key: u128) -> bool {
        let Some(entry) = self.traces.get_mut(&key) else { return false };
        let is_over = entry.open == 0 && entry.is_decided;
        !is_over && !std::mem::replace(&mut entry.has_failed, true)
    }

    pub(super) fn has_failed(&self, key: u128) -> bool {
        self.traces.get(&key).is_some_and(|entry| entry.has_failed)
    }

    /// Returns the number of traces that are running or undecided.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.traces.len()
    }

    /// Returns the length of the list by age.
    #[cfg(test)]
    pub(super) fn listed(&self) -> usize {
        self.order.len()
    }

    /// Forgets old traces of a shard that has too many. Moves those with running local roots to the end, because their spans would be
    /// decided one by one; but forgets them as well if there are too many of them.
    fn forget_some(&mut self) -> usize {
        let (mut steps, mut failed) = (0, 0);
        while steps < MAX_STEPS && self.traces.len() > self.max_traces {
            let Some((halves, serial)) = self.order.pop_front() else { break };
            let oldest = whole(halves);
            let Some(entry) = self.traces.get(&oldest).filter(|entry| entry.serial == serial) else { continue };
            steps += 1;
            if entry.open > 0 && self.traces.len() <= self.max_traces + self.max_traces / 4 {
                self.order.push_back((halves, serial));
            } else {
                failed += self.forget(oldest);
            }
        }
        failed
    }

    /// Forgets that a trace is running or undecided. What was decided about it remains.
    fn forget(&mut self, key: u128) -> usize {
        usize::from(self.traces.remove(&key).is_some_and(|entry| entry.has_failed))
    }
}

/// Returns a key in halves, because a number of 16 bytes would be aligned to as many in a list.
pub(super) fn halves(key: u128) -> [u64; 2] {
    [(key >> 64) as u64, key as u64]
}

pub(super) fn whole([high, low]: [u64; 2]) -> u128 {
    u128::from(high) << 64 | u128::from(low)
}
