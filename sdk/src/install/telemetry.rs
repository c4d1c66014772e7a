//! A program's telemetry, and how it is installed globally, flushed and shut down.

use std::fmt;
use std::time::Duration;

use opentelemetry::global;
use opentelemetry::propagation::TextMapPropagator;

use super::builder::Instrumentation;
use super::handle::{TelemetryHandle, installed};
use super::pipeline::Companion;
use super::signals::Health;
use super::{TelemetryBuilder, ending, panics, termination};
use crate::config::{Env, Tree};
use crate::diag::{self, Level};
use crate::error::{ConfigError, Contained, ExportError, catch};
use crate::propagation::active::ContextPropagator;
use crate::time::Deadline;

/// A program's telemetry; `telemark` calls it the guard. Dropping it, even during unwinding, exports everything that
/// is left, within its [flush timeout](TelemetryBuilder::with_flush_timeout). Bind it to a named variable: `let _ =`
/// would drop it immediately.
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
    propagator: Option<Contained<Box<dyn TextMapPropagator + Send + Sync>>>,
    instrumentations: Vec<Instrumentation>,
    is_installed: bool,
    _companions: Vec<Companion>,
    pub(super) source: Source,
    /// The settings that code has set, by the names of the builder's methods.
    pub(super) set_in_code: Vec<&'static str>,
}

/// The source of the settings that code left open.
pub(super) enum Source {
    /// The variables, as the file that has the same effect.
    Env(Tree),
    /// A configuration file, and the environment that it gives to integrations.
    File(Tree, Env),
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Source::Env(_) => "Env",
            Source::File(..) => "File",
        })
    }
}

impl Telemetry {
    /// Returns a builder that reads the variables of `env`. Settings in code take precedence.
    pub fn builder(env: Env) -> TelemetryBuilder {
        TelemetryBuilder::new(env)
    }

    pub(super) fn new(
        handle: TelemetryHandle,
        propagator: Option<Contained<Box<dyn TextMapPropagator + Send + Sync>>>,
        instrumentations: Vec<Instrumentation>,
        companions: Vec<Companion>,
        source: Source,
        set_in_code: Vec<&'static str>,
    ) -> Self {
        Telemetry {
            handle,
            propagator,
            instrumentations,
            is_installed: false,
            _companions: companions,
            source,
            set_in_code,
        }
    }

    /// Makes this the program's telemetry, which the API's globals, `#[traced]` and [metrics in
    /// statics](crate::instrument::statics) all use, and so do [active loggers](crate::logs::active). The global meter
    /// provider is left unchanged if this telemetry has no metric readers. With [`TelemetryBuilder::with_termination_handler`], the telemetry is also shut down when
    /// the program ends.
    ///
    /// # Errors
    /// Returns an error if another telemetry is already installed. The other telemetry stays installed, even if it has
    /// been shut down, and this telemetry is shut down.
    pub fn install(mut self) -> Result<Telemetry, ConfigError> {
        if !self.handle.providers.claim() {
            return Err(ConfigError::state("init", already_installed()));
        }
        self.is_installed = true;
        match (&self.handle.reloader, &self.source) {
            // A later version may have applied since the build.
            (Some(reloader), _) => reloader.install(&self.control()),
            (None, Source::File(_, env)) => env.install_file(),
            (None, Source::Env(_)) => {}
        }
        installed::set(self.handle.clone());
        if let Some(propagator) = self.propagator.take() {
            global::set_text_map_propagator(ContextPropagator::new(propagator));
        }
        self.handle.providers.all().into_iter().for_each(|provider| provider.make_global());
        self.handle.report_start();
        termination::watch(&self.handle);
        panics::watch(&self.handle);
        for Instrumentation(start) in std::mem::take(&mut self.instrumentations) {
            if catch(|| start(&self)).is_err() {
                diag::log(Level::Error, "instrumentation", format_args!("an instrumentation panicked when it started"));
            }
        }
        Ok(self)
    }

    /// Returns a handle that can flush and shut down from elsewhere. The handle does not keep the telemetry alive.
    pub fn handle(&self) -> TelemetryHandle {
        self.handle.clone()
    }

    /// Exports everything recorded so far, within `timeout`; see [`TelemetryHandle::force_flush`].
    ///
    /// # Errors
    /// Returns an error if something could not be delivered in time.
    pub fn flush(&self, timeout: Duration) -> Result<(), ExportError> {
        self.handle.flush(timeout)
    }

    /// Exports all ended spans, all emitted log records and the current metrics; see [`TelemetryHandle::force_flush`].
    ///
    /// # Errors
    /// Returns an error if something could not be delivered before the deadline.
    pub fn force_flush(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.handle.force_flush(deadline)
    }

    /// Exports everything recorded so far and stops; see [`TelemetryHandle::shutdown`].
    ///
    /// # Errors
    /// Returns an error if something could not be delivered before the deadline.
    pub fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.handle.shutdown(deadline)
    }

    /// Returns the counts of exported and dropped items, for each pipeline of each signal.
    pub fn health(&self) -> Health {
        self.handle.health()
    }

    /// Returns the maximum time that dropping this telemetry may take.
    pub fn flush_timeout(&self) -> Duration {
        self.handle.flush_timeout
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        // Those that were never started, each by itself.
        for instrumentation in std::mem::take(&mut self.instrumentations) {
            let _ = catch(|| drop(instrumentation));
        }
        if self.is_installed {
            ending::end(&self.handle);
        } else {
            self.handle.end();
        }
        // A forked child never had any telemetry to lose.
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
