//! A metric stream: one instrument as seen by one reader through one view.

use std::borrow::Cow;
use std::sync::Arc;
// Counters of messages, which no test needs to interleave.
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use opentelemetry::{Key, KeyValue};

use super::local;
use super::maps::max_bytes;
use super::observed::ObservedTotals;
use super::one::Series;
use super::points;
use super::store::Store;
use crate::diag::{Level, is_shown, log_always};
use crate::metrics::aggregation::{Aggregate, Any, Outcome};
use crate::metrics::config::{Shape, StreamConfig};
use crate::metrics::data::{DistinctValues, Fingerprint, Measured, Metric, MetricData};
use crate::sync::{Ordering, thread_index};
use crate::text;
use crate::time::Timestamp;

pub(crate) struct Stream {
    pub(crate) config: StreamConfig,
    pub(crate) store: Store,
    /// `Some` for observable instruments that report sums or last values.
    observed: Option<ObservedTotals>,
    /// True once a message has said that the stream is full.
    is_reported: AtomicBool,
}

/// The series of a stream, and the distinct values of their attributes.
#[derive(Debug)]
pub(crate) struct Cardinality {
    /// Number of series, without that of the overflow.
    pub(crate) series: usize,
    /// The estimated number of values of each key, beginning with the largest. Empty for a few series.
    pub(crate) values: Vec<(Key, u64)>,
}

/// Number of series below which distinct values are not counted.
const FEW: usize = 32;

/// Number of full streams reported individually. Any further ones share one rate-limited message per minute.
const REPORTED: u64 = 10;

impl Stream {
    pub(crate) fn new(config: StreamConfig) -> Self {
        let created = config.clock.now();
        let is_observed = config.kind.is_observable() && matches!(config.shape, Shape::Sum | Shape::LastValue);
        Stream {
            store: Store::new(created),
            observed: is_observed.then(|| ObservedTotals::new(created)),
            is_reported: AtomicBool::new(false),
            config,
        }
    }

    /// Adds a measurement.
    #[inline(always)]
    pub(crate) fn record<T: Measured>(&self, value: T, given: &[KeyValue], is_offered: bool) {
        let add = |series: &Series| series.record::<Any, T>(&self.config, thread_index(), value, given, is_offered);
        if let Err(fingerprint) = local::find(&self.store.slot, self.store.epoch(), &self.config, given, add) {
            self.record_first(fingerprint, value, given, is_offered);
        }
    }

    /// Returns the attributes as exporters may see them. In a forked child, nothing is exported, and the redactor is not called, because
    /// it may hold a lock.
    fn redacted<'a>(&self, given: &'a [KeyValue]) -> Cow<'a, [KeyValue]> {
        if self.store.is_of_the_parent() { Cow::Borrowed(given) } else { self.config.redacted(given) }
    }

    /// Adds a measurement to a series that this thread has not recorded into before.
    #[cold]
    fn record_first<T: Measured>(&self, fingerprint: Fingerprint, value: T, given: &[KeyValue], is_offered: bool) {
        let thread = thread_index();
        // Read the epoch before the lookup: if a new epoch starts in between, the next measurement looks the series up
        // again.
        let epoch = self.store.epoch();
        let redacted = self.redacted(given);
        let series = self.store.series(&self.config, &redacted, thread);
        series.record::<Any, T>(&self.config, thread, value, given, is_offered);
        // This fingerprint matches neither the overflow series nor a series whose given attributes have duplicate keys.
        if series.check == fingerprint.check {
            local::remember(&self.store.slot, epoch, &self.config, fingerprint.place, series);
        } else if self.config.redaction.is_some() && series.check == self.config.fingerprint(&redacted).check {
            local::remember_alias(&self.store.slot, epoch, &self.config, fingerprint, series);
        }
    }

    /// Records an observation. If the stream aggregates observations like measurements, the observation is recorded as
    /// a measurement.
    pub(crate) fn observe<T: Measured>(&self, value: T, given: &[KeyValue], is_offered: bool) {
        match &self.observed {
            Some(observed) => observed.push(&self.config, value.into(), value.bits(), given, is_offered),
            None => self.record(value, given, is_offered),
        }
    }

    /// Drops the observations that have not been collected.
    pub(crate) fn forget_observations(&self) {
        if let Some(observed) = &self.observed {
            observed.forget();
        }
    }

    /// Collects everything up to `now`. Returns `None` if there are no points. Collections of the same stream
    /// never overlap.
    pub(crate) fn collect(&self, now: Timestamp) -> Option<Metric> {
        let data = match &self.observed {
            Some(observed) => observed.collect(&self.config, now),
            None => self.collect_recorded(now),
        };
        if !self.is_reported.load(Relaxed) && self.len().1 {
            self.is_reported.store(true, Relaxed);
            self.report_full();
        }
        let config = &self.config;
        (!MetricData::is_empty(&data)).then(|| {
            Metric::new(config.name.clone(), data)
                .with_description(config.description.clone())
                .with_unit(config.unit.clone())
        })
    }
}

