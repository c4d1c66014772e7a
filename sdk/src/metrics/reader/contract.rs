//! Readers: what they have in common, and what each is told about the metrics it reads.

use std::fmt::Debug;
use std::sync::Arc;

use super::pipeline::Pipeline;
use super::producer::MetricProducer;
use crate::diag::{Counters, SignalHealth};
use crate::error::ExportError;
use crate::export::type_name;
use crate::metrics::config::PerKind;
use crate::metrics::config::{Aggregation, InstrumentKind, TemporalityPreference};
use crate::metrics::data::Temporality;
use crate::runtime::Waiting;
use crate::time::Deadline;

/// Reads the metrics of one provider. Several readers of a provider do not know of each other.
///
/// Sealed: a reader is a [`PeriodicReader`](super::PeriodicReader) for exporters that are pushed to, or a
/// [`PullReader`](super::PullReader).
///
/// spec: metrics/sdk.md#metricreader
pub trait MetricReader: Connect + Debug + Send + Sync + 'static {
    /// Reads and exports now.
    ///
    /// # Errors
    /// Something could not be delivered, or not before the deadline.
    fn flush(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.begin(Begin::Flush, deadline).wait(deadline)
    }

    /// Reads and exports for the last time. A second call does nothing.
    ///
    /// # Errors
    /// Something could not be delivered, or not before the deadline.
    fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.begin(Begin::Shutdown, deadline).wait(deadline)
    }

    /// What became of the points, for readers that export; `None` for others.
    fn health(&self) -> Option<SignalHealth> {
        self.counters().map(|counters| counters.snapshot())
    }

    /// Where readers that export count what became of the points, for the SDK's own metrics.
    fn counters(&self) -> Option<Arc<Counters>> {
        None
    }

    /// What it is called in the SDK's own metrics, as `otel.component.type`.
    fn component_type(&self) -> &'static str {
        type_name::<Self>()
    }
}

/// How a provider and a reader meet.
pub trait Connect {
    /// What the reader is told.
    #[doc(hidden)]
    fn take_config(&mut self) -> ReaderConfig;

    /// Begins to read from here.
    #[doc(hidden)]
    fn connect(&self, source: Source);

    /// Begins to flush or to shut down and does not wait, so that a slow reader takes no time from the others.
    #[doc(hidden)]
    fn begin(&self, what: Begin, deadline: Deadline) -> Begun;
}

/// What a reader can be asked to do.
#[derive(Clone, Copy, Debug)]
pub enum Begin {
    /// Read and export now.
    Flush,
    /// Do so for the last time.
    Shutdown,
}

/// A flush or a shutdown that is under way.
#[must_use = "nobody learns how it ended"]
pub struct Begun(pub(crate) Waiting);

impl Begun {
    pub(crate) fn wait(self, deadline: Deadline) -> Result<(), ExportError> {
        self.0.wait(deadline)
    }
}

impl Debug for Begun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Begun")
    }
}

/// What a reader reads from.
#[derive(Clone)]
pub struct Source(pub(crate) Arc<Pipeline>);

impl Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Source")
    }
}

/// The defaults of a reader; views win over them.
///
/// spec: metrics/sdk.md#metricreader
#[derive(Clone)]
pub struct ReaderConfig {
    pub(crate) temporality: PerKind<Temporality>,
    pub(crate) aggregation: PerKind<Aggregation>,
    pub(crate) limit: PerKind<usize>,
    pub(crate) producers: Vec<Arc<dyn MetricProducer>>,
    pub(crate) component_type: Option<&'static str>,
}

/// The series that a metric may have, unless somebody says otherwise.
///
/// spec: metrics/sdk.md#cardinality-limits
pub const DEFAULT_CARDINALITY_LIMIT: usize = 2000;

impl Default for ReaderConfig {
    fn default() -> Self {
        ReaderConfig {
            temporality: PerKind::new(|_| Temporality::Cumulative),
            aggregation: PerKind::new(|_| Aggregation::Default),
            limit: PerKind::new(|_| DEFAULT_CARDINALITY_LIMIT),
            producers: Vec::new(),
            component_type: None,
        }
    }
}

impl ReaderConfig {
    /// The specification's defaults: cumulative, default aggregations, 2000 series a metric, no producers.
    pub fn new() -> Self {
        ReaderConfig::default()
    }

    /// What totals are of.
    pub fn with_temporality(self, preference: TemporalityPreference) -> Self {
        self.with_temporality_of(move |kind| preference.of(kind))
    }

    /// What totals are of for each kind of instrument; asked once for each, here.
    ///
    /// [`Temporality::Delta`] for [`InstrumentKind::Gauge`] exports the series that were recorded since the last collection,
    /// and forgets the others; by default the last value of a series is exported for ever.
    ///
    /// spec: metrics/sdk.md#metricreader — the temporality is a function of the kind.
    pub fn with_temporality_of(mut self, temporality: impl Fn(InstrumentKind) -> Temporality) -> Self {
        self.temporality = PerKind::new(temporality);
        self
    }

    /// How instruments of a kind are aggregated.
    pub fn with_aggregation(mut self, aggregation: impl Fn(InstrumentKind) -> Aggregation) -> Self {
        self.aggregation = PerKind::new(aggregation);
        self
    }

    /// How many series a metric of a kind may have, and one more for everything beyond.
    pub fn with_cardinality_limit(mut self, limit: impl Fn(InstrumentKind) -> usize) -> Self {
        self.limit = PerKind::new(limit);
        self
    }

    /// What a [`PullReader`](super::PullReader) is called in the SDK's own metrics, as `otel.component.type`: for exporters
    /// that are pulled from; by default the name of its type.
    pub fn with_component_type(mut self, component_type: &'static str) -> Self {
        self.component_type = Some(component_type);
        self
    }

    /// Adds metrics from elsewhere to each collection.
    pub fn with_producer(mut self, producer: impl MetricProducer) -> Self {
        self.producers.push(Arc::new(producer));
        self
    }
}

impl Debug for ReaderConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReaderConfig").field("temporality", &self.temporality).finish_non_exhaustive()
    }
}
