//! Producers: metrics of other libraries, added to a collection.

use crate::error::ExportError;
use crate::metrics::data::ScopeMetrics;

/// Adds metrics of another library to each collection of a reader.
///
/// Called on the thread that collects; a panic is caught, and an error is reported while the other metrics are exported.
///
/// spec: metrics/sdk.md#metricproducer
pub trait MetricProducer: Send + Sync + 'static {
    /// Returns the current metrics.
    ///
    /// # Errors
    /// The metrics are not available this time.
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
