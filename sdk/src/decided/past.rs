//! What was decided about traces.

use std::collections::HashMap;

use super::{Fate, Keys};

/// The number of traces in a set.
const WAYS: usize = 8;
/// The number of places for each trace that is to be remembered. With so many, few sets have more traces than others.
const SPARE: usize = 2;

/// A table of sets, each in one cache line, because most decisions are written once and never looked at, and the memory is rarely in the
/// caches. A set forgets its oldest trace, so the table remembers nearly all of the last traces. A trace is known
/// by 62 bits of its hash.
#[derive(Debug)]
pub(super) struct Past {
    sets: Box<[Set]>,
    /// The marks of kept traces, in two generations: once the younger one is full, the older one is forgotten.
    marks: [HashMap<u128, u64, Keys>; 2],
    max_marks: usize,
}

/// The youngest first. Zero for none.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Set([u64; WAYS]);

const DROPPED: u64 = 1;
const KEPT: u64 = 2;
const KIND: u64 = 3;

impl Past {
    /// Creates a table that remembers nearly all of the last `max` traces.
    pub(super) fn new(max: usize, keys: Keys) -> Self {
        let sets = max.saturating_mul(SPARE).div_ceil(WAYS).max(1);
        Past {
            sets: vec![Set([0; WAYS]); sets].into_boxed_slice(),
            marks: [HashMap::with_hasher(keys), HashMap::with_hasher(keys)],
            max_marks: max.div_ceil(2).max(1),
        }
    }

    /// Notes what was decided about a trace with this id and this hash.
    pub(super) fn insert(&mut self, key: u128, hash: u64, fate: Fate) {
        let kind = match fate {
            Fate::Pending => return,
            Fate::Dropped => DROPPED,
            Fate::Kept(mark) => {
                self.remember(key, mark);
                KEPT
            }
        };
        let Some(Set(ways)) = self.set(hash).and_then(|index| self.sets.get_mut(index)) else { return };
        let name = hash & !KIND;
        match ways.iter_mut().find(|way| **way & !KIND == name && **way != 0) {
            Some(known) => *known = name | kind,
            None => {
                ways.copy_within(..WAYS - 1, 1);
                ways[0] = name | kind;
            }
        }
    }

    fn remember(&mut self, key: u128, mark: u64) {
        let [young, old] = &mut self.marks;
        if young.len() >= self.max_marks {
            std::mem::swap(young, old);
            young.clear();
        }
        young.insert(key, mark);
    }

    /// Returns what was decided about a trace.
    pub(super) fn get(&self, key: u128, hash: u64) -> Option<Fate> {
        let Set(ways) = self.sets.get(self.set(hash)?)?;
        let known = ways.iter().find(|way| **way & !KIND == hash & !KIND && **way != 0)?;
        match known & KIND {
            DROPPED => Some(Fate::Dropped),
            _ => self.marks.iter().find_map(|marks| marks.get(&key)).map(|mark| Fate::Kept(*mark)),
        }
    }

    /// Returns the index of the set for this hash, whose highest bits are the same in all of the table.
    fn set(&self, hash: u64) -> Option<usize> {
        let place = u128::from(hash.rotate_left(16)) * self.sets.len() as u128;
        usize::try_from(place >> 64).ok()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::hash::BuildHasher;

    use super::*;

    /// Notes `number` traces, of which every seventh is kept, and returns how many of the last `last` are known.
    fn known(past: &mut Past, keys: Keys, number: u128, last: u128) -> usize {
        let fate = |trace: u128| if trace % 7 == 0 { Fate::Kept(trace as u64) } else { Fate::Dropped };
        for trace in 0..number {
            past.insert(trace, keys.hash_one(trace), Fate::Dropped);
            assert_eq!(past.get(trace, keys.hash_one(trace)), Some(Fate::Dropped));
            past.insert(trace, keys.hash_one(trace), fate(trace));
        }
        let is_known = |trace: &u128| past.get(*trace, keys.hash_one(*trace)) == Some(fate(*trace));
        (number - last..number).filter(is_known).count()
    }

    #[test]
    fn the_last_traces_are_known_and_older_ones_make_room() {
        let keys = Keys::new();
        let mut past = Past::new(1000, keys);
        assert!(known(&mut past, keys, 100_000, 500) >= 490);
        assert!(known(&mut past, keys, 100_000, 1000) >= 930);
        assert!((0..90_000).filter(|trace| past.get(*trace, keys.hash_one(*trace)).is_some()).count() < 20);
        assert!(past.marks.iter().all(|marks| marks.len() <= 500));
    }

    #[test]
    fn a_table_for_nothing_still_knows_the_last_trace() {
        let keys = Keys::new();
        let mut past = Past::new(0, keys);
        assert_eq!(known(&mut past, keys, 1000, 1), 1);
    }
}
