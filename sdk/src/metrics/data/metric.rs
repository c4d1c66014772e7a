//! Collected metrics, the items of the metrics signal.

use std::sync::Arc;

use opentelemetry::InstrumentationScope;

use super::point::{ExponentialHistogramPoint, HistogramPoint, NumberPoint};

/// The metrics of an instrumentation scope at one collection. This is the item type of the metrics signal.
///
/// spec: metrics/data-model.md
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ScopeMetrics {
    /// The meter's scope.
    pub scope: Arc<InstrumentationScope>,
    /// The metrics, each with at least one point.
    pub metrics: Vec<Metric>,
}

impl ScopeMetrics {
    /// Creates an item with the metrics of a scope.
    pub fn new(scope: impl Into<Arc<InstrumentationScope>>, metrics: Vec<Metric>) -> Self {
        ScopeMetrics { scope: scope.into(), metrics }
    }
}

/// A metric: its name, description, unit and points.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Metric {
    /// The name.
    pub name: Arc<str>,
    /// The description, possibly empty.
    pub description: Arc<str>,
    /// The unit in UCUM, possibly empty.
    pub unit: Arc<str>,
    /// The points.
    pub data: MetricData,
}

impl Metric {
    /// Creates a metric without a description or a unit.
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

/// The points of a metric, grouped by kind of aggregation.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum MetricData {
    /// Totals.
    Sum {
        /// One point per series.
        points: Vec<NumberPoint>,
        /// The temporality of the totals.
        temporality: Temporality,
        /// True if the totals never decrease.
        monotonic: bool,
    },
    /// Last values.
    Gauge {
        /// One point per series.
        points: Vec<NumberPoint>,
    },
    /// Distributions over buckets with explicit bounds.
    Histogram {
        /// One point per series.
        points: Vec<HistogramPoint>,
        /// The temporality of the counts.
        temporality: Temporality,
    },
    /// Distributions over exponentially growing buckets.
    ExponentialHistogram {
        /// One point per series.
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

    /// Returns true for a sum or histogram with delta temporality.
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

/// The interval that a total covers: since the start or since the last collection.
///
/// spec: metrics/data-model.md#temporality
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Temporality {
    /// Everything since the start of the series.
    Cumulative,
    /// Everything since the last collection.
    Delta,
}
