//! Per-thread tables of the series that a thread has recorded into, which allow the thread to find the series again
//! without a lock.
//!
//! A stream has a slot number and an epoch. When a thread records into a slot, it discards entries that belong to an
//! older epoch or to a dropped stream that used the same slot.

use std::cell::RefCell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use opentelemetry::KeyValue;

use super::known_lists::KnownLists;
use super::one::Series;
use super::table::Table;
use crate::metrics::config::StreamConfig;
use crate::metrics::data::Fingerprint;
use crate::sync::{Arc, unpoisoned};

#[derive(Default)]
struct Local {
    streams: Vec<Remembered>,
    lists: KnownLists,
}

#[derive(Default)]
struct Remembered {
    epoch: u64,
    series: Table,
    aliases: Aliases,
}

/// Number of aliases that share some bits of their fingerprints and that a thread knows at once. Lists that a program alternates between
/// often share a set by chance, and must not push each other out.
const WAYS: usize = 4;

/// Number of sets of aliases that a thread knows for each stream, a power of two.
const SETS: usize = 16;

/// The series of attribute lists that a redactor changes, by the fingerprint of the list as it is given. Many lists may become one, so
/// their number is bounded: in each set, the newest pushes out the oldest.
#[derive(Default)]
struct Aliases(
    /// Empty until there is an alias.
    Box<[[Option<Alias>; WAYS]]>,
);

type Alias = (Fingerprint, Arc<Series>);

impl Aliases {
    fn index(fingerprint: Fingerprint) -> usize {
        (fingerprint.place >> (u64::BITS - SETS.trailing_zeros())) as usize
    }

    fn find(&self, fingerprint: Fingerprint) -> Option<&Series> {
        let set = self.0.get(Aliases::index(fingerprint))?;
        set.iter().flatten().find(|(known, _)| *known == fingerprint).map(|(_, series)| &**series)
    }

    /// Adds an alias that [`find`](Aliases::find) does not know. Returns the one that it pushes out.
    fn insert(&mut self, fingerprint: Fingerprint, series: Arc<Series>) -> Option<Alias> {
        if self.0.is_empty() {
            self.0 = (0..SETS).map(|_| Default::default()).collect();
        }
        let set = self.0.get_mut(Aliases::index(fingerprint))?;
        set.rotate_right(1);
        set.first_mut()?.replace((fingerprint, series))
    }
}

thread_local! {
    static LOCAL: RefCell<Local> = RefCell::default();
}

/// Calls `hit` if this thread has recorded into the series of the given attributes before. Otherwise returns their
/// fingerprint.
#[inline(always)]
pub(crate) fn find(
    slot: &Slot,
    epoch: u64,
    config: &StreamConfig,
    given: &[KeyValue],
    hit: impl FnOnce(&Series),
) -> Result<(), Fingerprint> {
    let found = LOCAL.try_with(|local| {
        // The table is already borrowed only if a user's reservoir records a measurement during `remember` below.
        let Ok(local) = local.try_borrow() else { return Found::Unavailable };
        let (fingerprint, is_due) = match local.lists.find(config, given) {
            Some(known) => (known, false),
            None => {
                let fingerprint = config.fingerprint(given);
                (fingerprint, local.lists.is_due(config, given, fingerprint))
            }
        };
        let Some(remembered) = local.streams.get(slot.0).filter(|remembered| remembered.epoch == epoch) else {
            return Found::Nothing(fingerprint);
        };
        let is_it = |series: &Series| series.check == fingerprint.check;
        let known = remembered.series.find(fingerprint.place, is_it).map(|series| &**series);
        let Some(series) = known.or_else(|| remembered.aliases.find(fingerprint)) else {
            return Found::Nothing(fingerprint);
        };
        hit(series);
        if is_due { Found::Repeated(fingerprint) } else { Found::Series }
    });
    match found {
        Ok(Found::Series) => Ok(()),
        Ok(Found::Repeated(fingerprint)) => {
            know(given, fingerprint);
            Ok(())
        }
        Ok(Found::Nothing(fingerprint)) => Err(fingerprint),
        Ok(Found::Unavailable) | Err(_) => Err(config.fingerprint(given)),
    }
}

