//! All series of a stream. Series are created until the limit is reached. Under delta temporality, they are evicted when
//! they are no longer used, and otherwise they expire if the stream says so (`idle`).
//!
//! A thread that already holds a series bypasses the store. Each delta collection starts a new epoch, after which
//! every thread has to look up its series in the store again; series that no thread looks up are evicted. A thread may
//! still be recording into an evicted series, so the store keeps collecting the series until no thread can hold it.

use std::collections::HashSet;
use std::time::Duration;

use opentelemetry::KeyValue;

use super::idle::{Idle, Look};
use super::local;
use super::local::Slot;
use super::maps::{Held, Maps};
use super::one::Series;
use super::striped::Owner;
use crate::metrics::config::StreamConfig;
use crate::metrics::data::{Attributes, Fingerprint, is_same_set, is_same_value};
use crate::process::Generation;
use crate::sync::{Arc, AtomicU64, Mutex, Ordering, lock};
use crate::time::Timestamp;

/// Number of series in a stream that have one cell per thread. In every further series, all threads share one cell,
/// because saving memory matters more in such a large stream, and two threads rarely record into the same series at
/// the same time.
const WITH_OWN_CELLS: usize = 1024;

/// The epoch of a series that was removed. A collection may still hold it.
const REMOVED: u64 = u64::MAX;

pub(crate) struct Store {
    pub(crate) slot: Slot,
    epoch: AtomicU64,
    maps: Mutex<Maps>,
    /// Used by collections of a stream whose series expire. Taken before `maps`.
    idle: Mutex<Idle>,
    /// Number of series that have expired so far.
    expired: AtomicU64,
    /// A forked child must not take the locks, which may be held forever.
    home: Generation,
}

/// The series that a collection reads.
pub(crate) struct Harvest {
    pub(crate) series: Vec<Arc<Series>>,
    /// Time of the previous collection.
    pub(crate) since: Timestamp,
}

impl Store {
    pub(crate) fn new(created: Timestamp) -> Self {
        Store {
            slot: Slot::new(),
            epoch: AtomicU64::new(local::next_epoch()),
            maps: Mutex::new(Maps::new(created)),
            idle: Mutex::new(Idle::default()),
            expired: AtomicU64::new(0),
            home: Generation::current(),
        }
    }

