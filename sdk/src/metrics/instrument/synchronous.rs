//! Synchronous instruments: the implementation of the API's counters, histograms and gauges, bound and unbound.

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundSyncInstrument, SyncInstrument};

use super::shared::Shared;
use crate::context;
use crate::metrics::aggregation::{Aggregate, Any, Histograms, Outcome, Sums, TakenSums};
use crate::metrics::config::{InstrumentKind, Shape, StreamConfig};
use crate::metrics::data::{Measured, Number};
use crate::metrics::exemplar::Selection;
use crate::metrics::meters::OneMeter;
use crate::metrics::series::{BoundSeries, Stream};
use crate::sync::ready_thread_index;

/// Records into the streams of all readers.
pub(crate) struct SdkInstrument {
    pub(crate) streams: Box<[Arc<Stream>]>,
    pub(crate) checks: Checks,
}

/// Validates measurements, and holds the selection of exemplars.
#[derive(Clone)]
pub(crate) struct Checks {
    is_counter: bool,
    exemplars: Selection,
    meter: OneMeter,
    /// The number of measurements that the provider has rejected.
    rejected: Arc<AtomicU64>,
}

impl Checks {
    pub(crate) fn new(kind: InstrumentKind, meter: OneMeter, shared: &Shared) -> Self {
        let is_counter = matches!(kind, InstrumentKind::Counter | InstrumentKind::ObservableCounter);
        Checks { is_counter, exemplars: shared.exemplars, meter, rejected: shared.rejected.clone() }
    }

    /// Returns true if the meter records.
    pub(crate) fn is_on(&self) -> bool {
        self.meter.is_on()
    }

    /// Returns true if every meter records and every aggregation accepts this measurement. Otherwise, call [`Self::takes`] for each
    /// stream. Calls nothing, so that its callers save no registers.
    #[inline(always)]
    pub(crate) fn pass<T: Measured>(&self, value: T) -> bool {
        self.accepts(value) && self.meter.all_are_on()
    }

    /// Returns true if every aggregation accepts this measurement.
    #[inline(always)]
    fn accepts<T: Measured>(&self, value: T) -> bool {
        value.is_finite() && !(self.is_counter && value.is_negative())
    }

    /// Returns true if the meter records and the stream accepts this measurement. Counts a measurement as rejected that the stream does
    /// not accept. Sums and histograms accept only finite values, because any other value would corrupt the series permanently. A last
    /// value may be infinite, because the next value replaces it; NaN is always rejected.
    ///
    /// spec: metrics/sdk.md#numerical-limits-handling, #handle-all-normal-values
    #[cold]
    pub(crate) fn takes<T: Measured>(&self, value: T, config: &StreamConfig) -> bool {
        if !self.is_on() {
            return false;
        }
        let is_infinite = !value.is_finite() && !value.as_f64().is_nan();
        let takes = self.accepts(value)
            || (is_infinite && config.shape == Shape::LastValue && !(self.is_counter && value.is_negative()));
        if !takes {
            self.reject(value.into(), config);
        }
        takes
    }

    fn reject(&self, value: Number, config: &StreamConfig) {
        self.rejected.fetch_add(1, Ordering::Relaxed);
        crate::__warn!(
            "metrics.value",
            "the measurement {value} of {:?} was rejected: it is not finite, or negative for a counter",
            config.name
        );
    }

    pub(crate) fn exemplars(&self) -> Selection {
        self.exemplars
    }
}

impl SdkInstrument {
    /// Records a measurement that only some aggregations accept.
    #[cold]
    fn measure_unusual<T: Measured>(&self, value: T, attributes: &[KeyValue]) {
        let is_offered = self.checks.exemplars.offers();
        for stream in self.streams.iter().filter(|stream| self.checks.takes(value, &stream.config)) {
            stream.record(value, attributes, is_offered);
        }
    }
}

impl<T: Measured> SyncInstrument<T> for SdkInstrument {
    #[inline]
    fn measure(&self, value: T, attributes: &[KeyValue]) {
        if !self.checks.pass(value) {
            return self.measure_unusual(value, attributes);
        }
        let is_offered = self.checks.exemplars.offers();
        for stream in &self.streams {
            stream.record(value, attributes, is_offered);
        }
    }

    fn bind(&self, attributes: &[KeyValue]) -> Box<dyn BoundSyncInstrument<T> + Send + Sync> {
        let bound = |stream| BoundSeries::new(stream, attributes);
        let checks = self.checks.clone();
        match &*self.streams {
            [stream] => match stream.config.shape {
                Shape::Sum if stream.config.resets_sums => {
                    Box::new(BoundToOne::<TakenSums>::new(bound(stream), checks))
                }
                Shape::Sum => Box::new(BoundToOne::<Sums>::new(bound(stream), checks)),
                Shape::Histogram(_) => Box::new(BoundToOne::<Histograms>::new(bound(stream), checks)),
                _ => Box::new(BoundToOne::<Any>::new(bound(stream), checks)),
            },
            streams => Box::new(BoundToMany { series: streams.iter().map(bound).collect(), checks }),
        }
    }
}

/// An instrument bound to a series of a single stream, which is by far the most common case.
struct BoundToOne<A> {
    series: BoundSeries,
    checks: Checks,
    aggregate: PhantomData<A>,
}

impl<A> BoundToOne<A> {
    fn new(series: BoundSeries, checks: Checks) -> Self {
        BoundToOne { series, checks, aggregate: PhantomData }
    }

    /// Records a first measurement of a thread, or one that only some meters or aggregations accept.
    #[cold]
    #[inline(never)]
    fn measure_otherwise<T: Measured>(&self, value: T) {
        measure_in_turn(std::slice::from_ref(&self.series), &self.checks, value);
        context::make_ready();
    }
}

impl<A: Aggregate, T: Measured> BoundSyncInstrument<T> for BoundToOne<A> {
    // Every call is at the end of the function, so that no registers have to be saved. Saving them would cost half as
    // much as the rest of the function.
    fn measure(&self, value: T) {
        if !self.checks.pass(value) {
            return self.measure_otherwise(value);
        }
        let Some(thread) = ready_thread_index() else { return self.measure_otherwise(value) };
        let is_offered = self.checks.exemplars.offers_on_ready_thread();
        match self.series.try_record::<A, T>(thread, value, is_offered) {
            Outcome::Recorded => {}
            outcome => self.series.finish(value, is_offered, outcome),
        }
    }
}

/// An instrument bound to one series in each of several streams.
struct BoundToMany {
    series: Box<[BoundSeries]>,
    checks: Checks,
}

impl<T: Measured> BoundSyncInstrument<T> for BoundToMany {
    fn measure(&self, value: T) {
        measure_in_turn(&self.series, &self.checks, value);
    }
}

/// Records into each series in turn, except those that reject the measurement.
#[inline(never)]
fn measure_in_turn<T: Measured>(series: &[BoundSeries], checks: &Checks, value: T) {
    let (passes, is_offered) = (checks.pass(value), checks.exemplars.offers());
    for series in series.iter().filter(|series| passes || checks.takes(value, series.config())) {
        series.record(value, is_offered);
    }
}
