//! The builder of a [`Telemetry`]: collects the settings from code, adds those from the environment, and builds everything.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::{Key, KeyValue, Value};

use super::components::Components;
use super::control::Changes;
use super::declarative;
use super::model::Model;
use super::reload::Before;
use super::signals::{Foundation, Pacers};
use super::telemetry::Source;
use super::{Telemetry, TelemetryHandle};
use crate::config::{self, Env, Tree};
use crate::diag;
use crate::error::{ConfigError, Contained};
use crate::process::Generation;
use crate::propagation::PropagatorFactory;
use crate::resource::{Detector, Resource};
use crate::runtime::Runtime;
use crate::self_metrics::{SelfMetrics, Sources};
use crate::stages::limits::ItemLimits;
use crate::time::Clock;

/// Configures a [`Telemetry`] from code and the environment. Settings in code take precedence.
#[derive(Debug)]
#[must_use = "nothing starts before `init` or `build`"]
pub struct TelemetryBuilder {
    pub(super) env: Env,
    components: &'static Components,
    /// The default of the termination handler.
    handles_termination: bool,
    runtime: Runtime,
    instrumentations: Vec<Instrumentation>,
    pub(super) model: Model,
}

/// A function that runs once the telemetry is installed.
pub(super) struct Instrumentation(pub(super) Box<dyn FnOnce(&Telemetry) + Send + Sync>);

impl fmt::Debug for Instrumentation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Instrumentation")
    }
}

impl TelemetryBuilder {
    pub(super) fn new(env: Env) -> Self {
        TelemetryBuilder {
            env: env.without_file(),
            components: &Components::NONE,
            handles_termination: false,
            runtime: Runtime::Thread,
            instrumentations: Vec::new(),
            model: Model::default(),
        }
    }

    /// Replaces the environment variables that this builder reads; meant for tests. Other settings are kept.
    pub fn with_env(mut self, env: Env) -> Self {
        self.env = env.without_file();
        self
    }

    /// Returns the environment variables that this builder reads.
    pub fn env(&self) -> &Env {
        &self.env
    }

