//! The exporter.

use std::time::Duration;

use super::Batch;
use crate::error::ExportError;
use crate::error::report::ExportReport;
use crate::signal::Signal;
use crate::time::Deadline;

/// Sends finished telemetry somewhere.
///
/// Every method is called on one thread of the SDK, never concurrently, with telemetry suppressed and panics caught. A method
/// may block until its deadline and must return by then. An exporter that needs an async runtime owns a current-thread runtime,
/// which it may create in its first `export` and which is dropped on the same thread.
///
/// spec: trace/sdk.md#span-exporter
pub trait Exporter<S: Signal>: Send + 'static {
    /// Sends the batch. Called for every full batch, and once per export interval if there is anything to send.
    ///
    /// A batch of which a part was delivered is a report that says how many items failed, and why:
    /// [`ExportReport::with_failed`].
    ///
    /// # Errors
    /// The batch was not delivered and never will be: an exporter that retries does so within `deadline`.
    fn export(&mut self, batch: Batch<'_, S>, deadline: Deadline) -> Result<ExportReport, ExportError>;

    /// Sends everything that the exporter itself has buffered.
    ///
    /// # Errors
    /// Something could not be delivered before the deadline.
    fn flush(&mut self, deadline: Deadline) -> Result<(), ExportError> {
        let _ = deadline;
        Ok(())
    }

    /// The last call: releases connections and files. Called once.
    ///
    /// # Errors
    /// Something could not be delivered before the deadline.
    fn shutdown(&mut self, deadline: Deadline) -> Result<(), ExportError> {
        self.flush(deadline)
    }

    /// Returns the `otel.component.type` in the SDK's own metrics: a name of the semantic conventions, such as
    /// `otlp_grpc_span_exporter`, or by default the name of the type. Asked once, when the pipeline starts.
    ///
    /// spec: semconv registry/attributes/otel.md#otel-component-attributes
    fn component_type(&self) -> &'static str {
        type_name::<Self>()
    }

    /// Returns the destination, without secrets, for the SDK's own messages: "http/protobuf to
    /// http://localhost:4318/v1/traces". Empty by default; then messages name [`Self::component_type`]. Asked once, when the
    /// pipeline starts.
    fn destination(&self) -> String {
        String::new()
    }

    /// Returns the host and the port that the exporter sends to, `server.address` and `server.port` in the SDK's own
    /// metrics; `None` by default, for an exporter that sends to no server. Asked once, when the pipeline starts.
    ///
    /// spec: semconv otel/sdk-metrics.md
    fn server(&self) -> Option<(String, u16)> {
        None
    }

    /// Returns the rest of a pause that the receiver asked for; zero by default. Asked before a batch is taken from the queue or
    /// metrics are collected. During the pause items wait in the queue, as long as it has room, and deltas in their series,
    /// instead of being lost with an export that cannot succeed. A flush and a shutdown export nevertheless.
    fn pause(&self) -> Duration {
        Duration::ZERO
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
}

/// Returns the path of a type without its generic arguments.
pub(crate) fn type_name<T: ?Sized>() -> &'static str {
    std::any::type_name::<T>().split('<').next().unwrap_or_default()
}
