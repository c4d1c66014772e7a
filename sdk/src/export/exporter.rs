//! The exporter trait.

use std::time::Duration;

use super::Batch;
use crate::error::ExportError;
use crate::error::report::ExportReport;
use crate::signal::Signal;
use crate::time::Deadline;

/// Sends finished telemetry to a destination.
///
/// Every method is called on one SDK thread, never concurrently, with telemetry suppressed and panics caught. A method may
/// block, but must return by its deadline. An exporter that needs an async runtime should own a current-thread runtime; it
/// may create the runtime in its first `export`, and the runtime is dropped on the same thread.
///
/// spec: trace/sdk.md#span-exporter
pub trait Exporter<S: Signal>: Send + 'static {
    /// Sends the batch. Called for every full batch, and once per export interval if items are waiting.
    ///
    /// If only part of a batch was delivered, return a report of how many items failed and why, using
    /// [`ExportReport::with_failed`].
    ///
    /// # Errors
    /// Returns an error if the batch was not delivered and never will be. An exporter that retries must do so before
    /// `deadline`.
    fn export(&mut self, batch: Batch<'_, S>, deadline: Deadline) -> Result<ExportReport, ExportError>;

    /// Sends everything that the exporter has buffered.
    ///
    /// # Errors
    /// Returns an error if something could not be delivered before the deadline.
    fn flush(&mut self, deadline: Deadline) -> Result<(), ExportError> {
        let _ = deadline;
        Ok(())
    }

    /// Releases connections and files. Called once, as the last call.
    ///
    /// # Errors
    /// Returns an error if something could not be delivered before the deadline.
    fn shutdown(&mut self, deadline: Deadline) -> Result<(), ExportError> {
        self.flush(deadline)
    }

    /// Returns the `otel.component.type` for the SDK's own metrics: a name from the semantic conventions, such as
    /// `otlp_grpc_span_exporter`, or the type name by default. Called once, when the pipeline starts.
    ///
    /// spec: semconv registry/attributes/otel.md#otel-component-attributes
    fn component_type(&self) -> &'static str {
        type_name::<Self>()
    }

    /// Returns the destination, without secrets, for the SDK's own messages, such as "http/protobuf to
    /// http://localhost:4318/v1/traces". Empty by default, in which case messages use [`Self::component_type`]. Called once,
    /// when the pipeline starts.
    fn destination(&self) -> String {
        String::new()
    }

    /// Returns the host and port that the exporter sends to, used as `server.address` and `server.port` in the SDK's own
    /// metrics. Returns `None` by default, for an exporter that does not send to a server. Called once, when the pipeline
    /// starts.
    ///
    /// spec: semconv otel/sdk-metrics.md
    fn server(&self) -> Option<(String, u16)> {
        None
    }

    /// Returns how much longer the receiver wants exports to pause; zero by default. Called before a batch is taken
    /// from the queue or metrics are collected. During the pause, items stay in the queue as long as there is room,
    /// and deltas keep accumulating in their series, rather than being lost in an export that cannot succeed.
    /// Shutdown ignores the pause. So does a flush, except that spans and log records stay in the queue if the pause
    /// outlasts the time for their export: the deadline of the flush or the export timeout.
    fn pause(&self) -> Duration {
        Duration::ZERO
    }

    /// Returns how often changed credentials or certificates could not be used, so that the exporter kept its old ones; zero by default.
    /// Called after each export.
    fn failed_refreshes(&self) -> u64 {
        0
    }
}

impl<S: Signal> Exporter<S> for Box<dyn Exporter<S>> {
    fn export(&mut self, batch: Batch<'_, S>, deadline: Deadline) -> Result<ExportReport, ExportError> {
        (**self).export(batch, deadline)
    }

    fn flush(&mut self, deadline: Deadline) -> Result<(), ExportError> {
        (**self).flush(deadline)
    }

    fn shutdown(&mut self, deadline: Deadline) -> Result<(), ExportError> {
        (**self).shutdown(deadline)
    }

    fn component_type(&self) -> &'static str {
        (**self).component_type()
    }

    fn destination(&self) -> String {
        (**self).destination()
    }

    fn server(&self) -> Option<(String, u16)> {
        (**self).server()
    }

    fn pause(&self) -> Duration {
        (**self).pause()
    }

    fn failed_refreshes(&self) -> u64 {
        (**self).failed_refreshes()
    }
}

/// Returns the path of a type without its generic arguments.
pub(crate) fn type_name<T: ?Sized>() -> &'static str {
    std::any::type_name::<T>().split('<').next().unwrap_or_default()
}
