//! The tokio runtime of an exporter: on its own thread, for one future at a time.

use std::pin::Pin;

use opentelemetry::Context;
use telemark_sdk::ExportError;

/// A current-thread runtime, made when it is needed first.
#[derive(Debug, Default)]
pub(crate) struct Runtime(Option<tokio::runtime::Runtime>);

impl Runtime {
    /// Runs the future with telemetry suppressed. It is borrowed as a trait object because tokio's loop around a future is
    /// compiled for every type of future.
    ///
    /// # Errors
    /// The calling thread belongs to another runtime, which must not be blocked, or the system has no resources left.
    pub(crate) fn block_on<T>(&mut self, future: Pin<&mut dyn Future<Output = T>>) -> Result<T, ExportError> {
        // tokio would panic.
        if tokio::runtime::Handle::try_current().is_ok() {
            return Err(ExportError::other("an exporter blocks: it cannot be called on a thread of an async runtime"));
        }
        let runtime = match self.0.take() {
            Some(runtime) => runtime,
            None => tokio::runtime::Builder::new_current_thread()
                .enable_all()
                // Host names are resolved on a thread of their own.
                .max_blocking_threads(1)
                .thread_name("telemark-resolver")
                .build()
                .map_err(|error| ExportError::other("no runtime for the exporter").with_source(error))?,
        };
        // Whoever calls: a request must not become telemetry about telemetry.
        let _suppressed = Context::enter_telemetry_suppressed_scope();
        let output = runtime.block_on(future);
        self.0 = Some(runtime);
        Ok(output)
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // Waits for nothing, a name that is being resolved above all, and is allowed on a thread of another runtime.
            runtime.shutdown_background();
        }
    }
}
