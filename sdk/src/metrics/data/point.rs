//! Metric points: numbers, histograms, and their exemplars.

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
    /// Start of the interval that the value covers. It has no meaning for gauges, for which exporters may omit it.
    pub start: Timestamp,
    /// Time of the collection.
    pub time: Timestamp,
    /// The value.
    pub value: Number,
    /// A sample of the measurements that contributed to the point.
    pub exemplars: Exemplars,
}

impl NumberPoint {
    /// Creates a point without exemplars. Both timestamps are the Unix epoch.
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

/// A distribution over buckets with explicit bounds.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct HistogramPoint {
    /// Attributes of the series.
    pub attributes: Attributes,
    /// Start of the interval that the counts cover.
    pub start: Timestamp,
    /// Time of the collection.
    pub time: Timestamp,
    /// Number of measurements, equal to the sum of the bucket counts.
    pub count: u64,
    /// Sum of the measurements. `None` if measurements may be negative, which would make the sum meaningless.
    pub sum: Option<f64>,
    /// Smallest measurement. `None` if there were no measurements or if the minimum is not recorded.
    pub min: Option<f64>,
    /// Largest measurement. `None` if there were no measurements or if the maximum is not recorded.
    pub max: Option<f64>,
    /// Inclusive upper bounds of all buckets except the last, in increasing order. Empty if the histogram has
    /// no buckets.
    pub bounds: Arc<[f64]>,
    /// The bucket counts. There is one more bucket than there are bounds.
    pub bucket_counts: Vec<u64>,
    /// A sample of the measurements that contributed to the point.
    pub exemplars: Exemplars,
}

impl HistogramPoint {
    /// Creates a point with these bucket counts; `count` is their sum. Both timestamps are the Unix epoch, and `sum`,
    /// `min`, `max` and `exemplars` are unset.
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

    /// Sets the minimum and the maximum.
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

/// A distribution over exponentially growing buckets. Bucket `i` covers (base^i, base^(i+1)], where base =
/// 2^(2^-scale).
///
/// spec: metrics/data-model.md#exponentialhistogram
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ExponentialHistogramPoint {
    /// Attributes of the series.
    pub attributes: Attributes,
    /// Start of the interval that the counts cover.
    pub start: Timestamp,
    /// Time of the collection.
    pub time: Timestamp,
    /// Number of measurements, equal to the sum of all bucket counts and the zero count.
    pub count: u64,
    /// Sum of the measurements. `None` if measurements may be negative, which would make the sum meaningless.
    pub sum: Option<f64>,
    /// Smallest measurement. `None` if there were no measurements or if the minimum is not recorded.
    pub min: Option<f64>,
    /// Largest measurement. `None` if there were no measurements or if the maximum is not recorded.
    pub max: Option<f64>,
    /// The resolution: each step up halves the bucket width on a logarithmic scale.
    pub scale: i32,
    /// Number of measurements whose magnitude is at most the zero threshold.
    pub zero_count: u64,
    /// The width of the zero bucket.
    pub zero_threshold: f64,
    /// The buckets for positive values.
    pub positive: Buckets,
    /// The buckets for negative values, by magnitude.
    pub negative: Buckets,
    /// A sample of the measurements that contributed to the point.
    pub exemplars: Exemplars,
}

impl ExponentialHistogramPoint {
    /// Creates a point with these buckets; `count` is the sum of their counts. Both timestamps are the Unix epoch, and
    /// `sum`, `min`, `max` and `exemplars` are unset.
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

    /// Sets the minimum and the maximum.
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

/// The buckets for values of one sign.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Buckets {
    /// The index of the first bucket.
    pub offset: i32,
    /// The counts, starting with the first bucket's count.
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
