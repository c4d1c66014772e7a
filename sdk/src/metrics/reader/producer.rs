//! Metrics from elsewhere, for bridges from other libraries.

use crate::error::ExportError;
use crate::metrics::data::ScopeMetrics;

/// Gives metrics of another library at each collection of a reader.
///
/// Called on the thread that collects; a panic is caught, and an error is reported while the other metrics are exported.
///
/// spec: metrics/sdk.md#metricproducer
pub trait MetricProducer: Send + Sync + 'static {
    /// The metrics now.
    ///
    /// # Errors
    /// They cannot be had this time.
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