/// The result of a look at the thread's tables.
enum Found {
    Series,
    /// Found, and the thread should remember the list of attributes.
    Repeated(Fingerprint),
    Nothing(Fingerprint),
    Unavailable,
}

/// Remembers the fingerprint of a list that this thread passes repeatedly.
#[cold]
#[inline(never)]
fn know(given: &[KeyValue], fingerprint: Fingerprint) {
    let _ = LOCAL.try_with(|local| local.try_borrow_mut().map(|mut local| local.lists.add(given, fingerprint)));
}

/// Remembers the series so that [`find`] returns it on this thread from now on.
pub(crate) fn remember(slot: &Slot, epoch: u64, config: &StreamConfig, place: u64, series: Arc<Series>) {
    edit(slot, epoch, config, |remembered| {
        if remembered.series.find(place, |known| std::ptr::eq(known, &*series)).is_none() {
            remembered.series.insert(place, series);
        }
        None
    });
}

/// Remembers the series of a list with this fingerprint, whose attributes differ from those of the series.
pub(crate) fn remember_alias(slot: &Slot, epoch: u64, config: &StreamConfig, of: Fingerprint, series: Arc<Series>) {
    edit(slot, epoch, config, |remembered| remembered.aliases.insert(of, series));
}

/// Edits what this thread remembers of a stream in this epoch. `edit` returns what it has replaced.
fn edit(slot: &Slot, epoch: u64, config: &StreamConfig, edit: impl FnOnce(&mut Remembered) -> Option<Alias>) {
    let forgotten = LOCAL.try_with(|local| {
        let mut local = local.try_borrow_mut().ok()?;
        local.lists.prepare(config);
        if local.streams.len() <= slot.0 {
            local.streams.resize_with(slot.0 + 1, Remembered::default);
        }
        let remembered = local.streams.get_mut(slot.0)?;
        let mut forgotten = Remembered::default();
        if remembered.epoch != epoch {
            forgotten = std::mem::replace(remembered, Remembered { epoch, ..Remembered::default() });
        }
        let replaced = edit(remembered);
        Some((forgotten, replaced))
    });
    // Drop after the borrow ends, because dropping a series may run a user's reservoir.
    drop(forgotten);
}

/// The slot number of a stream, unique among live streams.
pub(crate) struct Slot(usize);

/// Free slot numbers, and the lowest number never used.
static SLOTS: Mutex<(Vec<usize>, usize)> = Mutex::new((Vec::new(), 0));

impl Slot {
    pub(crate) fn new() -> Self {
        let mut slots = unpoisoned(SLOTS.lock());
        let slot = slots.0.pop().unwrap_or(slots.1);
        slots.1 = slots.1.max(slot + 1);
        Slot(slot)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        unpoisoned(SLOTS.lock()).0.push(self.0);
    }
}

/// Returns an epoch that no stream has used before.
pub(crate) fn next_epoch() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::metrics::series::store::Store;
    use crate::time::Timestamp;

    #[test]
    fn lists_that_share_a_set_of_aliases_stay_known_until_newer_ones_fill_it() {
        let (store, config) = (Store::new(Timestamp::default()), StreamConfig::counter());
        let mut aliases = Aliases::default();
        let list = |check| Fingerprint { place: 7 << 60 | check, check };
        let mut pushed_out = Vec::new();
        for number in 0..6 {
            assert!(aliases.find(list(number)).is_none());
            let value = i64::try_from(number).unwrap();
            let series = store.series(&config, &[KeyValue::new("k", value)], 0);
            pushed_out.extend(aliases.insert(list(number), series).map(|(known, _)| known.check));
            for known in number.saturating_sub(3)..=number {
                let found = aliases.find(list(known)).map(|series| series.attributes[0].value.clone());
                assert_eq!(found, i64::try_from(known).ok().map(Into::into));
            }
        }
        assert_eq!(pushed_out, [0, 1]);
        assert!(aliases.find(Fingerprint { place: 8 << 60, check: 5 }).is_none());
    }
}
