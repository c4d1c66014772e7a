//! Collected metrics: points, exemplars, series attributes and their fingerprints. This folder depends on no other
//! folder.

mod attributes;
mod buckets;
mod distinct;
mod exemplars;
mod fingerprint;
mod metric;
mod number;
mod point;

pub use attributes::Attributes;
pub use exemplars::{Exemplar, Exemplars};
pub use metric::{Metric, MetricData, ScopeMetrics, Temporality};
pub use number::Number;
pub use point::{Buckets, ExponentialHistogramPoint, HistogramPoint, NumberPoint};

pub(crate) use attributes::bytes;
pub(crate) use buckets::bucket_of;
pub(crate) use distinct::DistinctValues;
pub(crate) use fingerprint::{Fingerprint, Secrets, is_same_set, is_same_value};
pub(crate) use number::{Measured, NumberType, limited};
