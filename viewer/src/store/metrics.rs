//! The instruments, with the history of their series.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::series::{Series, SeriesKey};
use crate::model::{Metric, MetricKind, Point, Text};

/// The maximum number of series of an instrument, which is also the specification's default for an SDK.
pub(crate) const MAX_SERIES: usize = 2_000;
/// The maximum number of instruments.
const MAX_INSTRUMENTS: usize = 2_000;
/// The number of instruments that make room for others at once.
const STALE_INSTRUMENTS: usize = MAX_INSTRUMENTS / 8;
/// How long a series must be without a point before it makes room for another, in nanoseconds. It is longer than programs usually pause
/// between exports, so that a program with too many series does not lose the history of those that it still has.
const STALE: u64 = 600_000_000_000;

/// Identifies an instrument across services and scopes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct InstrumentKey {
    pub(crate) name: Text,
    pub(crate) unit: Text,
    kind: &'static str,
}

impl InstrumentKey {
    fn new(metric: &Metric) -> Self {
        InstrumentKey { name: metric.name.clone(), unit: metric.unit.clone(), kind: kind_name(metric.kind) }
    }

    /// Returns a number that stays the same in every run, for links.
    pub(crate) fn id(&self) -> u64 {
        let parts = [&*self.name, "\0", &*self.unit, "\0", self.kind];
        super::services::fnv1a(parts.iter().flat_map(|part| part.bytes()))
    }
}

/// Returns the name of a kind of metrics.
pub(crate) fn kind_name(kind: MetricKind) -> &'static str {
    match kind {
        MetricKind::Gauge => "gauge",
        MetricKind::Sum { monotonic: true } => "counter",
        MetricKind::Sum { monotonic: false } => "updowncounter",
        MetricKind::Histogram => "histogram",
        MetricKind::ExponentialHistogram => "exponential histogram",
        MetricKind::Summary => "summary",
    }
}

/// An instrument. Clones share the series.
#[derive(Clone, Debug)]
pub(crate) struct Instrument {
    pub(crate) key: InstrumentKey,
    pub(crate) description: Text,
    pub(crate) kind: MetricKind,
    pub(crate) series: Vec<Arc<Series>>,
    /// The number of points that were dropped because there are too many series.
    pub(crate) refused: u64,
}

/// An instrument with the index of its series.
#[derive(Debug)]
struct Entry {
    instrument: Instrument,
    by_key: HashMap<SeriesKey, usize>,
    /// When the last points arrived.
    changed_at: u64,
}

/// The size of an instrument without its series.
const OVERHEAD: usize = size_of::<Entry>() + 64;

impl Entry {
    /// Removes the series for which `is_removed` returns true, and returns them.
    fn remove(&mut self, mut is_removed: impl FnMut(&Series) -> bool) -> Vec<Arc<Series>> {
        let series = std::mem::take(&mut self.instrument.series);
        let (removed, kept): (Vec<_>, Vec<_>) = series.into_iter().partition(|series| is_removed(series));
        if !removed.is_empty() {
            self.by_key = kept.iter().enumerate().map(|(at, series)| (series.key.clone(), at)).collect();
        }
        self.instrument.series = kept;
        removed
    }
}

/// All instruments that are held.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    entries: BTreeMap<InstrumentKey, Entry>,
    pub(crate) bytes: usize,
    pub(crate) series: usize,
    pub(crate) version: u64,
    /// Series that were removed, until they are freed without the lock.
    removed: Vec<Arc<Series>>,
}

impl Metrics {
    /// Adds the points of a metric, which arrived at the time `now`. Returns the number of points that were dropped, here or to make
    /// room.
    pub(super) fn add(&mut self, metric: Metric, now: u64) -> u64 {
        let key = InstrumentKey::new(&metric);
        let mut dropped = 0;
        // What programs that have ended left behind must not keep out what others send.
        let count = self.entries.len();
        match self.entries.get_mut(&key) {
            Some(entry) if entry.instrument.series.len() >= MAX_SERIES => {
                let removed = entry.remove(|series| series.changed_at.saturating_add(STALE) < now);
                dropped += self.forget(removed);
            }
            None if count >= MAX_INSTRUMENTS => dropped += self.remove_stale_instruments(),
            _ => {}
        }
        self.version += 1;
        let entry = self.entries.entry(key.clone()).or_insert_with(|| {
            let instrument = Instrument {
                key,
                description: metric.description.clone(),
                kind: metric.kind,
                series: Vec::new(),
                refused: 0,
            };
            self.bytes += OVERHEAD;
            Entry { instrument, by_key: HashMap::new(), changed_at: now }
        });
        entry.changed_at = now;
        for mut point in metric.points {
            let key = SeriesKey::new(&metric.resource, &metric.scope, std::mem::take(&mut point.attributes));
            let at = match entry.by_key.get(&key) {
                Some(&at) => at,
                None if entry.instrument.series.len() >= MAX_SERIES => {
                    entry.instrument.refused += 1;
                    dropped += 1;
                    continue;
                }
                None => {
                    let series = Series::new(key.clone(), metric.temporality);
                    self.bytes += series.bytes;
                    self.series += 1;
                    entry.instrument.series.push(Arc::new(series));
                    entry.by_key.insert(key, entry.instrument.series.len() - 1);
                    entry.instrument.series.len() - 1
                }
            };
            if let Some(series) = entry.instrument.series.get_mut(at) {
                let series = Arc::make_mut(series);
                let before = series.bytes;
                series.changed_at = now;
                dropped += series.add(point, metric.temporality);
                self.bytes = (self.bytes + series.bytes).saturating_sub(before);
            }
        }
        dropped
    }