    #[inline]
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Relaxed)
    }

    /// Returns true in a forked child.
    pub(crate) fn is_of_the_parent(&self) -> bool {
        self.home.is_past()
    }

    /// Returns the series for these attributes, which are redacted already, or the overflow series if the stream is full.
    pub(crate) fn series(&self, config: &StreamConfig, given: &[KeyValue], thread: usize) -> Arc<Series> {
        if self.home.is_past() {
            // This series is never collected, because it is not in the store.
            return Arc::new(Series::new(config, Attributes::overflow(), 0, Owner::EVERYBODY));
        }
        let is_given = |series: &Series| {
            let kept = given.iter().filter(|one| config.attributes.keeps(&one.key)).count();
            is_same_set(&series.attributes, given, kept)
        };
        if let Some(found) = self.find(config, config.fingerprint(given), is_given) {
            return found;
        }
        // This also removes duplicate keys.
        let attributes = Attributes::new(given.iter().filter(|one| config.attributes.keeps(&one.key)).cloned());
        let fingerprint = config.secrets.fingerprint(&*attributes);
        let is_it = |series: &Series| is_same_set(&series.attributes, &attributes, attributes.len());
        let (known, is_full) = {
            let mut maps = lock(&self.maps);
            if let Some(found) = maps.find(config, self.epoch(), fingerprint, is_it) {
                return found;
            }
            (maps.current.len(), maps.is_full(config))
        };
        if is_full {
            return self.overflow(config);
        }
        let owner = if known < WITH_OWN_CELLS { Owner::thread(thread) } else { Owner::EVERYBODY };
        // Created outside the lock, because this may call a user's factory.
        let made = Arc::new(Series::new(config, attributes.clone(), fingerprint.check, owner));
        let mut maps = lock(&self.maps);
        if let Some(found) = maps.find(config, self.epoch(), fingerprint, is_it) {
            return found;
        }
        if maps.is_full(config) {
            drop(maps);
            return self.overflow(config);
        }
        made.epoch.store(self.epoch(), Ordering::Relaxed);
        maps.insert(fingerprint.place, made.clone());
        made
    }

    fn find(
        &self,
        config: &StreamConfig,
        fingerprint: Fingerprint,
        is_it: impl Fn(&Series) -> bool,
    ) -> Option<Arc<Series>> {
        lock(&self.maps).find(config, self.epoch(), fingerprint, is_it)
    }

    /// spec: metrics/sdk.md#cardinality-limits
    fn overflow(&self, config: &StreamConfig) -> Arc<Series> {
        if let Some(overflow) = &lock(&self.maps).overflow {
            return overflow.clone();
        }
        let attributes = Attributes::overflow();
        let check = config.secrets.fingerprint(&*attributes).check;
        let made = Arc::new(Series::new(config, attributes, check, Owner::EVERYBODY));
        let kept = lock(&self.maps).overflow.get_or_insert_with(|| made.clone()).clone();
        // If another thread has been faster, what was made is dropped here, without the lock: its reservoir is code of the program.
        drop(made);
        kept
    }

    /// Returns the series for these attributes and pins it for a bound instrument, which protects it from
    /// eviction.
    pub(crate) fn bind(&self, config: &StreamConfig, given: &[KeyValue], thread: usize) -> Arc<Series> {
        loop {
            let series = self.series(config, given, thread);
            series.bound.fetch_add(1, Ordering::Relaxed);
            if self.home.is_past() {
                return series;
            }
            // A collection may have evicted the series before it was pinned.
            let maps = lock(&self.maps);
            let is_overflow = maps.overflow.as_ref().is_some_and(|overflow| Arc::ptr_eq(overflow, &series));
            if is_overflow || series.epoch.load(Ordering::Relaxed) == self.epoch() {
                return series;
            }
            series.bound.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Returns the series to collect at `now`. Collections of the same stream never overlap.
    pub(crate) fn harvest(&self, is_delta: bool, now: Timestamp) -> Harvest {
        let mut maps = lock(&self.maps);
        let since = std::mem::replace(&mut maps.since, now);
        let mut series: Vec<_> = if is_delta { self.turn(&mut maps) } else { maps.current.series().collect() };
        series.extend(maps.overflow.clone());
        Harvest { series, since }
    }

    /// Removes the series that have not changed for the `expiry` of the stream from those that a collection reads.
    pub(crate) fn skip_unused(
        &self,
        config: &StreamConfig,
        expiry: Duration,
        series: &mut Vec<Arc<Series>>,
        now: Timestamp,
    ) {
        // Dropped after the lock: nothing else may hold these series, and the destructor of a reservoir is code of the program.
        let mut removed = Vec::new();
        let mut idle = lock(&self.idle);
        series.retain(|series| {
            // What was seen of such a series would stay, and belong to the next series with its address.
            if series.epoch.load(Ordering::Relaxed) == REMOVED {
                removed.push(series.clone());
                return false;
            }
            match idle.look(series, config, expiry, now) {
                Look::Used => true,
                Look::Expired => false,
                Look::Expires => {
                    self.expired.fetch_add(1, Ordering::Relaxed);
                    false
                }
            }
        });
    }

    /// Gives up the expired series that nothing holds. Call this when the collection no longer holds any.
    pub(crate) fn give_up_expired(&self, config: &StreamConfig, expiry: Duration, now: Timestamp) {
        let mut idle = lock(&self.idle);
        if !idle.has_expired() {
            lock(&self.maps).held = Held::default();
            return;
        }
        let mut held = Held::default();
        let gone = {
            let mut maps = lock(&self.maps);
            let gone = maps.current.extract(|series| {
                if !idle.is_expired(series, config, now) {
                    return false;
                }
                if Arc::get_mut(series).is_none() {
                    held.add(series);
                    return false;
                }
                // Whoever held the series cannot record into it any more, so this look is the last one.
                idle.is_expired(series, config, now)
            });
            maps.give_back(&gone);
            maps.held = held;
            if held.is_any() && idle.is_turn_due(expiry, now) {
                self.forget_known(&mut maps);
            }
            gone
        };
        gone.iter().for_each(|series| idle.forget(series));
        // The destructor of a reservoir is code of the program.
        drop(idle);
    }

    /// Removes the series whose attributes contain all the `given` ones, with what was measured since the last collection. Series to which an
    /// instrument is bound stay. Returns the number of removed series.
    pub(crate) fn remove(&self, given: &[KeyValue]) -> usize {
        if self.home.is_past() {
            return 0;
        }
        let has_given = |series: &Series| {
            let is = |one: &KeyValue, own: &KeyValue| own.key == one.key && is_same_value(&own.value, &one.value);
            !series.is_bound() && given.iter().all(|one| series.attributes.iter().any(|own| is(one, own)))
        };
        let is_given = |series: &mut Arc<Series>| has_given(series);
        let mut idle = lock(&self.idle);
        let (gone, retired): (_, Vec<_>) = {
            let mut maps = lock(&self.maps);
            let mut gone = maps.current.extract(is_given);
            maps.give_back(&gone);
            // Some of them may have gone. The next collection counts again.
            maps.held = Held::default();
            // A series of this epoch may also be in the table of the previous one.
            let older = maps.previous.extract(is_given);
            let known: HashSet<_> = gone.iter().map(Arc::as_ptr).collect();
            let only_older = older.into_iter().filter(|series| !known.contains(&Arc::as_ptr(series)));
            gone.extend(only_older.collect::<Vec<_>>());
            gone.extend(maps.overflow.take_if(is_given));
            if !gone.is_empty() {
                self.forget_known(&mut maps);
            }
            // What they may still hold goes as well.
            let (retired, left) =
                std::mem::take(&mut maps.retired).into_iter().partition(|series: &Arc<Series>| has_given(series));
            maps.retired = left;
            (gone, retired)
        };
        for series in &gone {
            series.epoch.store(REMOVED, Ordering::Relaxed);
            idle.forget(series);
        }
        drop(idle);
        drop(retired);
        gone.len()
    }

    /// Makes every thread look up its series again, without ending the interval of a delta stream.
    fn forget_known(&self, maps: &mut Maps) {
        let begun = local::next_epoch();
        self.epoch.store(begun, Ordering::Relaxed);
        maps.current.iter().for_each(|(_, series)| series.epoch.store(begun, Ordering::Relaxed));
    }

    /// Returns the number of series, without that of the overflow, and true if there is an overflow.
    pub(super) fn len(&self) -> (usize, bool) {
        let maps = lock(&self.maps);
        (maps.current.len(), maps.overflow.is_some())
    }

    /// Returns the attributes of all series.
    pub(super) fn attributes(&self) -> Vec<Attributes> {
        lock(&self.maps).current.iter().map(|(_, series)| series.attributes.clone()).collect()
    }

    /// Returns the number of series that have expired so far.
    pub(super) fn expired(&self) -> u64 {
        self.expired.load(Ordering::Relaxed)
    }

    /// Starts a new epoch and returns every series that may hold measurements from the old one.
    fn turn(&self, maps: &mut Maps) -> Vec<Arc<Series>> {
        let ended = self.epoch();
        let begun = local::next_epoch();
        self.epoch.store(begun, Ordering::Relaxed);
        let older = std::mem::replace(&mut maps.previous, std::mem::take(&mut maps.current));
        maps.bytes = 0;
        let mut harvest: Vec<_> = maps.previous.series().collect();
        let bound: Vec<_> = maps.previous.iter().filter(|(_, series)| series.is_bound()).cloned().collect();
        for (place, series) in bound {
            series.epoch.store(begun, Ordering::Relaxed);
            maps.insert(place, series);
        }
        // Series that were revived from the previous epoch are already in the current table.
        let given_up = older.into_series().filter(|series| series.epoch.load(Ordering::Relaxed) != ended);
        let retired = std::mem::take(&mut maps.retired);
        for mut series in retired.into_iter().chain(given_up) {
            if Arc::get_mut(&mut series).is_none() {
                maps.retired.push(series.clone());
            }
            harvest.push(series);
        }
        harvest
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_series_that_is_removed_during_a_collection_leaves_no_trace() {
        let config = StreamConfig { expiry: Some(Duration::from_secs(60)), ..StreamConfig::counter() };
        let (store, now) = (Store::new(Timestamp::default()), Timestamp::default());
        let list = |value: &'static str| [KeyValue::new("k", value)];
        ["a", "b"].iter().for_each(|value| drop(store.series(&config, &list(value), 0)));
        let mut series = store.harvest(false, now).series;
        assert_eq!(store.remove(&list("a")), 1);
        store.skip_unused(&config, Duration::from_secs(60), &mut series, now);
        let left: Vec<_> = series.iter().map(|series| series.attributes[0].value.as_str().into_owned()).collect();
        assert_eq!(left, ["b"]);
        drop(series);
        assert_eq!(lock(&store.idle).number_seen(), 1);
        // The overflow is no removed series.
        let full = StreamConfig { limit: 1, ..config };
        drop(store.series(&full, &list("c"), 0));
        let mut series = store.harvest(false, now).series;
        store.skip_unused(&full, Duration::from_secs(60), &mut series, now);
        assert_eq!(series.len(), 2);
    }
}