    pub(super) fn components(&self) -> &'static Components {
        self.components
    }

    /// Replaces the exporters of all signals, the propagators and the resource detectors that environment variables can select. A builder of this crate on its own has none,
    /// and does not read those variables; `telemark::builder()` has those of its features, such as `otlp` and `console`. To add an
    /// exporter and keep the others, call [`Self::with_span_exporter_factory`], [`Self::with_log_exporter_factory`] or
    /// [`Self::with_metric_exporter_factory`] instead.
    ///
    /// The termination handler stays as it is, unless [`Components::with_termination_handler`] was called.
    pub fn with_components(mut self, components: &'static Components) -> Self {
        self.components = components;
        self.handles_termination = components.handles_termination.unwrap_or(self.handles_termination);
        self
    }

    /// Sets a configuration, such as one that `telemark_config::parse` returns. `OTEL_CONFIG_FILE` is then not read. Settings in code
    /// take precedence over it, and other variables have an effect only if it refers to them.
    pub fn with_config(mut self, tree: Tree) -> Self {
        self.model.file = Some(tree);
        self
    }

    /// Sets the service name, `service.name`.
    pub fn with_service_name(self, name: impl Into<String>) -> Self {
        self.with_resource_attribute("service.name", name.into())
    }

    /// Adds an attribute to the resource. Takes precedence over the environment.
    pub fn with_resource_attribute(self, key: impl Into<Key>, value: impl Into<Value>) -> Self {
        self.with_resource([KeyValue::new(key, value)])
    }

    /// Adds attributes to the resource. They take precedence over those from the environment.
    pub fn with_resource(mut self, attributes: impl IntoIterator<Item = KeyValue>) -> Self {
        self.model.resource = self.model.resource.merge(&Resource::new(attributes));
        self
    }

    /// Sets the clock. The default is the system clock.
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.model.clock = clock;
        self
    }

    /// Sets where background work runs. By default it runs on dedicated threads.
    pub fn with_runtime(mut self, runtime: Runtime) -> Self {
        self.runtime = runtime;
        self
    }

    /// Sets the propagator, which replaces those listed in `OTEL_PROPAGATORS`.
    pub fn with_propagator(mut self, propagator: impl TextMapPropagator + Send + Sync + 'static) -> Self {
        self.model.propagator = Some(Contained::new(Box::new(propagator)));
        self
    }

    /// Registers a propagator by name, so that `OTEL_PROPAGATORS` can list it.
    pub fn with_propagator_factory(mut self, factory: PropagatorFactory) -> Self {
        self.model.propagators.push(factory);
        self
    }

    /// Registers a resource detector by name, so that `OTEL_RUST_RESOURCE_DETECTORS` can list it.
    pub fn with_resource_detector(mut self, detector: Detector) -> Self {
        self.model.detectors.push(detector);
        self
    }

    /// Sets the maximum time that dropping the telemetry may take; 5 s by default.
    pub fn with_flush_timeout(mut self, timeout: Duration) -> Self {
        self.model.flush_timeout = timeout;
        self
    }

    /// Sets whether to shut the telemetry down when SIGTERM, SIGINT (Ctrl-C), `exit` or a return from `main` ends the program
    /// while the telemetry is installed and has not been dropped. Works once per process, and only on Unix; elsewhere it has
    /// no effect. `telemark` with its `termination` feature enables it unless `OTEL_RUST_TERMINATION_HANDLER_DISABLED=true`;
    /// a builder of this crate on its own leaves it disabled.
    ///
    /// The program keeps control of its signals. If it handles one itself, with a handler installed before or after by tokio,
    /// signal-hook or `sigaction`, the telemetry is only flushed, and the program decides when to exit. If there is no other
    /// handler, the telemetry is shut down within its flush timeout and the signal then ends the program; a second signal
    /// ends it immediately. An ignored signal stays ignored. A plugin that enables this must not be unloaded.
    pub fn with_termination_handler(mut self, is_wanted: bool) -> Self {
        self.model.handles_termination = Some(is_wanted);
        self
    }

    /// Sets whether panics become log records once the telemetry is installed, overriding `OTEL_RUST_PANICS`. Off by default.
    ///
    /// The record has the message, the place, the thread, a stack trace (for the first 60 panics of a minute) and the current
    /// span. It is emitted before the panic hook that was set earlier runs. That hook is always called: if a processor hangs, after a
    /// second, or after the flush timeout if that is less. The severity is ERROR, or FATAL in a program built with `panic = "abort"`,
    /// which also waits for the export, at most a second longer than the flush timeout. Panics of processors, of exporters and after
    /// the shutdown are not recorded, nor are those during which processors hang at the records of 16 earlier ones.
    ///
    /// A hook that the program sets later replaces this one unless it calls the hook that it replaces.
    pub fn with_panic_records(mut self, is_wanted: bool) -> Self {
        self.model.records_panics = Some(is_wanted);
        self
    }

    /// Adds the SDK's own metrics, `otel.sdk.*` and `telemark.sdk.*`, to the program's metrics, as `OTEL_RUST_SELF_METRICS=true` does. See
    /// [`SelfMetrics`].
    pub fn with_self_metrics(mut self) -> Self {
        self.model.self_metrics = Some(true);
        self
    }

    /// Sets limits on spans and log records, overriding those of a configuration file. By default, there are none beside those on
    /// queues and attributes.
    pub fn with_item_limits(mut self, limits: ItemLimits) -> Self {
        self.model.limits = Some(limits);
        self
    }

    /// Runs `start` once the telemetry is installed, on the installing thread. Use it to register observable
    /// instruments, for instance. `start` never runs if the telemetry is built but not installed. A panic is caught
    /// and logged.
    pub fn with_instrumentation(mut self, start: impl FnOnce(&Telemetry) + Send + Sync + 'static) -> Self {
        self.instrumentations.push(Instrumentation(Box::new(start)));
        self
    }

    /// Builds the telemetry and installs it; see [`Telemetry::install`].
    ///
    /// # Errors
    /// Returns the errors of [`Self::build`] and [`Telemetry::install`].
    pub fn init(self) -> Result<Telemetry, ConfigError> {
        self.build()?.install()
    }

    /// Starts the telemetry without installing it globally, so that several instances can coexist. Invalid environment
    /// variables are reported and ignored. A configuration file (`OTEL_CONFIG_FILE`) replaces the other variables, and every problem in
    /// it is an error.
    ///
    /// With `OTEL_SDK_DISABLED=true` nothing is recorded, regardless of settings in code. Propagation still works, and the resource
    /// is the same, for log lines that contain it.
    ///
    /// # Errors
    /// Returns an error if the configuration file cannot be used, if a variable would silently lose data, if a selected exporter is not compiled in, or if the
    /// operating system refuses to start another thread.
    pub fn build(mut self) -> Result<Telemetry, ConfigError> {
        let set_in_code = self.model.set_in_code();
        let before = Before::look(&self.model, &self.env);
        let completed = self.complete(true);
        for warning in self.env.take_warnings() {
            diag::log_always(diag::Level::Warn, format_args!("{warning}"));
        }
        let source = completed?;
        declarative::report_ignored(&self.model.ignored);
        let TelemetryBuilder { env, components, runtime, instrumentations, mut model, .. } = self;
        let (reloader, interval) = before.reloader(&mut model, &source, components, &env, &set_in_code);
        let is_disabled = model.is_disabled == Some(true);
        let mut foundation = Foundation {
            is_disabled,
            resource: match &model.redaction {
                Some(redaction) => redaction.resource(&model.resource),
                None => model.resource,
            },
            redaction: model.redaction,
            clock: model.clock,
            runtime: &runtime,
            self_metrics: model.self_metrics == Some(true),
            limits: model.limits.unwrap_or_default(),
            limit_counts: Arc::default(),
            companions: Vec::new(),
            pacers: Pacers::default(),
            logs_stage: None,
            decided: None,
        };
        let providers = model.signals.build(&mut foundation)?;
        let mut companions = foundation.companions;
        if foundation.self_metrics {
            companions.push(Box::new(SelfMetrics::of_pipelines(
                &providers.traces,
                &providers.metrics,
                providers.all().map(|provider| provider.counters()),
                Sources {
                    reloads: reloader.as_ref().map(|reloader| reloader.counts()),
                    routes: components.served_routes,
                    ..providers.sources()
                },
            )));
        }
        let mut handle = TelemetryHandle {
            providers,
            flush_timeout: model.flush_timeout,
            handles_termination: model.handles_termination == Some(true),
            records_panics: model.records_panics == Some(true),
            home: Generation::current(),
            has_ended: Arc::default(),
            changes: Arc::new(Changes::new(is_disabled)),
            pacers: Arc::new(foundation.pacers),
            reloader,
            watch: None,
            reloads_on_sighup: model.reloads_on_sighup,
            live_settings: components.live_settings,
            served_routes: components.served_routes,
        };
        handle.watch(interval, &runtime)?;
        let telemetry = Telemetry::new(handle, model.propagator, instrumentations, companions, source, set_in_code);
        telemetry.print_config(&env);
        Ok(telemetry)
    }

    /// Does everything that [`Self::build`] does before it starts the telemetry: reads the configuration file or the variables and
    /// creates the components that they select. Returns the warnings, which `build` logs.
    ///
    /// Nothing is exported, but components that bind a port or open a file when they are created do so. Resource detectors run.
    ///
    /// # Errors
    /// Returns an error if the configuration file cannot be used, or if a variable makes [`Self::build`] fail.
    pub fn check(mut self) -> Result<Vec<ConfigError>, ConfigError> {
        self.complete(false)?;
        let mut warnings = self.env.take_warnings();
        if !self.model.ignored.is_empty() {
            let ignored =
                format!("does not refer to these variables, so they have no effect: {}", self.model.ignored.join(", "));
            warnings.push(ConfigError::state(declarative::CONFIG_FILE, ignored));
        }
        Ok(warnings)
    }

    /// Completes the model from the configuration file or from the variables, and returns where the settings come from. The environment
    /// of this builder has the warnings, also of a failure. With `sets_level`, their level of the SDK's own messages applies from now on.
    fn complete(&mut self, sets_level: bool) -> Result<Source, ConfigError> {
        let file = match self.model.file.take() {
            Some(tree) => Some(tree),
            None => read_file(&self.env, self.components)?,
        };
        let Some(tree) = file else {
            // Read before the variables fill the settings that code has left open.
            let of_variables = self.config_of_variables();
            let (env, components) = (&self.env, self.components);
            if let Some(level) = diag::level_of(env).filter(|_| sets_level) {
                diag::set_max_level(level);
            }
            config::warn_of_unknown(env);
            config::warn_of_old_conventions(env);
            self.model.complete(env, components, self.handles_termination)?;
            return Ok(Source::Env(of_variables));
        };
        let (env, components) = (&self.env, self.components);
        let of_file = self.model.complete_from_file(&tree, env, components, self.handles_termination)?;
        match self.model.level {
            _ if !sets_level => {}
            Some(level) => diag::set_max_level(Some(level)),
            None => diag::ignore_variable(),
        }
        config::warn_of_old_conventions(&of_file);
        of_file.take_warnings().into_iter().for_each(|warning| env.warn(warning));
        Ok(Source::File(tree, of_file))
    }
}

