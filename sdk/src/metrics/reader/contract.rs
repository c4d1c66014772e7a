//! The contract between a provider and its readers.

use std::fmt::Debug;
use std::sync::Arc;

use super::config::ReaderConfig;
use super::pipeline::Pipeline;
use crate::diag::{Counters, SignalHealth};
use crate::error::ExportError;
use crate::export::type_name;
use crate::runtime::{Pacer, Waiting};
use crate::time::Deadline;

/// Reads a provider's metrics. A provider's readers are independent of each other.
///
/// This trait is sealed. Use a [`PeriodicReader`](crate::metrics::PeriodicReader) with push exporters, and a
/// [`PullReader`](crate::metrics::PullReader) otherwise.
///
/// spec: metrics/sdk.md#metricreader
pub trait MetricReader: Connect + Debug + Send + Sync + 'static {
    /// Collects and exports.
    ///
    /// # Errors
    /// Returns an error if an export fails or the deadline passes.
    fn flush(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.begin(Begin::Flush, deadline).wait(deadline)
    }

    /// Collects and exports one last time. A second call does nothing.
    ///
    /// # Errors
    /// Returns an error if an export fails or the deadline passes.
    fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.begin(Begin::Shutdown, deadline).wait(deadline)
    }

    /// Returns the counts of delivered and lost points, or `None` if this reader does not export.
    fn health(&self) -> Option<SignalHealth> {
        self.counters().map(|counters| counters.snapshot())
    }

    /// Returns the counters behind [`Self::health`], for the SDK's own metrics.
    fn counters(&self) -> Option<Arc<Counters>> {
        None
    }

    /// Returns this reader's `otel.component.type` in the SDK's own metrics.
    fn component_type(&self) -> &'static str {
        type_name::<Self>()
    }
}

/// Connects a reader to its provider.
pub trait Connect {
    /// Returns the reader's configuration.
    #[doc(hidden)]
    fn take_config(&mut self) -> ReaderConfig;

    /// Sets the source from which to collect.
    #[doc(hidden)]
    fn connect(&self, source: Source);

    /// Informs the reader that there will be no metrics, because telemetry is switched off.
    #[doc(hidden)]
    fn disable(&self) {}

    /// Returns what changes the interval of the exports, or `None` if this reader does not export by itself.
    #[doc(hidden)]
    fn pacer(&self) -> Option<Pacer> {
        None
    }

    /// Starts a flush or a shutdown without waiting for it, so that a slow reader does not use up the others'
    /// time.
    #[doc(hidden)]
    fn begin(&self, what: Begin, deadline: Deadline) -> Begun;
}

/// A request to a reader.
#[derive(Clone, Copy, Debug)]
pub enum Begin {
    /// Collect and export.
    Flush,
    /// Collect and export one last time.
    Shutdown,
}

/// A flush or a shutdown in progress.
#[must_use = "its result is lost unless it is waited for"]
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

/// The source of a reader's metrics: its pipeline.
#[derive(Clone)]
pub struct Source(pub(crate) Arc<Pipeline>);

impl Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Source")
    }
}
