//! The instruments that record: what is behind the API's counters, histograms and gauges, bound or not.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundSyncInstrument, SyncInstrument};

use super::exemplar::ExemplarFilter;
use super::number::Measured;
use super::stream::{BoundSeries, Stream};
use super::{InstrumentKind, Number};

/// Records into the streams of all readers.
pub(super) struct SdkInstrument {
    pub(super) streams: Box<[Arc<Stream>]>,
    pub(super) checks: Checks,
}

/// What a measurement must be, and what goes with it.
#[derive(Clone)]
pub(super) struct Checks {
    is_counter: bool,
    exemplars: ExemplarFilter,
    /// The measurements that the provider has not taken.
    rejected: Arc<AtomicU64>,
}

impl Checks {
    pub(super) fn new(kind: InstrumentKind, exemplars: ExemplarFilter, rejected: Arc<AtomicU64>) -> Self {
        let is_counter = matches!(kind, InstrumentKind::Counter | InstrumentKind::ObservableCounter);
        Checks { is_counter, exemplars, rejected }
    }

    /// Whether the value can be a measurement. One that cannot would spoil its series for ever.
    #[inline]
    pub(super) fn pass<T: Measured>(&self, value: T) -> bool {
        let passes = value.is_finite() && !(self.is_counter && value.is_negative());
        if !passes {
            self.reject(value.into());
        }
        passes
    }

    #[cold]
    fn reject(&self, value: Number) {
        self.rejected.fetch_add(1, Ordering::Relaxed);
        crate::__warn!(
            "metrics.value",
            "the measurement {value} was not taken: it is not finite, or negative for a counter"
        );
    }

    pub(super) fn exemplars(&self) -> ExemplarFilter {
        self.exemplars
    }
}

impl<T: Measured> SyncInstrument<T> for SdkInstrument {
    #[inline]
    fn measure(&self, value: T, attributes: &[KeyValue]) {
        if !self.checks.pass(value) {
            return;
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

/// An instrument whose series are known.
struct BoundInstrument {
    series: Box<[BoundSeries]>,
    checks: Checks,
}

impl<T: Measured> BoundSyncInstrument<T> for BoundInstrument {
    #[inline]
    fn measure(&self, value: T) {
        if !self.checks.pass(value) {
            return;
        }
        let span = self.checks.exemplars.eligible();
        for series in &self.series {
            series.record(value, span);
        }
    }
}
