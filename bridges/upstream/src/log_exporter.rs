//! An adapter for `opentelemetry_sdk` log exporters.

use std::fmt;

use opentelemetry::InstrumentationScope;
use opentelemetry_sdk::logs::{LogBatch, LogExporter, SdkLogRecord as Upstream};
use telemark_sdk::signal::Logs;
use telemark_sdk::time::Deadline;
use telemark_sdk::{Batch, ExportError, ExportReport, Exporter};

use crate::hosted::Hosted;
use crate::log_record::Converter;

/// Exports through an `opentelemetry_sdk` log exporter, on the SDK's own thread and within each export's deadline.
///
/// `opentelemetry_sdk` records do not have a number of dropped attributes, so the exporter does not receive that
/// number.
pub struct UpstreamLogExporter<E> {
    hosted: Hosted<E>,
    converter: Converter,
}

impl<E: LogExporter + 'static> UpstreamLogExporter<E> {
    /// Adapts `exporter`, which must not need an async runtime. For those that do, see `with_tokio`.
    pub fn new(exporter: E) -> Self {
        UpstreamLogExporter { hosted: Hosted::new(exporter), converter: Converter::new() }
    }

    /// Adapts the exporter returned by `make`. The first export calls `make` on the SDK's thread. With
    /// `with_tokio`, it is called inside the runtime, as exporters based on tonic require.
    ///
    /// If `make` fails, the first batch fails with its error, and all later batches also fail.
    pub fn from_fn<Error>(make: impl FnOnce() -> Result<E, Error> + Send + 'static) -> Self
    where
        Error: std::error::Error + Send + Sync + 'static,
    {
        UpstreamLogExporter { hosted: Hosted::from_fn(make), converter: Converter::new() }
    }

    /// Gives the exporter its own tokio runtime, as
    /// [`UpstreamExporter::with_tokio`](crate::UpstreamExporter::with_tokio) does.
    #[cfg(feature = "tokio")]
    pub fn with_tokio(mut self) -> Self {
        self.hosted.use_tokio();
        self
    }
}

impl<E: LogExporter + 'static> Exporter<Logs> for UpstreamLogExporter<E> {
    fn export(&mut self, batch: Batch<'_, Logs>, deadline: Deadline) -> Result<ExportReport, ExportError> {
        self.hosted.prepare(batch.resource, |exporter, resource| exporter.set_resource(resource))?;
        let records: Vec<(Upstream, &InstrumentationScope)> =
            batch.iter().map(|record| (self.converter.convert(record), &**record.scope())).collect();
        let borrowed: Vec<_> = records.iter().map(|(record, scope)| (record, *scope)).collect();
        self.hosted.export(|exporter| exporter.export(LogBatch::new(&borrowed)), deadline)
    }

    fn shutdown(&mut self, deadline: Deadline) -> Result<(), ExportError> {
        self.hosted.call(|exporter| match deadline.remaining() {
            Some(left) => exporter.shutdown_with_timeout(left),
            // Use the exporter's default timeout, because adding an unlimited duration to a clock overflows.
            None => exporter.shutdown(),
        })
    }

    fn component_type(&self) -> &'static str {
        std::any::type_name::<E>()
    }
}

impl<E: fmt::Debug> fmt::Debug for UpstreamLogExporter<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.hosted.fmt_as("UpstreamLogExporter", f)
    }
}
