//! The registry: component factories by the names used in variables, and later in a configuration file.

use std::fmt;

use super::pipeline::{Pipeline, PipelineSignal};
use crate::config::Env;
use crate::error::ConfigError;

/// The settings of one component, as read by its [`Factory`]. For now these are the environment variables; a node of a
/// configuration file (`OTEL_CONFIG_FILE`) will be added here.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    env: &'a Env,
}

impl<'a> Node<'a> {
    /// Creates a node that reads the variables of `env`.
    pub const fn new(env: &'a Env) -> Self {
        Node { env }
    }

    /// Returns the environment variables. Report invalid values with [`Env::warn`].
    pub const fn env(self) -> &'a Env {
        self.env
    }
}

type Make<S> = fn(Node<'_>) -> Result<Pipeline<S>, ConfigError>;

/// Creates the exporter with this name, together with everything that it depends on.
pub struct Factory<S: PipelineSignal> {
    name: &'static str,
    /// Holds advice instead of a function if the exporter is not compiled in.
    make: Result<Make<S>, &'static str>,
}

impl<S: PipelineSignal> Factory<S> {
    /// Creates a registry row. `make` runs each time a configuration with this name is built, and its error becomes
    /// the build error.
    pub const fn new(name: &'static str, make: fn(Node<'_>) -> Result<Pipeline<S>, ConfigError>) -> Self {
        Factory { name, make: Ok(make) }
    }

    /// Creates the row of an exporter that is known but not compiled in. Building with this name returns an error that
    /// includes `remedy`, such as "enable the feature `otlp` of telemark".
    pub const fn missing(name: &'static str, remedy: &'static str) -> Self {
        Factory { name, make: Err(remedy) }
    }

    /// Returns the exporter's name in the configuration.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn is_missing(&self) -> bool {
        self.make.is_err()
    }

    /// Creates the pipeline.
    ///
    /// # Errors
    /// Returns an error if the exporter is not compiled in, or if its configuration would silently lose data.
    pub(super) fn make(&self, node: Node<'_>) -> Result<Pipeline<S>, ConfigError> {
        let make = self.make.map_err(|remedy| {
            ConfigError::invalid(S::EXPORTERS, self.name, format!("an exporter that is compiled in: {remedy}"))
        })?;
        make(node)
    }
}

impl<S: PipelineSignal> fmt::Debug for Factory<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
