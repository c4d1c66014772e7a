//! The registry: factories of components by the names that variables, and later a configuration file, may use.

use std::fmt;

use super::pipeline::{Pipeline, PipelineSignal};
use crate::config::Env;
use crate::error::ConfigError;

/// The settings of one component, as its [`Factory`] reads them: today the variables of the environment. The node of a
/// configuration file (`OTEL_CONFIG_FILE`) will stand beside them here.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    env: &'a Env,
}

impl<'a> Node<'a> {
    /// Returns a node that reads the variables of `env`.
    pub const fn new(env: &'a Env) -> Self {
        Node { env }
    }

    /// The variables; report what cannot be used with [`Env::warn`].
    pub const fn env(self) -> &'a Env {
        self.env
    }
}

type Make<S> = fn(Node<'_>) -> Result<Pipeline<S>, ConfigError>;

/// Makes the exporter of one name, with everything that it needs.
pub struct Factory<S: PipelineSignal> {
    name: &'static str,
    /// The remedy instead, when the exporter is not compiled in.
    make: Result<Make<S>, &'static str>,
}

impl<S: PipelineSignal> Factory<S> {
    /// Returns a row of the registry. `make` runs once each time a configuration with this name is built; its
    /// error is that of the build.
    pub const fn new(name: &'static str, make: fn(Node<'_>) -> Result<Pipeline<S>, ConfigError>) -> Self {
        Factory { name, make: Ok(make) }
    }

    /// Returns the row of an exporter that is known and not compiled in. Building with its name is an error that tells the
    /// `remedy`: "enable the feature `otlp` of telemark".
    pub const fn missing(name: &'static str, remedy: &'static str) -> Self {
        Factory { name, make: Err(remedy) }
    }

    /// The name in the configuration.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn is_missing(&self) -> bool {
        self.make.is_err()
    }

    /// Makes the pipeline.
    ///
    /// # Errors
    /// The exporter is not compiled in, or its configuration would silently lose data.
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
