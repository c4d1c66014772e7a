//! Metrics: one collection of one instrument.

use std::sync::Arc;

use super::{Attribute, Resource, Scope, SpanId, Text, TraceId};

/// The kind of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MetricKind {
    /// A value at a time.
    Gauge,
    /// A sum.
    Sum {
        /// True if the sum never falls.
        monotonic: bool,
    },
    /// A histogram with explicit bounds.
    Histogram,
    /// A histogram with exponential buckets.
    ExponentialHistogram,
    /// Quantiles that the producer calculated.
    Summary,
}

/// The interval that a point covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Temporality {
    /// Not set, as for gauges.
    #[default]
    Unspecified,
    /// From the previous point to this one.
    Delta,
    /// From the start of the series.
    Cumulative,
}

/// The points of one instrument.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// The name.
    pub name: Text,
    /// The unit, which may be empty.
    pub unit: Text,
    /// The description, which may be empty.
    pub description: Text,
    /// The kind.
    pub kind: MetricKind,
    /// The temporality of the points.
    pub temporality: Temporality,
    /// The resource, from the store's [`Interner`](super::Interner).
    pub resource: Arc<Resource>,
    /// The instrumentation scope, from the store's [`Interner`](super::Interner).
    pub scope: Arc<Scope>,
    /// The points.
    pub points: Vec<Point>,
}

/// One value of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// The start of the interval, in nanoseconds since the Unix epoch, or zero.
    pub start: u64,
    /// The end of the interval, in nanoseconds since the Unix epoch.
    pub time: u64,
    /// The attributes that identify the series.
    pub attributes: Box<[Attribute]>,
    /// The value.
    pub data: PointData,
    /// Sample measurements with their traces.
    pub exemplars: Box<[Exemplar]>,
}

/// The value of a [`Point`].
#[derive(Clone, Debug, PartialEq)]
pub enum PointData {
    /// An integer.
    Int(i64),
    /// A floating-point number.
    Double(f64),
    /// A histogram with explicit bounds.
    Histogram {
        /// The number of measurements.
        count: u64,
        /// The sum of the measurements.
        sum: f64,
        /// The smallest measurement.
        min: Option<f64>,
        /// The largest measurement.
        max: Option<f64>,
        /// The inclusive upper bounds of all buckets but the last.
        bounds: Arc<[f64]>,
        /// The number of measurements in each bucket.
        counts: Box<[u64]>,
    },
    /// A histogram with exponential buckets.
    Exponential {
        /// The number of measurements.
        count: u64,
        /// The sum of the measurements.
        sum: f64,
        /// The smallest measurement.
        min: Option<f64>,
        /// The largest measurement.
        max: Option<f64>,
        /// The scale: the base of the buckets is 2^(2^-scale).
        scale: i32,
        /// The number of measurements near zero.
        zero: u64,
        /// The largest distance from zero that counts as near.
        zero_threshold: f64,
        /// The index of the first bucket for positive measurements, and the buckets' counts.
        positive: (i32, Box<[u64]>),
        /// The index of the first bucket for negative measurements, and the buckets' counts.
        negative: (i32, Box<[u64]>),
    },
    /// Quantiles that the producer calculated.
    Summary {
        /// The number of measurements.
        count: u64,
        /// The sum of the measurements.
        sum: f64,
        /// Pairs of a quantile and its value.
        quantiles: Box<[(f64, f64)]>,
    },
}

/// A sample measurement.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// The time, in nanoseconds since the Unix epoch.
    pub time: u64,
    /// The value.
    pub value: f64,
    /// The trace that was current, or zero.
    pub trace_id: TraceId,
    /// The span that was current, or zero.
    pub span_id: SpanId,
    /// The attributes that the series lacks.
    pub attributes: Box<[Attribute]>,
}
