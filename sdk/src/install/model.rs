//! The configuration model: settings from code, completed from the environment or from a configuration file. Nothing has been
//! started yet.

use std::time::Duration;

use opentelemetry::propagation::TextMapPropagator;

use super::components::Components;
use super::declarative::Extensions;
use super::redaction;
use super::registry::Node;
use super::signals::Models;
use crate::config::{Env, Tree};
use crate::diag::Level;
use crate::error::{ConfigError, Contained};
use crate::propagation::{PropagatorFactory, Propagators};
use crate::redaction::Redaction;
use crate::resource::{Detector, Resource};
use crate::stages::limits::ItemLimits;
use crate::time::Clock;

/// A telemetry that has not been built yet. `None` marks settings that are still open: code sets them first, then either a
/// configuration file ([`declarative`](super::declarative)) or the environment.
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
    pub(super) limits: Option<ItemLimits>,
    pub(super) reloads_on_sighup: bool,
    pub(super) watch_interval: Option<Duration>,
    pub(super) redaction: Option<Redaction>,
    pub(super) signals: Models,
    pub(super) extensions: Extensions,
    /// The configuration file that code has set.
    pub(super) file: Option<Tree>,
    /// The level of the SDK's own messages that the file sets.
    pub(super) level: Option<Level>,
    /// The variables without effect, because there is a configuration file.
    pub(super) ignored: Vec<&'static str>,
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
            limits: None,
            reloads_on_sighup: false,
            watch_interval: None,
            redaction: None,
            signals: Models::default(),
            extensions: Extensions::default(),
            file: None,
            level: None,
            ignored: Vec::new(),
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
        self.propagator.get_or_insert_with(|| Contained::new(Box::new(Propagators::from_env_with(env, &factories))));
        self.complete_program(env, handles_termination);
        self.redaction = redaction::from_env(self.redaction.take(), env, components)?;
        // The resource is not telemetry: log lines contain it even if the SDK is disabled.
        let detectors = [&self.detectors, components.detectors].concat();
        self.resource = Resource::from_env_with(env, &detectors).merge(&self.resource);
        if *self.is_disabled.get_or_insert_with(|| env.boolean("OTEL_SDK_DISABLED")) {
            return Ok(());
        }
        self.signals.complete(env, components)?;
        self.signals.make(Node::new(env), components)
    }

    /// Fills the settings that concern the whole program.
    pub(super) fn complete_program(&mut self, env: &Env, handles_termination: bool) {
        self.self_metrics.get_or_insert_with(|| env.boolean("OTEL_RUST_SELF_METRICS"));
        self.records_panics.get_or_insert_with(|| env.boolean("OTEL_RUST_PANICS"));
        self.handles_termination
            .get_or_insert_with(|| handles_termination && !env.boolean("OTEL_RUST_TERMINATION_HANDLER_DISABLED"));
    }
}
