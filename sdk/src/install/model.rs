//! The configuration model: settings from code, completed from the environment. Nothing has been started yet.

use std::time::Duration;

use opentelemetry::propagation::TextMapPropagator;

use super::components::Components;
use super::registry::Node;
use super::signals::Models;
use crate::config::Env;
use crate::error::{ConfigError, Contained};
use crate::propagation::{PropagatorFactory, Propagators};
use crate::resource::{Detector, Resource};
use crate::time::Clock;

/// A telemetry that has not been built yet. `None` marks settings that are still open: code sets them first, then the
/// environment. In future, a configuration file will set them after the code and before the environment.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) is_disabled: Option<bool>,
    pub(super) resource: Resource,
    pub(super) clock: Clock,
    pub(super) propagator: Option<Contained<Box<dyn TextMapPropagator + Send + Sync>>>,
    /// Propagators that a name may select, beside those of the components.
    pub(super) propagators: Vec<PropagatorFactory>,
    /// Detectors that a name may select, beside those of the components.
    pub(super) detectors: Vec<Detector>,
    pub(super) flush_timeout: Duration,
    pub(super) handles_termination: Option<bool>,
    pub(super) self_metrics: Option<bool>,
    pub(super) records_panics: Option<bool>,
    pub(super) signals: Models,
}

impl Default for Model {
    fn default() -> Self {
        Model {
            is_disabled: None,
            resource: Resource::empty(),
            clock: Clock::system(),
            propagator: None,
            propagators: Vec::new(),
            detectors: Vec::new(),
            flush_timeout: Duration::from_secs(5),
            handles_termination: None,
            self_metrics: None,
            records_panics: None,
            signals: Models::default(),
        }
    }
}

impl Model {
    /// Fills the open settings from the environment and creates the components it selects. `handles_termination` is the default of
    /// the termination handler. A disabled SDK reads no variables
    /// specific to a signal.
    ///
    /// # Errors
    /// Returns an error if the variables select an exporter that cannot be created, or would silently lose data.
    pub(super) fn complete(
        &mut self,
        env: &Env,
        components: &Components,
        handles_termination: bool,
    ) -> Result<(), ConfigError> {
        let factories = [&self.propagators, components.propagators].concat();
        self.propagator
            .get_or_insert_with(|| Contained::new(Box::new(Propagators::from_env_with(env, &factories))));
        self.self_metrics.get_or_insert_with(|| env.boolean("OTEL_RUST_SELF_METRICS"));
        self.records_panics.get_or_insert_with(|| env.boolean("OTEL_RUST_PANICS"));
        self.handles_termination
            .get_or_insert_with(|| handles_termination && !env.boolean("OTEL_RUST_TERMINATION_HANDLER_DISABLED"));
        // The resource is not telemetry: log lines contain it even if the SDK is disabled.
        let detectors = [&self.detectors, components.detectors].concat();
        self.resource = Resource::from_env_with(env, &detectors).merge(&self.resource);
        if *self.is_disabled.get_or_insert_with(|| env.boolean("OTEL_SDK_DISABLED")) {
            return Ok(());
        }
        self.signals.complete(env, components)?;
        self.signals.make(Node::new(env), components)
    }
}
