//! Readers: what they have in common, and what each is told about the metrics it reads.

use std::fmt::Debug;
use std::sync::Arc;

use super::config::ReaderConfig;
use super::pipeline::Pipeline;
use crate::diag::{Counters, SignalHealth};
use crate::error::ExportError;
use crate::export::type_name;
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
