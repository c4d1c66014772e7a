//! Metric producers, which add other libraries' metrics to a collection.

use crate::error::ExportError;
use crate::metrics::data::ScopeMetrics;

/// Adds another library's metrics to each collection of a reader.
///
/// Called on the collecting thread. Panics are caught. After an error or a panic, a warning is logged and the
/// other metrics are still exported.
///
/// spec: metrics/sdk.md#metricproducer
pub trait MetricProducer: Send + Sync + 'static {
    /// Returns the current metrics.
    ///
    /// # Errors
    /// Returns an error if the metrics are currently unavailable.
    fn produce(&self) -> Result<Vec<ScopeMetrics>, ExportError>;
}

impl<F> MetricProducer for F
where
    F: Fn() -> Result<Vec<ScopeMetrics>, ExportError> + Send + Sync + 'static,
{
    fn produce(&self) -> Result<Vec<ScopeMetrics>, ExportError> {
        self()
    }
}
