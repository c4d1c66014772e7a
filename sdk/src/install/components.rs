//! The components that a configuration can select by name, as the crate that has them lists them.

use std::path::Path;

use super::registry::{Factory, Node};
use crate::config::{Env, Tree};
use crate::diag::{RouteHealth, ServedRoutes};
use crate::error::ConfigError;
use crate::propagation::PropagatorFactory;
use crate::redaction::Redactor;
use crate::resource::Detector;
use crate::signal::{Logs, Metrics, Traces};

/// The exporters, propagators and resource detectors that the configuration can select, and the defaults of the crate that provides them. To add a single
/// exporter, use [`TelemetryBuilder::with_span_exporter_factory`](super::TelemetryBuilder::with_span_exporter_factory) and its
/// siblings instead.
#[derive(Clone, Copy, Debug)]
pub struct Components {
    pub(super) traces: &'static [Factory<Traces>],
    pub(super) logs: &'static [Factory<Logs>],
    pub(super) metrics: &'static [Factory<Metrics>],
    pub(super) propagators: &'static [PropagatorFactory],
    pub(super) detectors: &'static [Detector],
    /// `None` leaves the default as it is.
    pub(super) handles_termination: Option<bool>,
    pub(super) config_files: Result<ReadFile, &'static str>,
    pub(super) live_settings: Option<LiveSettings>,
    pub(super) served_routes: Option<ServedRoutes>,
    pub(super) redaction: Result<MakeRedactor, &'static str>,
}

/// The settings of the integrations that may change while the program runs. Integrations do not depend on this crate, so the crate that
/// knows both connects them.
#[derive(Clone, Copy, Debug)]
pub struct LiveSettings {
    pub(super) names: &'static [&'static str],
    pub(super) problems: fn(&str, &str) -> Vec<String>,
    pub(super) change: ChangeSettings,
}

/// Changes settings, each named by its variable. `None` stands for the default.
type ChangeSettings = fn(&[(&str, Option<&str>)]) -> Result<(), ConfigError>;

impl LiveSettings {
    /// Creates the list of settings, each named by its variable. `problems` returns what cannot be used in the value of one of them, and
    /// `change` changes them for all integrations of the program, or returns an error and changes nothing. Both are called on a thread that
    /// changes the telemetry.
    pub const fn new(
        names: &'static [&'static str],
        problems: fn(&str, &str) -> Vec<String>,
        change: ChangeSettings,
    ) -> Self {
        LiveSettings { names, problems, change }
    }
}

/// Reads and parses a configuration file, given its path and the variables to which it may refer.
pub type ReadFile = fn(&Path, &Env) -> Result<Tree, ConfigError>;

/// Creates the redactor for the settings in a configuration file, or for the variable `OTEL_RUST_REDACTION`.
pub type MakeRedactor = fn(Node<'_>) -> Result<Box<dyn Redactor>, ConfigError>;

impl Components {
    /// No exporters: their variables are not read, and only exporters added in code are used. The propagators and the resource
    /// detectors are those of this crate.
    pub const NONE: Components = Components {
        traces: &[],
        logs: &[],
        metrics: &[],
        propagators: &[],
        detectors: &[],
        handles_termination: None,
        config_files: Err("a program that calls Components::with_config_files"),
        live_settings: None,
        served_routes: None,
        redaction: Err("a program that calls Components::with_redaction"),
    };

    /// Sets the span exporters for `OTEL_TRACES_EXPORTER`. The exporter named `otlp` is the default.
    pub const fn with_span_exporters(mut self, factories: &'static [Factory<Traces>]) -> Self {
        self.traces = factories;
        self
    }

    /// Sets the exporters of log records for `OTEL_LOGS_EXPORTER`. The exporter named `otlp` is the default.
    pub const fn with_log_exporters(mut self, factories: &'static [Factory<Logs>]) -> Self {
        self.logs = factories;
        self
    }

    /// Sets the metric exporters for `OTEL_METRICS_EXPORTER`. The exporter named `otlp` is the default.
    pub const fn with_metric_exporters(mut self, factories: &'static [Factory<Metrics>]) -> Self {
        self.metrics = factories;
        self
    }

    /// Sets the propagators that `OTEL_PROPAGATORS` may name beside those of this crate.
    pub const fn with_propagators(mut self, factories: &'static [PropagatorFactory]) -> Self {
        self.propagators = factories;
        self
    }

    /// Sets the resource detectors that `OTEL_RUST_RESOURCE_DETECTORS` may name beside those of this crate.
    pub const fn with_resource_detectors(mut self, detectors: &'static [Detector]) -> Self {
        self.detectors = detectors;
        self
    }

    /// Sets the function that reads the file that `OTEL_CONFIG_FILE` names, such as `telemark_config::read`. If the program is built
    /// without one, pass the remedy, such as "the feature `config-file` of telemark".
    pub const fn with_config_files(mut self, read: Result<ReadFile, &'static str>) -> Self {
        self.config_files = read;
        self
    }

    /// Sets the settings of integrations that [`Control::set_capture`](super::Control::set_capture) and a new version of the configuration
    /// file change.
    pub const fn with_live_settings(mut self, settings: LiveSettings) -> Self {
        self.live_settings = Some(settings);
        self
    }

    /// Sets the function that returns the requests of the program's servers by route, for [`Health::routes`](super::Health::routes) and the
    /// SDK's own metrics. Called on the threads that ask for these.
    pub const fn with_served_routes(mut self, routes: fn() -> Vec<RouteHealth>) -> Self {
        self.served_routes = Some(routes);
        self
    }

    /// Sets the function that creates the redactor that the configuration describes, such as `telemark_redaction::from_config`. If the
    /// program is built without one, pass the remedy, such as "the feature `redaction` of telemark".
    pub const fn with_redaction(mut self, make: Result<MakeRedactor, &'static str>) -> Self {
        self.redaction = make;
        self
    }

    /// Sets the default of [`TelemetryBuilder::with_termination_handler`](super::TelemetryBuilder::with_termination_handler).
    /// If true, the handler is enabled unless `OTEL_RUST_TERMINATION_HANDLER_DISABLED=true`. Without this call,
    /// [`TelemetryBuilder::with_components`](super::TelemetryBuilder::with_components) leaves the default as it is.
    pub const fn with_termination_handler(mut self, is_default: bool) -> Self {
        self.handles_termination = Some(is_default);
        self
    }
}
