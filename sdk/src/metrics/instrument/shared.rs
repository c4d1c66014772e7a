//! State shared by all meters of a provider.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use crate::metrics::config::View;
use crate::metrics::exemplar::Selection;
use crate::metrics::meters::Meters;
use crate::metrics::reader::{Callbacks, Pipeline};
use crate::time::Clock;

/// State shared by a provider and its meters.
pub(crate) struct Shared {
    pub(crate) views: Vec<View>,
    pub(crate) pipelines: Vec<Arc<Pipeline>>,
    pub(crate) callbacks: Arc<Callbacks>,
    pub(crate) exemplars: Selection,
    pub(crate) clock: Clock,
    pub(crate) meters: Arc<Meters>,
    /// Set once the provider has been shut down. No instruments are created after that.
    pub(crate) is_shut_down: AtomicBool,
    /// The number of measurements rejected because they were not finite, or negative on a counter.
    pub(crate) rejected: Arc<AtomicU64>,
}
