//! A metric stream: one instrument as seen by one reader through one view.

use std::sync::Arc;

use opentelemetry::KeyValue;

use super::local;
use super::observed::ObservedTotals;
use super::one::Series;
use super::points;
use super::store::Store;
use crate::metrics::config::{Shape, StreamConfig};
use crate::metrics::data::{Fingerprint, Measured, Metric, MetricData};
use crate::metrics::exemplar::Eligible;
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
    #[inline]
    pub(crate) fn record<T: Measured>(&self, value: T, given: &[KeyValue], span: Option<Eligible>) {
        let fingerprint = self.config.fingerprint(given);
        let add = |series: &Series| series.record(&self.config, thread_index(), value, given, span);
        if !local::find(&self.store.slot, self.store.epoch(), fingerprint, add) {
            self.record_first(fingerprint, value, given, span);
        }
    }

    /// Adds a measurement to a series this thread has not recorded into before.
    #[cold]
    fn record_first<T: Measured>(
        &self,
        fingerprint: Fingerprint,
        value: T,
        given: &[KeyValue],
        span: Option<Eligible>,
    ) {
        let thread = thread_index();
        // Read before the lookup: if a new epoch starts in between, the next measurement looks the series up again.
        let epoch = self.store.epoch();
        let series = self.store.series(&self.config, given, thread);
        series.record(&self.config, thread, value, given, span);
        // The overflow series and sets with duplicate keys cannot be found by this fingerprint.
        if series.check == fingerprint.check {
            local::remember(&self.store.slot, epoch, fingerprint.place, series);
        }
    }

    /// Accepts an observation. Streams that aggregate observations as measurements record it like any other.
    pub(crate) fn observe<T: Measured>(&self, value: T, given: &[KeyValue], span: Option<Eligible>) {
        match &self.observed {
            Some(observed) => observed.push(&self.config, value.into(), value.bits(), given, span),
            None => self.record(value, given, span),
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

/// A series of a stream, pinned by an instrument bound to its attributes.
pub(crate) struct BoundSeries {
    stream: Arc<Stream>,
    series: crate::sync::Arc<Series>,
    /// The attributes as given, for exemplars.
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

    #[inline(always)]
    pub(crate) fn record<T: Measured>(&self, value: T, span: Option<Eligible>) {
        self.series.record(&self.stream.config, thread_index(), value, &self.given, span);
    }
}

impl Drop for BoundSeries {
    fn drop(&mut self) {
        self.series.bound.fetch_sub(1, Ordering::Relaxed);
    }
}
