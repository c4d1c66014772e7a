//! The telemetry of a program: made global, asked, flushed at the end.

use std::borrow::Cow;
use std::time::Duration;

use opentelemetry::global;
use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry::propagation::TextMapPropagator;

use super::TelemetryBuilder;
use super::builder::Companion;
use crate::config::Env;
use crate::diag::{self, Level, SignalHealth};
use crate::error::{ConfigError, ExportError};
use crate::metrics::{self, SdkMeterProvider};
use crate::propagation::active::ContextPropagator;
use crate::time::Deadline;
use crate::trace::{SdkTracer, SdkTracerProvider, active};

/// The telemetry of a program. When it is dropped, on unwinding too, it exports what is left, within its
/// [flush timeout](TelemetryBuilder::with_flush_timeout).
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
#[must_use = "telemetry ends when this is dropped: keep it until the end of main"]
pub struct Telemetry {
    pub(super) tracers: SdkTracerProvider,
    pub(super) meters: SdkMeterProvider,
    pub(super) propagator: Option<Box<dyn TextMapPropagator + Send + Sync>>,
    pub(super) flush_timeout: Duration,
    pub(super) _companions: Vec<Box<dyn Companion>>,
}

impl Telemetry {
    /// Starts from the variables of `env`; what is set in code goes before them.
    pub fn builder(env: Env) -> TelemetryBuilder {
        TelemetryBuilder::new(env)
    }

    /// Makes this the telemetry of the program: of the API's globals, of `#[traced]` and of [metrics in
    /// statics](crate::metered). The global meter provider stays as it is if this one has no readers.
    ///
    /// # Errors
    /// Another one has been installed before; that one stays, and this one is shut down.
    pub fn install(mut self) -> Result<Telemetry, ConfigError> {
        let tracers = self.tracers.clone().into_static();
        if !active::install(tracers.tracer_in(active::scope())) {
            return Err(ConfigError::state("init", "telemetry has been installed already; the first one stays"));
        }
        self.tracers = tracers.clone();
        if let Some(propagator) = self.propagator.take() {
            global::set_text_map_propagator(ContextPropagator::new(propagator));
        }
        global::set_tracer_provider(tracers);
        metrics::active::install(self.meters.clone());
        // Without a reader it would replace one that may have some, and its instruments would cost time for nothing.
        if self.meters.enabled() {
            global::set_meter_provider(self.meters.clone());
        }
        Ok(self)
    }

    /// The tracer provider.
    pub fn tracer_provider(&self) -> &SdkTracerProvider {
        &self.tracers
    }

    /// A tracer of spans with the scope `name`.
    pub fn tracer(&self, name: impl Into<Cow<'static, str>>) -> SdkTracer {
        opentelemetry::trace::TracerProvider::tracer(&self.tracers, name)
    }

    /// The meter provider.
    pub fn meter_provider(&self) -> &SdkMeterProvider {
        &self.meters
    }

    /// A meter of instruments with the scope `name`.
    pub fn meter(&self, name: &'static str) -> Meter {
        self.meters.meter(name)
    }

    /// Exports the spans that have ended and the metrics as they are. Blocks until then. Of the time until the deadline a
    /// fifth is kept for the metrics, should a receiver of spans not answer.
    ///
    /// # Errors
    /// Something could not be delivered, or not before the deadline.
    pub fn force_flush(&self, deadline: Deadline) -> Result<(), ExportError> {
        let spans = self.tracers.force_flush(for_spans(deadline));
        spans.and(self.meters.force_flush(deadline))
    }

    /// Does the same and stops. A second call does nothing.
    ///
    /// # Errors
    /// Something could not be delivered, or not before the deadline.
    pub fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        let spans = self.tracers.shutdown(for_spans(deadline));
        spans.and(self.meters.shutdown(deadline))
    }

    /// What became of the spans, for each exporter.
    pub fn health(&self) -> Vec<SignalHealth> {
        self.tracers.health()
    }

    /// What became of the points of metrics, for each exporter.
    pub fn metric_health(&self) -> Vec<SignalHealth> {
        self.meters.health()
    }

    /// The longest that dropping this may take.
    pub fn flush_timeout(&self) -> Duration {
        self.flush_timeout
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Err(error) = self.shutdown(Deadline::after(self.flush_timeout)) {
            diag::log(Level::Error, "shutdown", format_args!("not everything was exported at the end: {error}"));
        }
    }
}

fn for_spans(deadline: Deadline) -> Deadline {
    deadline.remaining().map_or(Deadline::NEVER, |left| Deadline::after(left * 4 / 5))
}
