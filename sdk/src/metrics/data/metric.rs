//! Collected metrics: the items of the metrics signal.

use std::sync::Arc;

use opentelemetry::InstrumentationScope;

use super::point::{ExponentialHistogramPoint, HistogramPoint, NumberPoint};

/// The metrics of one instrumentation scope at one collection; the item of the metrics signal.
///
/// spec: metrics/data-model.md
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ScopeMetrics {
    /// The scope of the meter.
    pub scope: Arc<InstrumentationScope>,
    /// The metrics, each with at least one point.
    pub metrics: Vec<Metric>,
}

impl ScopeMetrics {
    /// Creates the metrics of a scope.
    pub fn new(scope: impl Into<Arc<InstrumentationScope>>, metrics: Vec<Metric>) -> Self {
        ScopeMetrics { scope: scope.into(), metrics }
    }
}

/// One metric: its name and its points.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Metric {
    /// The name.
    pub name: Arc<str>,
    /// The description; may be empty.
    pub description: Arc<str>,
    /// The unit, in UCUM; may be empty.
    pub unit: Arc<str>,
    /// The points.
    pub data: MetricData,
}

impl Metric {
    /// Creates a metric without description and unit.
    pub fn new(name: impl Into<Arc<str>>, data: MetricData) -> Self {
        Metric { name: name.into(), description: "".into(), unit: "".into(), data }
    }

    /// Sets the description.
    pub fn with_description(mut self, description: impl Into<Arc<str>>) -> Self {
        self.description = description.into();
        self
    }

    /// Sets the unit.
    pub fn with_unit(mut self, unit: impl Into<Arc<str>>) -> Self {
        self.unit = unit.into();
        self
    }
}

/// The points of a metric, by how they were aggregated.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum MetricData {
    /// Totals.
    Sum {
        /// One for each series.
        points: Vec<NumberPoint>,
        /// The temporality of the totals.
        temporality: Temporality,
        /// True if totals never fall.
        monotonic: bool,
    },
    /// Last values.
    Gauge {
        /// One for each series.
        points: Vec<NumberPoint>,
    },
    /// Distributions in buckets with given bounds.
    Histogram {
        /// One for each series.
        points: Vec<HistogramPoint>,
        /// The temporality of the counts.
        temporality: Temporality,
    },
    /// Distributions in buckets that grow exponentially.
    ExponentialHistogram {
        /// One for each series.
        points: Vec<ExponentialHistogramPoint>,
        /// The temporality of the counts.
        temporality: Temporality,
    },
}

impl MetricData {
    /// Returns the number of points.
    pub fn len(&self) -> usize {
        match self {
            MetricData::Sum { points, .. } | MetricData::Gauge { points } => points.len(),
            MetricData::Histogram { points, .. } => points.len(),
            MetricData::ExponentialHistogram { points, .. } => points.len(),
        }
    }

    /// Returns true for the deltas of a sum or a histogram.
    pub(crate) fn is_delta(&self) -> bool {
        match self {
            MetricData::Gauge { .. } => false,
            MetricData::Sum { temporality, .. }
            | MetricData::Histogram { temporality, .. }
            | MetricData::ExponentialHistogram { temporality, .. } => *temporality == Temporality::Delta,
        }
    }

    /// Returns true if there are no points.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The interval that a total covers.
///
/// spec: metrics/data-model.md#temporality
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Temporality {
    /// Everything since the start of the series.
    Cumulative,
    /// Everything since the last collection.
    Delta,
}
