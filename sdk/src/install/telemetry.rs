//! The telemetry of a program: made global, asked, flushed at the end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use opentelemetry::global;
use opentelemetry::propagation::TextMapPropagator;

use super::builder::Instrumentation;
use super::handle::{TelemetryHandle, installed};
use super::pipeline::Companion;
use super::signals::Health;
use super::{TelemetryBuilder, ending, termination};
use crate::config::Env;
use crate::diag::{self, Level};
use crate::error::{ConfigError, ExportError};
use crate::propagation::active::ContextPropagator;
use crate::time::Deadline;

/// The telemetry of a program; `telemark` calls it the guard. When it is dropped, on unwinding too, it exports what is left,
/// within its [flush timeout](TelemetryBuilder::with_flush_timeout). `let _ =` drops it at once: name it.
///
/// ```
/// use std::time::Duration;
/// use opentelemetry::trace::Tracer;
/// use telemark_sdk::config::Env;
/// use telemark_sdk::install::Telemetry;
/// use telemark_sdk::testing::InMemoryExporter;
///
/// let exporter = InMemoryExporter::new();
/// let telemetry = Telemetry::builder(Env::process()).with_span_exporter(exporter.clone()).build()?;
/// telemetry.tracer("shop").in_span("checkout", |_| {});
/// telemetry.flush(Duration::from_secs(5))?;
/// assert_eq!(exporter.items()[0].name, "checkout");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "telemetry ends when this is dropped, with `let _ =` at once: keep it in a named variable until the end of main"]
pub struct Telemetry {
    pub(super) handle: TelemetryHandle,
    propagator: Option<Box<dyn TextMapPropagator + Send + Sync>>,
    instrumentations: Vec<Instrumentation>,
    is_installed: bool,
    _companions: Vec<Companion>,
}

impl Telemetry {
    /// Returns a builder that reads the variables of `env`; what is set in code goes before them.
    pub fn builder(env: Env) -> TelemetryBuilder {
        TelemetryBuilder::new(env)
    }

    pub(super) fn new(
        handle: TelemetryHandle,
        propagator: Option<Box<dyn TextMapPropagator + Send + Sync>>,
        instrumentations: Vec<Instrumentation>,
        companions: Vec<Companion>,
    ) -> Self {
        Telemetry { handle, propagator, instrumentations, is_installed: false, _companions: companions }
    }

    /// Makes this the telemetry of the program: of the API's globals, of `#[traced]` and of [metrics in
    /// statics](crate::instrument::statics). The global meter provider stays as it is if this one has no readers. With
    /// [`TelemetryBuilder::with_termination_handler`] it also ends with the program.
    ///
    /// # Errors
    /// Another one has been installed before; that one stays, even when it has ended, and this one is shut down.
    pub fn install(mut self) -> Result<Telemetry, ConfigError> {
        if !self.handle.providers.claim() {
            return Err(ConfigError::state("init", already_installed()));
        }
        self.is_installed = true;
        installed::set(self.handle.clone());
        if let Some(propagator) = self.propagator.take() {
            global::set_text_map_propagator(ContextPropagator::new(propagator));
        }
        self.handle.providers.all().into_iter().for_each(|provider| provider.make_global());
        self.handle.report_start();
        termination::watch(&self.handle);
        for Instrumentation(start) in std::mem::take(&mut self.instrumentations) {
            if catch_unwind(AssertUnwindSafe(|| start(&self))).is_err() {
                diag::log(Level::Error, "instrumentation", format_args!("an instrumentation panicked when it started"));
            }
        }
        Ok(self)
    }

    /// Returns a handle that flushes and shuts down from elsewhere. It does not keep the telemetry going.
    pub fn handle(&self) -> TelemetryHandle {
        self.handle.clone()
    }

    /// Exports everything that was recorded, within `timeout`; see [`TelemetryHandle::force_flush`].
    ///
    /// # Errors
    /// Something could not be delivered, or not in time.
    pub fn flush(&self, timeout: Duration) -> Result<(), ExportError> {
        self.handle.flush(timeout)
    }

    /// Exports the spans that have ended and the metrics as they are; see [`TelemetryHandle::force_flush`].
    ///
    /// # Errors
    /// Something could not be delivered, or not before the deadline.
    pub fn force_flush(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.handle.force_flush(deadline)
    }

    /// Exports everything that was recorded and stops; see [`TelemetryHandle::shutdown`].
    ///
    /// # Errors
    /// Something could not be delivered, or not before the deadline.
    pub fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.handle.shutdown(deadline)
    }

    /// Returns the counts of what was exported and dropped, for each pipeline of each signal.
    pub fn health(&self) -> Health {
        self.handle.health()
    }

    /// The longest that dropping this may take.
    pub fn flush_timeout(&self) -> Duration {
        self.handle.flush_timeout
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if self.is_installed {
            ending::end(&self.handle);
        } else {
            self.handle.end();
        }
        // In a forked child the telemetry never started.
        if self.is_installed && !self.handle.home.is_past() {
            self.handle.providers.all().into_iter().for_each(|provider| provider.guard_is_gone());
        }
    }
}

fn already_installed() -> &'static str {
    match installed::get() {
        Some(first) if first.home.is_past() => {
            "telemetry was started before this process was forked, and cannot start again \
            in it; call `init` after the fork, in each process"
        }
        Some(first) if first.has_ended() => {
            "telemetry was installed already and has ended; a program has it once, until its \
            guard is dropped"
        }
        _ => "telemetry has been installed already; the first one stays",
    }
}
