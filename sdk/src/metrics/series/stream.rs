//! A metric stream: one instrument as seen by one reader through one view.

use std::sync::Arc;

use opentelemetry::KeyValue;

use super::local;
use super::observed::ObservedTotals;
use super::one::Series;
use super::points;
use super::store::Store;
use crate::metrics::aggregation::{Aggregate, Any, Outcome};
use crate::metrics::config::{Shape, StreamConfig};
use crate::metrics::data::{Fingerprint, Measured, Metric, MetricData};
use crate::sync::{Ordering, thread_index};
use crate::time::Timestamp;

pub(crate) struct Stream {
    pub(crate) config: StreamConfig,
    pub(crate) store: Store,
    /// `Some` for observable instruments that report sums or last values.
    observed: Option<ObservedTotals>,
}

impl Stream {
    pub(crate) fn new(config: StreamConfig) -> Self {
        let created = config.clock.now();
        let is_observed = config.kind.is_observable() && matches!(config.shape, Shape::Sum | Shape::LastValue);
        Stream { store: Store::new(created), observed: is_observed.then(|| ObservedTotals::new(created)), config }
    }

    /// Adds a measurement.
    #[inline(always)]
    pub(crate) fn record<T: Measured>(&self, value: T, given: &[KeyValue], is_offered: bool) {
        let add = |series: &Series| series.record::<Any, T>(&self.config, thread_index(), value, given, is_offered);
        if let Err(fingerprint) = local::find(&self.store.slot, self.store.epoch(), &self.config, given, add) {
            self.record_first(fingerprint, value, given, is_offered);
        }
    }

    /// Adds a measurement to a series that this thread has not recorded into before.
    #[cold]
    fn record_first<T: Measured>(&self, fingerprint: Fingerprint, value: T, given: &[KeyValue], is_offered: bool) {
        let thread = thread_index();
        // Read the epoch before the lookup: if a new epoch starts in between, the next measurement looks the series up
        // again.
        let epoch = self.store.epoch();
        let series = self.store.series(&self.config, given, thread);
        series.record::<Any, T>(&self.config, thread, value, given, is_offered);
        // This fingerprint matches neither the overflow series nor a series whose given attributes have duplicate keys.
        if series.check == fingerprint.check {
            local::remember(&self.store.slot, epoch, &self.config, fingerprint.place, series);
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

    /// Collects everything up to `now`. Returns `None` if there are no points. Collections of the same stream
    /// never overlap.
    pub(crate) fn collect(&self, now: Timestamp) -> Option<Metric> {
        let data = match &self.observed {
            Some(observed) => observed.collect(&self.config, now),
            None => points::data(&self.config, self.store.harvest(self.config.is_delta(), now), now),
        };
        let config = &self.config;
        (!MetricData::is_empty(&data)).then(|| {
            Metric::new(config.name.clone(), data)
                .with_description(config.description.clone())
                .with_unit(config.unit.clone())
        })
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
        let series = stream.store.bind(&stream.config, given, thread_index());
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
