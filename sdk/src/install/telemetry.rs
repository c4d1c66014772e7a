//! The telemetry of a program: made global, asked, flushed at the end.

use std::borrow::Cow;
use std::time::Duration;

use opentelemetry::global;
use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry::propagation::TextMapPropagator;

use super::TelemetryBuilder;
use super::builder::Companion;
use super::handle::{TelemetryHandle, installed};
use super::{ending, termination};
use crate::config::Env;
use crate::diag::SignalHealth;
use crate::error::{ConfigError, ExportError};
use crate::metrics::{self, SdkMeterProvider};
use crate::propagation::active::ContextPropagator;
use crate::time::Deadline;
use crate::trace::{SdkTracer, SdkTracerProvider, active};

/// The telemetry of a program. When it is dropped, on unwinding too, it exports what is left, within its
/// [flush timeout](TelemetryBuilder::with_flush_timeout). `let _ =` drops it at once: name it.
///
/// ```
/// use telemark_sdk::config::Env;
/// use telemark_sdk::install::Telemetry;
/// use telemark_sdk::testing::InMemoryExporter;
/// use telemark_sdk::time::Deadline;
/// use opentelemetry::trace::{Tracer, TracerProvider};
///
/// let exporter = InMemoryExporter::new();
/// let telemetry = Telemetry::builder(Env::process()).with_span_exporter(exporter.clone()).build()?;
/// telemetry.tracer_provider().tracer("shop").in_span("checkout", |_| {});
/// telemetry.force_flush(Deadline::NEVER)?;
/// assert_eq!(exporter.items()[0].name, "checkout");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "telemetry ends when this is dropped, with `let _ =` at once: keep it in a named variable until the end of main"]
pub struct Telemetry {
    handle: TelemetryHandle,
    propagator: Option<Box<dyn TextMapPropagator + Send + Sync>>,
    is_installed: bool,
    _companions: Vec<Box<dyn Companion>>,
}

impl Telemetry {
    /// Starts from the variables of `env`; what is set in code goes before them.
    pub fn builder(env: Env) -> TelemetryBuilder {
        TelemetryBuilder::new(env)
    }

    pub(super) fn new(
        handle: TelemetryHandle,
        propagator: Box<dyn TextMapPropagator + Send + Sync>,
        companions: Vec<Box<dyn Companion>>,
    ) -> Self {
        Telemetry { handle, propagator: Some(propagator), is_installed: false, _companions: companions }
    }

    /// Makes this the telemetry of the program: of the API's globals, of `#[traced]` and of [metrics in
    /// statics](crate::metered). The global meter provider stays as it is if this one has no readers. With
    /// [`TelemetryBuilder::with_termination_handler`] it also ends with the program.
    ///
    /// # Errors
    /// Another one has been installed before; that one stays, even when it has ended, and this one is shut down.
    pub fn install(mut self) -> Result<Telemetry, ConfigError> {
        let tracers = self.handle.tracers.clone().into_static();
        if !active::install(tracers.tracer_in(active::scope())) {
            return Err(ConfigError::state("init", already_installed()));
        }
        self.handle.tracers = tracers.clone();
        self.is_installed = true;
        installed::set(self.handle.clone());
        if let Some(propagator) = self.propagator.take() {
            global::set_text_map_propagator(ContextPropagator::new(propagator));
        }
        global::set_tracer_provider(tracers);
        metrics::active::install(self.handle.meters.clone());
        // Without a reader it would replace one that may have some, and its instruments would cost time for nothing.
        if self.handle.meters.enabled() {
            global::set_meter_provider(self.handle.meters.clone());
        }
        self.handle.report_start();
        termination::watch(&self.handle);
        Ok(self)
    }

    /// Returns a handle that flushes and shuts down from elsewhere. It does not keep the telemetry going.
    pub fn handle(&self) -> TelemetryHandle {
        self.handle.clone()
    }

    /// The tracer provider.
    pub fn tracer_provider(&self) -> &SdkTracerProvider {
        &self.handle.tracers
    }

    /// A tracer of spans with the scope `name`.
    pub fn tracer(&self, name: impl Into<Cow<'static, str>>) -> SdkTracer {
        opentelemetry::trace::TracerProvider::tracer(&self.handle.tracers, name)
    }

    /// The meter provider.
    pub fn meter_provider(&self) -> &SdkMeterProvider {
        &self.handle.meters
    }

    /// A meter of instruments with the scope `name`.
    pub fn meter(&self, name: &'static str) -> Meter {
        self.handle.meters.meter(name)
    }

    /// Exports the spans that have ended and the metrics as they are; see [`TelemetryHandle::force_flush`].
    ///
    /// # Errors
    /// Something could not be delivered, or not before the deadline.
    pub fn force_flush(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.handle.force_flush(deadline)
    }

    /// Does the same and stops; see [`TelemetryHandle::shutdown`].
    ///
    /// # Errors
    /// Something could not be delivered, or not before the deadline.
    pub fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.handle.shutdown(deadline)
    }

    /// What became of the spans, for each exporter.
    pub fn health(&self) -> Vec<SignalHealth> {
        self.handle.tracers.health()
    }

    /// What became of the points of metrics, for each exporter.
    pub fn metric_health(&self) -> Vec<SignalHealth> {
        self.handle.meters.health()
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
        // In a forked child it has never begun.
        if self.is_installed && !self.handle.home.is_past() {
            active::guard_is_gone(&self.handle.tracers);
            metrics::active::guard_is_gone();
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
