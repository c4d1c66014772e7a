//! All series of a stream. Series are created until the limit is reached and, under delta temporality, evicted when
//! they are no longer used.
//!
//! A thread that already holds a series bypasses the store. Each delta collection starts a new epoch, after which
//! every thread has to look up its series in the store again; series that no thread looks up are evicted. A thread may
//! still be recording into an evicted series, so the store keeps collecting the series until no thread can hold it.

use opentelemetry::KeyValue;

use super::local;
use super::local::Slot;
use super::one::Series;
use super::striped::Owner;
use super::table::Table;
use crate::metrics::config::StreamConfig;
use crate::metrics::data::{Attributes, Fingerprint, bytes, is_same_set};
use crate::process::Generation;
use crate::sync::{Arc, AtomicU64, Mutex, Ordering, lock};
use crate::time::Timestamp;

/// Number of series in a stream that have one cell per thread. In every further series, all threads share one cell,
/// because saving memory matters more in such a large stream, and two threads rarely record into the same series at
/// the same time.
const WITH_OWN_CELLS: usize = 1024;

/// Number of bytes that the attributes of a series may take on average. The attributes themselves have no limits, and peers may
/// choose their values, so a stream is full if all of its series together exceed this.
///
/// spec: common/README.md#exempt-entities
const BYTES_OF_A_SERIES: usize = 4096;
/// Number of bytes that the attributes of a stream may take in any case.
const MIN_BYTES: usize = 1 << 20;

pub(crate) struct Store {
    pub(crate) slot: Slot,
    epoch: AtomicU64,
    maps: Mutex<Maps>,
    /// A forked child must not take the lock, which may be held forever.
    home: Generation,
}

struct Maps {
    /// Series of the current epoch.
    current: Table,
    /// Number of bytes of the attributes of these series.
    bytes: usize,
    /// Series of the previous epoch, revived when a thread looks them up. Used only by delta streams.
    previous: Table,
    /// Evicted series that a thread may still hold.
    retired: Vec<Arc<Series>>,
    overflow: Option<Arc<Series>>,
    /// Time of the last collection or, before the first collection, of the stream's creation.
    since: Timestamp,
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
            maps: Mutex::new(Maps {
                current: Table::default(),
                bytes: 0,
                previous: Table::default(),
                retired: Vec::new(),
                overflow: None,
                since: created,
            }),
            home: Generation::current(),
        }
    }

    #[inline]
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Relaxed)
    }

    /// Returns the series for these attributes, or the overflow series if the stream is full.
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
        crate::__warn!(
            "metrics.overflow",
            "{} has more than {} series, or their attributes take more than {} KiB; further ones are counted as one, with \
             otel.metric.overflow=true",
            config.name,
            config.limit,
            max_bytes(config) >> 10
        );
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

/// Returns the number of bytes that the attributes of all series together may take.
fn max_bytes(config: &StreamConfig) -> usize {
    config.limit.saturating_mul(BYTES_OF_A_SERIES).max(MIN_BYTES)
}

impl Maps {
    fn is_full(&self, config: &StreamConfig) -> bool {
        self.current.len() >= config.limit || self.bytes >= max_bytes(config)
    }

    fn insert(&mut self, place: u64, series: Arc<Series>) {
        self.bytes = self.bytes.saturating_add(bytes(&series.attributes));
        self.current.insert(place, series);
    }

    fn find(
        &mut self,
        config: &StreamConfig,
        epoch: u64,
        fingerprint: Fingerprint,
        is_it: impl Fn(&Series) -> bool,
    ) -> Option<Arc<Series>> {
        if let Some(found) = self.current.find(fingerprint.place, &is_it) {
            return Some(found.clone());
        }
        if self.is_full(config) {
            return None;
        }
        let again = self.previous.find(fingerprint.place, &is_it)?.clone();
        again.epoch.store(epoch, Ordering::Relaxed);
        self.insert(fingerprint.place, again.clone());
        Some(again)
    }
}
