//! Instrument kinds, and the per-kind defaults of a reader.

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
    /// A total that is observed and never decreases.
    ObservableCounter,
    /// A total that is observed.
    ObservableUpDownCounter,
    /// The current value, as observed.
    ObservableGauge,
}

impl InstrumentKind {
    /// Returns true if the sum of the measurements never decreases.
    pub(crate) fn is_monotonic(self) -> bool {
        matches!(self, InstrumentKind::Counter | InstrumentKind::ObservableCounter | InstrumentKind::Histogram)
    }

    /// Returns true if measurements may be negative, which makes their sum in a histogram meaningless.
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

/// A setting of a reader for each instrument kind.
#[derive(Clone, Debug)]
pub(crate) struct PerKind<T>([T; 7]);

impl<T: Clone> PerKind<T> {
    /// Calls `setting` once per kind. User code therefore runs when the reader is configured, not when instruments are
    /// created.
    pub(crate) fn new(setting: impl FnMut(InstrumentKind) -> T) -> Self {
        use InstrumentKind::{
            Counter, Gauge, Histogram, ObservableCounter, ObservableGauge, ObservableUpDownCounter, UpDownCounter,
        };
        // In declaration order.
        PerKind(
            [Counter, UpDownCounter, Histogram, Gauge, ObservableCounter, ObservableUpDownCounter, ObservableGauge]
                .map(setting),
        )
    }

    pub(crate) fn of(&self, kind: InstrumentKind) -> T {
        self.0[kind as usize].clone()
    }
}

/// The temporality that a reader prefers for each instrument kind, set by
/// `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE`.
///
/// spec: metrics/sdk_exporters/otlp.md#additional-environment-variable-configuration
///
/// Gauges have no temporality: under every preference, each collection exports the last value of every recorded
/// series. To export only new values, use
/// [`ReaderConfig::with_temporality_of`](crate::metrics::ReaderConfig::with_temporality_of) or
/// [`View::without_stale_values`](crate::metrics::View::without_stale_values).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TemporalityPreference {
    /// Cumulative for all instruments.
    #[default]
    Cumulative,
    /// Delta for counters and histograms. Each delta is exported only once; deltas that are lost because an export
    /// fails are counted in
    /// [`SdkMeterProvider::lost_delta_points`](crate::metrics::SdkMeterProvider::lost_delta_points).
    Delta,
    /// Delta for synchronous counters and histograms, so that the SDK does not have to remember their series.
    LowMemory,
}

impl TemporalityPreference {
    /// Returns the temporality for an instrument kind.
    pub fn of(self, kind: InstrumentKind) -> Temporality {
        use InstrumentKind::{Counter, Histogram, ObservableCounter};
        match (self, kind) {
            (TemporalityPreference::Delta, Counter | Histogram | ObservableCounter)
            | (TemporalityPreference::LowMemory, Counter | Histogram) => Temporality::Delta,
            _ => Temporality::Cumulative,
        }
    }
}

/// The aggregation of measurements into points.
///
/// spec: metrics/sdk.md#aggregation
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Aggregation {
    /// The instrument's default: sums for counters, last values for gauges, buckets for histograms.
    #[default]
    Default,
    /// Drops all measurements.
    Drop,
    /// The sum.
    Sum,
    /// The last value.
    LastValue,
    /// A histogram with one bucket per bound, which includes the bound itself, and one bucket above the last bound.
    ExplicitBucketHistogram {
        /// The bounds, finite and strictly increasing. If empty, the histogram has no buckets.
        boundaries: Vec<f64>,
        /// True if the minimum and the maximum are recorded.
        record_min_max: bool,
    },
    /// A histogram with exponential buckets that adapts to the range of measurements.
    Base2ExponentialHistogram {
        /// Maximum number of buckets per sign. At least 2.
        max_size: u32,
        /// The finest resolution, from -10 to 20.
        max_scale: i8,
        /// True if the minimum and the maximum are recorded.
        record_min_max: bool,
    },
}

/// The default bounds, for a histogram that does not specify any.
///
/// spec: metrics/sdk.md#explicit-bucket-histogram-aggregation
pub const DEFAULT_BOUNDARIES: [f64; 15] =
    [0.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1000.0, 2500.0, 5000.0, 7500.0, 10000.0];

impl Aggregation {
    /// Creates a histogram aggregation with these bounds.
    pub fn explicit_buckets(boundaries: impl Into<Vec<f64>>) -> Self {
        Aggregation::ExplicitBucketHistogram { boundaries: boundaries.into(), record_min_max: true }
    }

    /// Creates an exponential histogram aggregation with the specification's defaults: 160 buckets per sign,
    /// maximum scale 20.
    pub fn exponential() -> Self {
        Aggregation::Base2ExponentialHistogram { max_size: 160, max_scale: 20, record_min_max: true }
    }

    /// Returns the reason why this aggregation is invalid, or `None` if it is valid.
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

/// Returns true if these are valid bucket bounds.
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