    /// Makes room: shortens all series, or if they are short already, removes those that have not changed for the longest
    /// time. Returns the number of points that were dropped, or `None` if there is nothing left.
    pub(super) fn trim(&mut self) -> Option<u64> {
        if self.series == 0 {
            let had_instruments = !self.entries.is_empty();
            let removed = std::mem::take(&mut self.removed);
            *self = Metrics { version: self.version + 1, removed, ..Metrics::default() };
            return had_instruments.then_some(0);
        }
        self.version += 1;
        let mut dropped = 0;
        for entry in self.entries.values_mut() {
            for series in &mut entry.instrument.series {
                // The last samples of each series show its present state.
                let surplus = series.samples.len().saturating_sub(8).div_ceil(4);
                if surplus > 0 {
                    let series = Arc::make_mut(series);
                    let before = series.bytes;
                    dropped += series.drop_oldest(surplus);
                    self.bytes = (self.bytes + series.bytes).saturating_sub(before);
                }
            }
        }
        if dropped == 0 {
            dropped = self.remove_stale();
        }
        Some(dropped)
    }

    /// Removes the older half of the series.
    fn remove_stale(&mut self) -> u64 {
        let all = self.entries.values().flat_map(|entry| &entry.instrument.series);
        let mut times: Vec<u64> = all.map(|series| series.last_time()).collect();
        if times.is_empty() {
            self.series = 0;
            return 0;
        }
        let middle = times.len() / 2;
        let (_, &mut limit, _) = times.select_nth_unstable(middle);
        // Many series may have the same time.
        let mut quota = times.len().div_ceil(2);
        let mut removed = Vec::new();
        for entry in self.entries.values_mut() {
            removed.extend(entry.remove(|series| {
                let goes = series.last_time() <= limit && quota > 0;
                quota -= usize::from(goes);
                goes
            }));
        }
        self.forget(removed)
    }

    /// Removes the instruments whose last points arrived the longest time ago. Returns the number of their points.
    fn remove_stale_instruments(&mut self) -> u64 {
        let mut times: Vec<u64> = self.entries.values().map(|entry| entry.changed_at).collect();
        let place = STALE_INSTRUMENTS.min(times.len()).saturating_sub(1);
        if times.is_empty() {
            return 0;
        }
        let (_, &mut limit, _) = times.select_nth_unstable(place);
        // Many instruments may have the same time.
        let mut quota = STALE_INSTRUMENTS;
        let (mut removed, mut count) = (Vec::new(), 0);
        self.entries.retain(|_, entry| {
            let goes = entry.changed_at <= limit && quota > 0;
            if goes {
                quota -= 1;
                count += 1;
                removed.append(&mut entry.instrument.series);
            }
            !goes
        });
        self.bytes = self.bytes.saturating_sub(count * OVERHEAD);
        self.forget(removed)
    }

    /// Counts series as removed. Returns the number of their points.
    fn forget(&mut self, removed: Vec<Arc<Series>>) -> u64 {
        let points = removed.iter().map(|series| series.samples.len() as u64).sum();
        self.bytes = self.bytes.saturating_sub(removed.iter().map(|series| series.bytes).sum());
        self.series = self.series.saturating_sub(removed.len());
        self.removed.extend(removed);
        points
    }

    /// Returns the series that were removed since the last call.
    pub(super) fn take_removed(&mut self) -> Vec<Arc<Series>> {
        std::mem::take(&mut self.removed)
    }

    /// Returns all instruments by name.
    pub(crate) fn instruments(&self) -> impl Iterator<Item = &Instrument> {
        self.entries.values().map(|entry| &entry.instrument)
    }

    /// Returns the points of all series, grouped by instrument, resource and scope.
    pub(crate) fn to_metrics(&self) -> Vec<Metric> {
        let mut metrics = Vec::new();
        for instrument in self.instruments() {
            let mut by_origin: HashMap<_, usize> = HashMap::new();
            for series in &instrument.series {
                let SeriesKey { resource, scope, attributes } = &series.key;
                let at = *by_origin.entry((resource, scope, series.temporality)).or_insert_with(|| {
                    metrics.push(Metric {
                        name: instrument.key.name.clone(),
                        unit: instrument.key.unit.clone(),
                        description: instrument.description.clone(),
                        kind: instrument.kind,
                        temporality: series.temporality,
                        resource: resource.clone(),
                        scope: scope.clone(),
                        points: Vec::new(),
                    });
                    metrics.len() - 1
                });
                let points = series.samples.iter().map(|sample| Point {
                    start: sample.start,
                    time: sample.time,
                    attributes: attributes.iter().cloned().collect(),
                    data: sample.data.clone(),
                    exemplars: sample.exemplars.clone(),
                });
                if let Some(metric) = metrics.get_mut(at) {
                    metric.points.extend(points);
                }
            }
        }
        metrics
    }
}
