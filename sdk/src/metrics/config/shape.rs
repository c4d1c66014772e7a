//! A stream's aggregation and its parameters.

use std::sync::Arc;

/// The aggregation of a stream.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    Sum,
    LastValue,
    Histogram(HistogramConfig),
    Exponential(ExponentialConfig),
}

/// Parameters shared by the histograms of a stream.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HistogramConfig {
    pub(crate) bounds: Arc<[f64]>,
    pub(crate) record_min_max: bool,
    pub(crate) record_sum: bool,
}

/// Parameters shared by the exponential histograms of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExponentialConfig {
    /// Maximum number of buckets per sign. At least 2.
    pub(crate) max_size: usize,
    pub(crate) max_scale: i32,
    pub(crate) record_min_max: bool,
    pub(crate) record_sum: bool,
}

impl ExponentialConfig {
    /// spec: metrics/sdk.md#exemplar-defaults
    pub(crate) fn exemplars(&self) -> usize {
        self.max_size.min(20)
    }
}
