//! An adapter for `opentelemetry_sdk` span exporters.

use std::fmt;
use std::time::Duration;

use opentelemetry_sdk::error::OTelSdkError;
use opentelemetry_sdk::trace::SpanExporter;
use telemark_sdk::signal::Traces;
use telemark_sdk::time::Deadline;
use telemark_sdk::{Batch, ExportError, ExportReport, Exporter, Resource};

use crate::executor::Executor;
use crate::resource::resource_to_upstream;
use crate::span::span_to_upstream;

type Make<E> = Box<dyn FnOnce() -> Result<E, ExportError> + Send>;

/// Exports through an `opentelemetry_sdk` span exporter, on the SDK's own thread and within each export's deadline.
pub struct UpstreamExporter<E> {
    // Declared before the executor so that it is dropped first, because the exporter's connections may belong to the
    // runtime.
    state: State<E>,
    executor: Executor,
    /// The resource last passed to the exporter.
    resource: Option<Resource>,
}

enum State<E> {
    /// The exporter is not created yet.
    New(Make<E>),
    Made(E),
    /// The exporter could not be created. The first export has returned the reason.
    Failed,
}

impl<E: SpanExporter + 'static> UpstreamExporter<E> {
    /// Adapts `exporter`, which must not need an async runtime. For those that do, see `with_tokio`.
    pub fn new(exporter: E) -> Self {
        UpstreamExporter::with_state(State::Made(exporter))
    }

    /// Adapts the exporter returned by `make`. The first export calls `make` on the SDK's thread. With
    /// `with_tokio`, it is called inside the runtime, as exporters based on tonic require.
    ///
    /// If `make` fails, the first batch fails with its error, and all later batches also fail.
    pub fn from_fn<Error>(make: impl FnOnce() -> Result<E, Error> + Send + 'static) -> Self
    where
        Error: std::error::Error + Send + Sync + 'static,
    {
        UpstreamExporter::with_state(State::New(Box::new(|| {
            make().map_err(|error| ExportError::other("the exporter could not be created").with_source(error))
        })))
    }

    fn with_state(state: State<E>) -> Self {
        UpstreamExporter { state, executor: Executor::default(), resource: None }
    }

    /// Gives the exporter its own tokio runtime: current-thread, on the SDK's thread, with a reactor and
    /// timers. The runtime starts with the first export.
    ///
    /// Do not use this with exporters that use a *blocking* HTTP client, which refuses to work inside a
    /// runtime.
    #[cfg(feature = "tokio")]
    pub fn with_tokio(mut self) -> Self {
        self.executor = Executor::Tokio(Default::default());
        self
    }

    /// Returns the exporter, creating it first if necessary.
    fn made<'a>(state: &'a mut State<E>, executor: &mut Executor) -> Result<&'a mut E, ExportError> {
        if let State::New(_) = state {
            // Set to `Failed` first, so that a `make` that panics is not called again.
            if let State::New(make) = std::mem::replace(state, State::Failed) {
                *state = State::Made(executor.enter(make).map_err(no_runtime)??);
            }
        }
        match state {
            State::Made(exporter) => Ok(exporter),
            State::New(_) | State::Failed => Err(ExportError::other("the exporter could not be created")),
        }
    }
}

impl<E: SpanExporter + 'static> Exporter<Traces> for UpstreamExporter<E> {
    fn export(&mut self, batch: Batch<'_, Traces>, deadline: Deadline) -> Result<ExportReport, ExportError> {
        let exporter = Self::made(&mut self.state, &mut self.executor)?;
        if !self.resource.as_ref().is_some_and(|known| known.is_same(batch.resource)) {
            let resource = resource_to_upstream(batch.resource);
            self.executor.enter(|| exporter.set_resource(&resource)).map_err(no_runtime)?;
            self.resource = Some(batch.resource.clone());
        }
        let spans = batch.iter().map(span_to_upstream).collect();
        // The call itself may need the runtime. The async block ensures that the call is made inside the runtime.
        let export = async { exporter.export(spans).await };
        match self.executor.run(export, deadline).map_err(no_runtime)? {
            Some(Ok(())) => Ok(ExportReport::accepted()),
            Some(Err(error)) => Err(from_upstream(error)),
            None => Err(ExportError::timeout("the exporter did not finish by the deadline")),
        }
    }

    fn flush(&mut self, _: Deadline) -> Result<(), ExportError> {
        let State::Made(exporter) = &self.state else { return Ok(()) };
        self.executor.enter(|| exporter.force_flush()).map_err(no_runtime)?.map_err(from_upstream)
    }

    fn shutdown(&mut self, deadline: Deadline) -> Result<(), ExportError> {
        let flushed = self.flush(deadline);
        let State::Made(exporter) = &self.state else { return flushed };
        let shut_down = self.executor.enter(|| match deadline.remaining() {
            Some(left) => exporter.shutdown_with_timeout(left),
            // Use the exporter's default timeout, because adding an unlimited duration to a clock overflows.
            None => exporter.shutdown(),
        });
        shut_down.map_err(no_runtime)?.map_err(from_upstream).and(flushed)
    }

    fn component_type(&self) -> &'static str {
        std::any::type_name::<E>()
    }
}

impl<E: fmt::Debug> fmt::Debug for UpstreamExporter<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.state {
            State::New(_) => f.write_str("UpstreamExporter(not created yet)"),
            State::Made(exporter) => f.debug_tuple("UpstreamExporter").field(exporter).finish(),
            State::Failed => f.write_str("UpstreamExporter(could not be created)"),
        }
    }
}

fn no_runtime(error: std::io::Error) -> ExportError {
    ExportError::other("no tokio runtime could be started for the exporter").with_source(error)
}

fn from_upstream(error: OTelSdkError) -> ExportError {
    match error {
        OTelSdkError::AlreadyShutdown => ExportError::shutdown(),
        OTelSdkError::Timeout(after) => {
            ExportError::timeout(format!("the exporter gave up after {} ms", Duration::as_millis(&after)))
        }
        OTelSdkError::InternalFailure(message) => ExportError::other(message),
    }
}
