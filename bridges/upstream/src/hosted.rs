//! An `opentelemetry_sdk` exporter on the SDK's own thread, where it is created if necessary and driven until it
//! completes or its deadline passes.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use telemark_sdk::instrument::bridge;
use telemark_sdk::time::Deadline;
use telemark_sdk::{ExportError, ExportReport, Resource};

use crate::executor::Executor;
use crate::resource::resource_to_upstream;

pub(crate) type Make<E> = Box<dyn FnOnce() -> Result<E, ExportError> + Send>;

/// An exporter for any signal, and the executor that runs it.
pub(crate) struct Hosted<E> {
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

impl<E> Hosted<E> {
    pub(crate) fn new(exporter: E) -> Self {
        Hosted::with_state(State::Made(exporter))
    }

    pub(crate) fn from_fn<Error>(make: impl FnOnce() -> Result<E, Error> + Send + 'static) -> Self
    where
        Error: std::error::Error + Send + Sync + 'static,
    {
        Hosted::with_state(State::New(Box::new(|| {
            make().map_err(|error| ExportError::other("the exporter could not be created").with_source(error))
        })))
    }

    fn with_state(state: State<E>) -> Self {
        bridge::note_foreign_exporter();
        Hosted { state, executor: Executor::default(), resource: None }
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn use_tokio(&mut self) {
        self.executor = Executor::Tokio(Default::default());
    }

    /// Prepares the exporter for a batch: creates it if necessary, and sets the resource if it has changed.
    pub(crate) fn prepare(
        &mut self,
        resource: &Resource,
        set: impl FnOnce(&mut E, &opentelemetry_sdk::Resource),
    ) -> Result<(), ExportError> {
        let Hosted { state, executor, resource: known } = self;
        let exporter = made(state, executor)?;
        if !known.as_ref().is_some_and(|known| known.is_same(resource)) {
            let upstream = resource_to_upstream(resource);
            executor.enter(|| set(exporter, &upstream)).map_err(no_runtime)?;
            *known = Some(resource.clone());
        }
        Ok(())
    }

    /// Drives an export until it completes or the deadline passes.
    pub(crate) fn export<'a, F: Future<Output = OTelSdkResult> + 'a>(
        &'a mut self,
        export: impl FnOnce(&'a E) -> F + 'a,
        deadline: Deadline,
    ) -> Result<ExportReport, ExportError> {
        let exporter = made(&mut self.state, &mut self.executor)?;
        // The call itself may need the runtime. The async block ensures that the call is made inside the runtime.
        let export = async { export(exporter).await };
        match self.executor.run(export, deadline).map_err(no_runtime)? {
            Some(Ok(())) => Ok(ExportReport::accepted()),
            Some(Err(error)) => Err(from_upstream(error)),
            None => Err(ExportError::timeout("the exporter did not finish by the deadline")),
        }
    }

    /// Calls the exporter if it has been created.
    pub(crate) fn call(&mut self, call: impl FnOnce(&E) -> OTelSdkResult) -> Result<(), ExportError> {
        let State::Made(exporter) = &self.state else { return Ok(()) };
        self.executor.enter(|| call(exporter)).map_err(no_runtime)?.map_err(from_upstream)
    }
}

/// Returns the exporter, creating it first if necessary.
fn made<'a, E>(state: &'a mut State<E>, executor: &mut Executor) -> Result<&'a mut E, ExportError> {
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

impl<E: fmt::Debug> Hosted<E> {
    /// Formats the exporter within an adapter that has this name.
    pub(crate) fn fmt_as(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.state {
            State::New(_) => write!(f, "{name}(not created yet)"),
            State::Made(exporter) => f.debug_tuple(name).field(exporter).finish(),
            State::Failed => write!(f, "{name}(could not be created)"),
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
