//! An adapter for `opentelemetry_sdk` span exporters.

use std::fmt;

use opentelemetry_sdk::trace::SpanExporter;
use telemark_sdk::signal::Traces;
use telemark_sdk::time::Deadline;
use telemark_sdk::{Batch, ExportError, ExportReport, Exporter};

use crate::hosted::Hosted;
use crate::span::span_to_upstream;

/// Exports through an `opentelemetry_sdk` span exporter, on the SDK's own thread and within each export's deadline.
pub struct UpstreamExporter<E>(Hosted<E>);

impl<E: SpanExporter + 'static> UpstreamExporter<E> {
    /// Adapts `exporter`, which must not need an async runtime. For those that do, see `with_tokio`.
    pub fn new(exporter: E) -> Self {
        UpstreamExporter(Hosted::new(exporter))
    }

    /// Adapts the exporter returned by `make`. The first export calls `make` on the SDK's thread. With
    /// `with_tokio`, it is called inside the runtime, as exporters based on tonic require.
    ///
    /// If `make` fails, the first batch fails with its error, and all later batches also fail.
    pub fn from_fn<Error>(make: impl FnOnce() -> Result<E, Error> + Send + 'static) -> Self
    where
        Error: std::error::Error + Send + Sync + 'static,
    {
        UpstreamExporter(Hosted::from_fn(make))
    }

    /// Gives the exporter its own tokio runtime: current-thread, on the SDK's thread, with a reactor and
    /// timers. The runtime starts with the first export.
    ///
    /// Do not use this with exporters that use a *blocking* HTTP client, which refuses to work inside a
    /// runtime.
    #[cfg(feature = "tokio")]
    pub fn with_tokio(mut self) -> Self {
        self.0.use_tokio();
        self
    }
}

impl<E: SpanExporter + 'static> Exporter<Traces> for UpstreamExporter<E> {
    fn export(&mut self, batch: Batch<'_, Traces>, deadline: Deadline) -> Result<ExportReport, ExportError> {
        self.0.prepare(batch.resource, |exporter, resource| exporter.set_resource(resource))?;
        let spans = batch.iter().map(span_to_upstream).collect();
        self.0.export(|exporter| exporter.export(spans), deadline)
    }

    fn flush(&mut self, _: Deadline) -> Result<(), ExportError> {
        self.0.call(|exporter| exporter.force_flush())
    }

    fn shutdown(&mut self, deadline: Deadline) -> Result<(), ExportError> {
        let flushed = self.flush(deadline);
        let shut_down = self.0.call(|exporter| match deadline.remaining() {
            Some(left) => exporter.shutdown_with_timeout(left),
            // Use the exporter's default timeout, because adding an unlimited duration to a clock overflows.
            None => exporter.shutdown(),
        });
        shut_down.and(flushed)
    }

    fn component_type(&self) -> &'static str {
        std::any::type_name::<E>()
    }
}

impl<E: fmt::Debug> fmt::Debug for UpstreamExporter<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt_as("UpstreamExporter", f)
    }
}
