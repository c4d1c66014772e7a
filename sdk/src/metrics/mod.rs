//! Metrics: the data of a collection.

mod attributes;
mod data;
mod point;

pub use attributes::Attributes;
pub use data::{Metric, MetricData, Number, ScopeMetrics, Temporality};
pub use point::{Buckets, Exemplar, ExponentialHistogramPoint, HistogramPoint, NumberPoint};

use crate::signal::{Metrics, Signal};

impl Signal for Metrics {
    type Item = ScopeMetrics;
    const NAME: &'static str = "metrics";
    const ITEMS: &'static str = "metric data points";
}