/// Reads the file that `OTEL_CONFIG_FILE` names.
fn read_file(env: &Env, components: &Components) -> Result<Option<Tree>, ConfigError> {
    let Some(path) = env.string(declarative::CONFIG_FILE) else { return Ok(None) };
    match components.config_files {
        Ok(read) => read(Path::new(&path), env).map(Some),
        Err(remedy) => Err(ConfigError::invalid(
            declarative::CONFIG_FILE,
            path,
            format!("no file, or {remedy}, which reads files"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_returns_the_warnings_and_starts_nothing() {
        let check = |pairs: &[(&str, &str)]| Telemetry::builder(Env::from_pairs(pairs.iter().copied())).check();
        let warnings = check(&[("OTEL_TRACES_SAMPLR", "always_on"), ("OTEL_TRACES_SAMPLER", "sometimes")]).unwrap();
        let settings: Vec<_> = warnings.iter().map(ConfigError::setting).collect();
        assert_eq!(settings, ["environment", "OTEL_TRACES_SAMPLER"]);
        let error = check(&[("OTEL_CONFIG_FILE", "/nowhere")]).unwrap_err();
        assert!(error.to_string().starts_with("OTEL_CONFIG_FILE=\"/nowhere\" cannot be used"), "{error}");
    }

    #[test]
    fn other_components_leave_the_termination_handler_as_it_is() {
        static HANDLES: Components = Components::NONE.with_termination_handler(true);
        static HANDLES_NOT: Components = Components::NONE.with_termination_handler(false);
        let handles = |list: &[&'static Components]| {
            let builder = Telemetry::builder(Env::from_pairs([("OTEL_SERVICE_NAME", "test")]));
            let builder = list.iter().fold(builder, |builder, components| builder.with_components(components));
            builder.build().unwrap().handle.handles_termination
        };
        assert!(!handles(&[]) && handles(&[&HANDLES]));
        assert!(handles(&[&HANDLES, &Components::NONE]));
        assert!(!handles(&[&HANDLES, &HANDLES_NOT]));
    }
}