impl Stream {
    fn collect_recorded(&self, now: Timestamp) -> MetricData {
        let (config, store) = (&self.config, &self.store);
        let mut harvest = store.harvest(config.is_delta(), now);
        let Some(expiry) = config.expiry() else { return points::data(config, harvest, now) };
        store.skip_unused(config, expiry, &mut harvest.series, now);
        let data = points::data(config, harvest, now);
        store.give_up_expired(config, expiry, now);
        data
    }

    /// Removes the series whose attributes contain all the `given` ones. Returns their number.
    pub(crate) fn remove(&self, given: &[KeyValue]) -> usize {
        let redacted = self.redacted(given);
        // Without an attribute that redaction removes, the others would select more series than were meant.
        if redacted.len() < given.len() { 0 } else { self.store.remove(&redacted) }
    }

    /// Returns the number of series that have expired so far.
    pub(crate) fn expired(&self) -> u64 {
        self.store.expired()
    }

    /// Returns the number of series, without that of the overflow, and true if there is an overflow.
    fn len(&self) -> (usize, bool) {
        self.observed.as_ref().map_or_else(|| self.store.len(), |observed| observed.len(&self.config))
    }

    /// Counts the series and the distinct values of their attributes. Recording continues meanwhile.
    pub(crate) fn cardinality(&self) -> Cardinality {
        let (series, _) = self.len();
        let mut values = DistinctValues::default();
        if series >= FEW {
            let attributes = self.observed.as_ref().map_or_else(|| self.store.attributes(), ObservedTotals::attributes);
            attributes.iter().for_each(|one| values.add(self.config.secrets, one));
        }
        Cardinality { series, values: values.counts() }
    }

    /// Says that the stream is full, and which attribute has the most values.
    #[cold]
    fn report_full(&self) {
        static SO_FAR: AtomicU64 = AtomicU64::new(0);
        if !is_shown(Level::Warn) {
            return;
        }
        let StreamConfig { name, limit, .. } = &self.config;
        let Cardinality { series, values, .. } = self.cardinality();
        let reached = match series < *limit {
            true => format!("attributes of {} KiB in its series, which is their limit", max_bytes(&self.config) >> 10),
            false => format!("{limit} series, which is its limit"),
        };
        let cause = values.first().map_or_else(String::new, |(key, count)| {
            let key = text::foreign(key.as_str()).cut_at(128);
            format!("; the attribute {key:?} has the most distinct values, about {count}, and a view can leave it out")
        });
        let name = text::foreign(&**name);
        let message = format_args!(
            "the metric {name:?} has {reached}: further ones share a series with otel.metric.overflow=true{cause}"
        );
        match SO_FAR.fetch_add(1, Relaxed) < REPORTED {
            true => log_always(Level::Warn, message),
            false => crate::__warn!("metrics.overflow", "{message}"),
        }
    }
}

/// A series of a stream, pinned by an instrument that is bound to the series' attributes.
pub(crate) struct BoundSeries {
    stream: Arc<Stream>,
    series: crate::sync::Arc<Series>,
    /// The attributes as passed by the caller, needed for exemplars.
    given: Box<[KeyValue]>,
}

impl BoundSeries {
    pub(crate) fn new(stream: &Arc<Stream>, given: &[KeyValue]) -> Self {
        let series = stream.store.bind(&stream.config, &stream.redacted(given), thread_index());
        BoundSeries { stream: stream.clone(), series, given: given.into() }
    }

    pub(crate) fn config(&self) -> &StreamConfig {
        &self.stream.config
    }

    /// Adds a measurement if that takes only a few instructions. Pass the outcome to [`Self::finish`], which does the
    /// remaining work.
    #[inline(always)]
    pub(crate) fn try_record<A: Aggregate, T: Measured>(&self, thread: usize, value: T, is_offered: bool) -> Outcome {
        self.series.try_record::<A, T>(&self.stream.config, thread, value, is_offered)
    }

    /// Does the work that [`Self::try_record`] left to be done.
    #[cold]
    #[inline(never)]
    pub(crate) fn finish<T: Measured>(&self, value: T, is_offered: bool, outcome: Outcome) {
        self.series.finish(&self.stream.config, thread_index(), value, &self.given, is_offered, outcome);
    }

    /// Adds a measurement.
    pub(crate) fn record<T: Measured>(&self, value: T, is_offered: bool) {
        match self.try_record::<Any, T>(thread_index(), value, is_offered) {
            Outcome::Recorded => {}
            outcome => self.finish(value, is_offered, outcome),
        }
    }
}

impl Drop for BoundSeries {
    fn drop(&mut self) {
        self.series.bound.fetch_sub(1, Ordering::Relaxed);
    }
}
