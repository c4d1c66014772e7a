//! The kinds of instruments, and what a reader does with each unless a view says otherwise.

use crate::metrics::data::Temporality;

/// The kind of an instrument.
///
/// spec: metrics/api.md#instrument
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InstrumentKind {
    /// Increments.
    Counter,
    /// Increments and decrements.
    UpDownCounter,
    /// A distribution.
    Histogram,
    /// The current value.
    Gauge,
    /// A total that is observed and never falls.
    ObservableCounter,
    /// A total that is observed.
    ObservableUpDownCounter,
    /// The current value, observed.
    ObservableGauge,
}

impl InstrumentKind {
    /// Whether the sum of its measurements never falls.
    pub(crate) fn is_monotonic(self) -> bool {
        matches!(self, InstrumentKind::Counter | InstrumentKind::ObservableCounter | InstrumentKind::Histogram)
    }

    /// Whether its measurements may be negative, so that their sum in a histogram has no meaning.
    pub(crate) fn may_be_negative(self) -> bool {
        !self.is_monotonic()
    }

    pub(crate) fn is_observable(self) -> bool {
        matches!(
            self,
            InstrumentKind::ObservableCounter
                | InstrumentKind::ObservableUpDownCounter
                | InstrumentKind::ObservableGauge
        )
    }

    pub(crate) fn is_gauge(self) -> bool {
        matches!(self, InstrumentKind::Gauge | InstrumentKind::ObservableGauge)
    }
}

/// A setting of a reader for each kind of instrument.
#[derive(Clone, Debug)]
pub(crate) struct PerKind<T>([T; 7]);

impl<T: Clone> PerKind<T> {
    /// Asks `setting` for each kind once, here: what it does, it does to whoever configures, not to whoever makes instruments.
    pub(crate) fn new(setting: impl FnMut(InstrumentKind) -> T) -> Self {
        use InstrumentKind::{
            Counter, Gauge, Histogram, ObservableCounter, ObservableGauge, ObservableUpDownCounter, UpDownCounter,
        };
        // In the order of their declaration.
        PerKind(
            [Counter, UpDownCounter, Histogram, Gauge, ObservableCounter, ObservableUpDownCounter, ObservableGauge]
                .map(setting),
        )
    }

    pub(crate) fn of(&self, kind: InstrumentKind) -> T {
        self.0[kind as usize].clone()
    }
}

/// What a reader's totals are of, for each kind of instrument; `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE`.
///
/// spec: metrics/sdk_exporters/otlp.md#additional-environment-variable-configuration
///
/// A gauge has no totals. Whatever is preferred, the last value of a series that is recorded stays in every collection:
/// [`ReaderConfig::with_temporality_of`](super::ReaderConfig::with_temporality_of) and
/// [`View::without_stale_values`](super::View::without_stale_values) are there for those who want only what is new.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TemporalityPreference {
    /// Everything is cumulative.
    #[default]
    Cumulative,
    /// Counters and histograms are deltas. Each is exported once: what an export loses is lost, and counted in
    /// [`SdkMeterProvider::lost_delta_points`](super::SdkMeterProvider::lost_delta_points).
    Delta,
    /// Only what the SDK then need not remember is a delta: counters and histograms that are recorded, not observed.
    LowMemory,
}

impl TemporalityPreference {
    /// The temporality of a kind of instrument.
    pub fn of(self, kind: InstrumentKind) -> Temporality {
        use InstrumentKind::{Counter, Histogram, ObservableCounter};
        match (self, kind) {
            (TemporalityPreference::Delta, Counter | Histogram | ObservableCounter)
            | (TemporalityPreference::LowMemory, Counter | Histogram) => Temporality::Delta,
            _ => Temporality::Cumulative,
        }
    }
}

/// How the measurements of a series become its points.
///
/// spec: metrics/sdk.md#aggregation
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Aggregation {
    /// What suits the instrument: sums for counters, last values for gauges, buckets for histograms.
    #[default]
    Default,
    /// Nothing is kept.
    Drop,
    /// The sum.
    Sum,
    /// The last value.
    LastValue,
    /// A histogram with buckets up to and including these bounds, and one above.
    ExplicitBucketHistogram {
        /// The bounds, strictly increasing and finite; none for a histogram without buckets.
        boundaries: Vec<f64>,
        /// Whether the least and the greatest measurement are kept.
        record_min_max: bool,
    },
    /// A histogram whose buckets grow exponentially and adapt to what is measured.
    Base2ExponentialHistogram {
        /// The most buckets of each sign, at least 2.
        max_size: u32,
        /// The finest resolution, from -10 to 20.
        max_scale: i8,
        /// Whether the least and the greatest measurement are kept.
        record_min_max: bool,
    },
}

/// The bounds of a histogram for which nobody gave any.
///
/// spec: metrics/sdk.md#explicit-bucket-histogram-aggregation
pub const DEFAULT_BOUNDARIES: [f64; 15] =
    [0.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1000.0, 2500.0, 5000.0, 7500.0, 10000.0];

impl Aggregation {
    /// A histogram with these bounds.
    pub fn explicit_buckets(boundaries: impl Into<Vec<f64>>) -> Self {
        Aggregation::ExplicitBucketHistogram { boundaries: boundaries.into(), record_min_max: true }
    }

    /// An exponential histogram with the specification's defaults: 160 buckets of each sign, scale 20 at most.
    pub fn exponential() -> Self {
        Aggregation::Base2ExponentialHistogram { max_size: 160, max_scale: 20, record_min_max: true }
    }

    /// What is wrong with it, if anything.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        match self {
            Aggregation::ExplicitBucketHistogram { boundaries, .. } if !are_boundaries(boundaries) => {
                Some("the boundaries of its buckets are not finite and strictly increasing")
            }
            Aggregation::Base2ExponentialHistogram { max_size: 0 | 1, .. } => Some("its size is less than 2"),
            Aggregation::Base2ExponentialHistogram { max_scale, .. } if !(-10..=20).contains(max_scale) => {
                Some("its scale is not from -10 to 20")
            }
            _ => None,
        }
    }
}

/// Whether these can be bounds of buckets.
pub(crate) fn are_boundaries(bounds: &[f64]) -> bool {
    bounds.iter().all(|bound| bound.is_finite()) && bounds.windows(2).all(|pair| pair[0] < pair[1])
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// spec: metrics/sdk.md#explicit-bucket-histogram-aggregation
    #[test]
    fn the_default_boundaries_are_those_of_the_specification() {
        let expected = "0 5 10 25 50 75 100 250 500 750 1000 2500 5000 7500 10000";
        assert_eq!(DEFAULT_BOUNDARIES.map(|bound| bound.to_string()).join(" "), expected);
    }
}
