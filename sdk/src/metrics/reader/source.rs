//! The series that a reader collects, for the SDK's own metrics.

use std::sync::Arc;

use super::Pipeline;
use crate::metrics::series::Cardinality;

/// Counts the series of all metrics of one reader.
#[derive(Clone)]
pub(crate) struct SeriesSource(pub(crate) Arc<Pipeline>);

/// The series of one metric.
pub(crate) struct MetricSeries {
    /// The name of the scope.
    pub(crate) scope: Arc<str>,
    /// The name of the metric.
    pub(crate) name: Arc<str>,
    pub(crate) cardinality: Cardinality,
    pub(crate) limit: usize,
    /// Number of series that have expired so far.
    pub(crate) expired: u64,
}

impl SeriesSource {
    /// Returns the series of each metric.
    pub(crate) fn all(&self) -> Vec<MetricSeries> {
        let mut all = Vec::new();
        for scope in self.0.registry.scopes() {
            let name: Arc<str> = scope.scope.name().into();
            all.extend(scope.streams.iter().map(|stream| MetricSeries {
                scope: name.clone(),
                name: stream.config.name.clone(),
                cardinality: stream.cardinality(),
                limit: stream.config.limit,
                expired: stream.expired(),
            }));
        }
        all
    }
}
