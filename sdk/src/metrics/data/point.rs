//! The points of metrics: numbers, histograms and the exemplars behind them.

use std::sync::Arc;

use super::attributes::Attributes;
use super::exemplars::{Exemplar, Exemplars};
use super::number::Number;
use crate::time::Timestamp;

/// One value of a sum or a gauge.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct NumberPoint {
    /// Attributes of the series.
    pub attributes: Attributes,
    /// Start of the interval this value covers. Meaningless for gauges, where exporters may omit it.
    pub start: Timestamp,
    /// Time of the collection.
    pub time: Timestamp,
    /// The value.
    pub value: Number,
    /// Some of the measurements behind the point.
    pub exemplars: Exemplars,
}

impl NumberPoint {
    /// Creates a point without exemplars, at the epoch.
    pub fn new(attributes: Attributes, value: impl Into<Number>) -> Self {
        let epoch = Timestamp::default();
        NumberPoint { attributes, start: epoch, time: epoch, value: value.into(), exemplars: Exemplars::none() }
    }

    /// Sets the start of the interval and the time of the collection.
    pub fn at(mut self, start: Timestamp, time: Timestamp) -> Self {
        (self.start, self.time) = (start, time);
        self
    }

    /// Adds an exemplar.
    pub fn with_exemplar(mut self, exemplar: Exemplar) -> Self {
        self.exemplars.push(exemplar);
        self
    }
}

/// One distribution in buckets with given bounds.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct HistogramPoint {
    /// Attributes of the series.
    pub attributes: Attributes,
    /// Start of the interval these counts cover.
    pub start: Timestamp,
    /// Time of the collection.
    pub time: Timestamp,
    /// Number of measurements: the sum of the buckets.
    pub count: u64,
    /// Sum of the measurements; `None` if they may be negative, which makes it meaningless.
    pub sum: Option<f64>,
    /// Smallest measurement; `None` if there were no measurements or it is not recorded.
    pub min: Option<f64>,
    /// Largest measurement; `None` if there were no measurements or it is not recorded.
    pub max: Option<f64>,
    /// The inclusive upper bounds of all buckets but the last, in order; empty for no buckets.
    pub bounds: Arc<[f64]>,
    /// The counts of the buckets, one more than there are bounds.
    pub bucket_counts: Vec<u64>,
    /// Some of the measurements behind the point.
    pub exemplars: Exemplars,
}

impl HistogramPoint {
    /// Creates a point at the epoch with these buckets and their count, without sum, extremes and exemplars.
    pub fn new(attributes: Attributes, bounds: impl Into<Arc<[f64]>>, bucket_counts: Vec<u64>) -> Self {
        HistogramPoint {
            attributes,
            start: Timestamp::default(),
            time: Timestamp::default(),
            count: bucket_counts.iter().sum(),
            sum: None,
            min: None,
            max: None,
            bounds: bounds.into(),
            bucket_counts,
            exemplars: Exemplars::none(),
        }
    }

    /// Sets the start of the interval and the time of the collection.
    pub fn at(mut self, start: Timestamp, time: Timestamp) -> Self {
        (self.start, self.time) = (start, time);
        self
    }

    /// Sets the sum.
    pub fn with_sum(mut self, sum: f64) -> Self {
        self.sum = Some(sum);
        self
    }

    /// Sets minimum and maximum.
    pub fn with_extremes(mut self, min: f64, max: f64) -> Self {
        (self.min, self.max) = (Some(min), Some(max));
        self
    }

    /// Adds an exemplar.
    pub fn with_exemplar(mut self, exemplar: Exemplar) -> Self {
        self.exemplars.push(exemplar);
        self
    }
}

/// One distribution in buckets that grow exponentially: bucket `i` holds values in (base^i, base^(i+1)], with
/// base = 2^(2^-scale).
///
/// spec: metrics/data-model.md#exponentialhistogram
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ExponentialHistogramPoint {
    /// Attributes of the series.
    pub attributes: Attributes,
    /// Start of the interval these counts cover.
    pub start: Timestamp,
    /// Time of the collection.
    pub time: Timestamp,
    /// Number of measurements: the sum of all buckets and the zero count.
    pub count: u64,
    /// Sum of the measurements; `None` if they may be negative, which makes it meaningless.
    pub sum: Option<f64>,
    /// Smallest measurement; `None` if there were no measurements or it is not recorded.
    pub min: Option<f64>,
    /// Largest measurement; `None` if there were no measurements or it is not recorded.
    pub max: Option<f64>,
    /// The resolution.
    pub scale: i32,
    /// Number of measurements that are zero or closer to it than the threshold.
    pub zero_count: u64,
    /// The width of the zero bucket.
    pub zero_threshold: f64,
    /// The buckets of positive values.
    pub positive: Buckets,
    /// The buckets of negative values, by their magnitude.
    pub negative: Buckets,
    /// Some of the measurements behind the point.
    pub exemplars: Exemplars,
}

impl ExponentialHistogramPoint {
    /// Creates a point at the epoch with these buckets and their count, without sum, extremes and exemplars.
    pub fn new(attributes: Attributes, scale: i32, zero_count: u64, positive: Buckets, negative: Buckets) -> Self {
        ExponentialHistogramPoint {
            attributes,
            start: Timestamp::default(),
            time: Timestamp::default(),
            count: zero_count + positive.total() + negative.total(),
            sum: None,
            min: None,
            max: None,
            scale,
            zero_count,
            zero_threshold: 0.0,
            positive,
            negative,
            exemplars: Exemplars::none(),
        }
    }

    /// Sets the start of the interval and the time of the collection.
    pub fn at(mut self, start: Timestamp, time: Timestamp) -> Self {
        (self.start, self.time) = (start, time);
        self
    }

    /// Sets the sum.
    pub fn with_sum(mut self, sum: f64) -> Self {
        self.sum = Some(sum);
        self
    }

    /// Sets minimum and maximum.
    pub fn with_extremes(mut self, min: f64, max: f64) -> Self {
        (self.min, self.max) = (Some(min), Some(max));
        self
    }

    /// Adds an exemplar.
    pub fn with_exemplar(mut self, exemplar: Exemplar) -> Self {
        self.exemplars.push(exemplar);
        self
    }
}

/// The buckets of one sign.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Buckets {
    /// The index of the first bucket.
    pub offset: i32,
    /// The counts, starting with the first bucket.
    pub counts: Vec<u64>,
}

impl Buckets {
    /// Creates buckets that start at index `offset`.
    pub fn new(offset: i32, counts: Vec<u64>) -> Self {
        Buckets { offset, counts }
    }

    /// Returns the number of measurements in all buckets.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }
}
