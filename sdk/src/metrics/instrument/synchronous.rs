//! Synchronous instruments: the implementation of the API's counters, histograms and gauges, bound and unbound.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundSyncInstrument, SyncInstrument};

use crate::metrics::config::{InstrumentKind, Shape, StreamConfig};
use crate::metrics::data::{Measured, Number};
use crate::metrics::exemplar::ExemplarFilter;
use crate::metrics::series::{BoundSeries, Stream};

/// Records into the streams of all readers.
pub(crate) struct SdkInstrument {
    pub(crate) streams: Box<[Arc<Stream>]>,
    pub(crate) checks: Checks,
}

/// Validates measurements, and holds the exemplar filter.
#[derive(Clone)]
pub(crate) struct Checks {
    is_counter: bool,
    exemplars: ExemplarFilter,
    /// Number of measurements the provider has rejected.
    rejected: Arc<AtomicU64>,
}

impl Checks {
    pub(crate) fn new(kind: InstrumentKind, exemplars: ExemplarFilter, rejected: Arc<AtomicU64>) -> Self {
        let is_counter = matches!(kind, InstrumentKind::Counter | InstrumentKind::ObservableCounter);
        Checks { is_counter, exemplars, rejected }
    }

    /// Returns true if every aggregation accepts the measurement. Otherwise, call [`Self::takes`] for each
    /// stream.
    #[inline]
    pub(crate) fn pass<T: Measured>(&self, value: T) -> bool {
        value.is_finite() && !(self.is_counter && value.is_negative())
    }

    /// Returns true if the stream accepts this measurement; otherwise counts it as rejected. Sums and
    /// histograms accept only finite values, since any other value would corrupt the series permanently. A last
    /// value may be infinite, as the next one replaces it; NaN is always rejected.
    ///
    /// spec: metrics/sdk.md#numerical-limits-handling, #handle-all-normal-values
    #[cold]
    pub(crate) fn takes<T: Measured>(&self, value: T, config: &StreamConfig) -> bool {
        let is_infinite = !value.is_finite() && !value.as_f64().is_nan();
        let takes = self.pass(value)
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

    pub(crate) fn exemplars(&self) -> ExemplarFilter {
        self.exemplars
    }
}

impl SdkInstrument {
    /// Records a measurement that only some aggregations accept.
    #[cold]
    fn measure_unusual<T: Measured>(&self, value: T, attributes: &[KeyValue]) {
        let span = self.checks.exemplars.eligible();
        for stream in self.streams.iter().filter(|stream| self.checks.takes(value, &stream.config)) {
            stream.record(value, attributes, span);
        }
    }
}

impl<T: Measured> SyncInstrument<T> for SdkInstrument {
    #[inline]
    fn measure(&self, value: T, attributes: &[KeyValue]) {
        if !self.checks.pass(value) {
            return self.measure_unusual(value, attributes);
        }
        let span = self.checks.exemplars.eligible();
        for stream in &self.streams {
            stream.record(value, attributes, span);
        }
    }

    fn bind(&self, attributes: &[KeyValue]) -> Box<dyn BoundSyncInstrument<T> + Send + Sync> {
        let series = self.streams.iter().map(|stream| BoundSeries::new(stream, attributes)).collect();
        Box::new(BoundInstrument { series, checks: self.checks.clone() })
    }
}

/// An instrument bound to its series.
struct BoundInstrument {
    series: Box<[BoundSeries]>,
    checks: Checks,
}

impl<T: Measured> BoundSyncInstrument<T> for BoundInstrument {
    #[inline]
    fn measure(&self, value: T) {
        if !self.checks.pass(value) {
            return self.measure_unusual(value);
        }
        let span = self.checks.exemplars.eligible();
        for series in &self.series {
            series.record(value, span);
        }
    }
}

impl BoundInstrument {
    /// Records a measurement that only some aggregations accept.
    #[cold]
    fn measure_unusual<T: Measured>(&self, value: T) {
        let span = self.checks.exemplars.eligible();
        for series in self.series.iter().filter(|series| self.checks.takes(value, series.config())) {
            series.record(value, span);
        }
    }
}
