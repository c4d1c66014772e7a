//! The instruments, with the history of their series.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::series::{Series, SeriesKey};
use crate::model::{Metric, MetricKind, Point, Text};

/// The maximum number of series of an instrument, which is also the specification's default for an SDK.
pub(crate) const MAX_SERIES: usize = 2_000;
/// The maximum number of instruments.
const MAX_INSTRUMENTS: usize = 2_000;

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
}

/// All instruments that are held.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    entries: BTreeMap<InstrumentKey, Entry>,
    pub(crate) bytes: usize,
    pub(crate) series: usize,
    pub(crate) version: u64,
}

impl Metrics {
    /// Adds the points of a metric. Returns the number of points that were dropped, here or to make room.
    pub(super) fn add(&mut self, metric: Metric) -> u64 {
        let key = InstrumentKey::new(&metric);
        if !self.entries.contains_key(&key) && self.entries.len() >= MAX_INSTRUMENTS {
            return metric.points.len() as u64;
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
            self.bytes += size_of::<Entry>() + 64;
            Entry { instrument, by_key: HashMap::new() }
        });
        let mut dropped = 0;
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
            *self = Metrics { version: self.version + 1, ..Metrics::default() };
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
        let (mut points, mut bytes, mut removed) = (0, 0, 0);
        // Many series may have the same time.
        let mut quota = times.len().div_ceil(2);
        for entry in self.entries.values_mut() {
            entry.instrument.series.retain(|series| {
                let goes = series.last_time() <= limit && quota > 0;
                if goes {
                    quota -= 1;
                    points += series.samples.len() as u64;
                    bytes += series.bytes;
                    removed += 1;
                }
                !goes
            });
            let series = entry.instrument.series.iter().enumerate();
            entry.by_key = series.map(|(at, series)| (series.key.clone(), at)).collect();
        }
        self.bytes = self.bytes.saturating_sub(bytes);
        self.series -= removed;
        points
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
