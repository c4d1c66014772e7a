//! The registry: component factories by the names used in variables and in a configuration file.

use std::fmt;

use super::pipeline::{Pipeline, PipelineSignal};
use crate::config::{Env, Item, Report, Settings};
use crate::error::ConfigError;
use crate::metrics::ReaderConfig;

/// The settings of one component, as read by its [`Factory`]: environment variables, or a mapping in a configuration file.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a> {
    env: &'a Env,
    settings: Option<Settings<'a>>,
    reader: Option<&'a ReaderConfig>,
}

impl<'a> Node<'a> {
    /// Creates a node that reads the variables of `env`.
    pub const fn new(env: &'a Env) -> Self {
        Node { env, settings: None, reader: None }
    }

    pub(super) const fn with_settings(mut self, settings: Settings<'a>) -> Self {
        self.settings = Some(settings);
        self
    }

    pub(super) const fn with_reader(mut self, reader: &'a ReaderConfig) -> Self {
        self.reader = Some(reader);
        self
    }

    /// Returns the environment variables. Report invalid values with [`Env::warn`]. If the component comes from a configuration file,
    /// variables that begin with `OTEL_` have the values of the file.
    pub const fn env(self) -> &'a Env {
        self.env
    }

    /// Returns the component's settings in a configuration file, or `None` if a variable selects the component.
    pub const fn settings(self) -> Option<Settings<'a>> {
        self.settings
    }

    /// Returns the config of the reader for which a metric exporter is created, with the cardinality limits of a configuration file.
    pub fn reader_config(self) -> ReaderConfig {
        self.reader.cloned().unwrap_or_default()
    }
}

type Make<S> = fn(Node<'_>) -> Result<Pipeline<S>, ConfigError>;

/// Creates the exporter with this name, together with everything that it depends on.
pub struct Factory<S: PipelineSignal> {
    name: &'static str,
    /// Holds advice instead of a function if the exporter is not compiled in.
    make: Result<Make<S>, &'static str>,
    is_for_variables: bool,
    is_for_files: bool,
}

impl<S: PipelineSignal> Factory<S> {
    /// Creates a registry row. `make` runs each time a configuration with this name is built, and its error becomes
    /// the build error.
    pub const fn new(name: &'static str, make: fn(Node<'_>) -> Result<Pipeline<S>, ConfigError>) -> Self {
        Factory { name, make: Ok(make), is_for_variables: true, is_for_files: true }
    }

    /// Creates the row of an exporter that is known but not compiled in. Building with this name returns an error that
    /// includes `remedy`, such as "enable the feature `otlp` of telemark".
    pub const fn missing(name: &'static str, remedy: &'static str) -> Self {
        Factory { name, make: Err(remedy), is_for_variables: true, is_for_files: true }
    }

    /// Leaves the name unknown in configuration files.
    #[must_use]
    pub const fn only_for_variables(mut self) -> Self {
        self.is_for_files = false;
        self
    }

    /// Leaves the name unknown in variables.
    #[must_use]
    pub const fn only_for_files(mut self) -> Self {
        self.is_for_variables = false;
        self
    }

    /// Returns the exporter's name in the configuration.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    pub(super) const fn is_for_variables(&self) -> bool {
        self.is_for_variables
    }

    pub(super) const fn is_for_files(&self) -> bool {
        self.is_for_files
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

    /// Creates the pipeline for a component of a configuration file. Reports why it cannot be created, and settings that it does not
    /// read. `is_standard` is true if the schema has already checked the settings.
    pub(super) fn make_from_file(
        &self,
        node: Node<'_>,
        item: &Item,
        report: &Report<'_>,
        is_standard: bool,
    ) -> Option<Pipeline<S>> {
        let make = match self.make {
            Ok(make) => make,
            Err(remedy) => {
                report.problem(item, &format!("is not compiled in: {remedy}"));
                return None;
            }
        };
        match make(node) {
            Ok(pipeline) => {
                if !is_standard {
                    report.check_all_read(item);
                }
                Some(pipeline)
            }
            Err(error) => {
                report.component_error(item, &error);
                None
            }
        }
    }
}

impl<S: PipelineSignal> fmt::Debug for Factory<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
