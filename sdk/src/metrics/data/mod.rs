//! Collected metrics: points and exemplars, the attributes of a series, and their fingerprint. Knows no other folder.

mod attributes;
mod exemplars;
mod fingerprint;
mod metric;
mod number;
mod point;

pub use attributes::Attributes;
pub use exemplars::Exemplars;
pub use metric::{Metric, MetricData, Number, ScopeMetrics, Temporality};
pub use point::{Buckets, Exemplar, ExponentialHistogramPoint, HistogramPoint, NumberPoint};

pub(crate) use fingerprint::{Fingerprint, Secrets, is_same_set, is_same_value};
pub(crate) use number::{Measured, NumberType};
