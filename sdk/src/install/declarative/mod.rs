//! Completes the model from a configuration file.
//!
//! The schema has checked names and types before; this code reads the values and creates the components. Everything that it cannot use
//! becomes a problem of the same report, so that one error lists all of them and nothing starts.
//!
//! | file | reads |
//! |---|---|
//! | `pipelines` | processors, readers and their exporters |
//! | `traces`, `metrics`, `logs` | the providers |
//! | `sampler`, `view` | samplers and views |
//! | `shared` | the resource, propagators, limits and patterns |
//! | `from_env` | writes the file that has the effect of the variables |
//! | `effective` | the configuration that a program has, as a file |
//! | `ignored` | finds the variables that a file replaces |
//! | `extensions` | the components that a program has registered by name |
//! | `live` | what a new version of the file changes while the program runs |

mod effective;
mod extensions;
mod from_env;
mod ignored;
pub(super) mod live;
mod logs;
mod metrics;
mod pipelines;
mod sampler;
mod shared;
#[cfg(all(test, not(loom)))]
mod tests;
mod traces;
mod view;

pub use extensions::Extension;
pub(super) use extensions::Extensions;
pub(super) use ignored::{CONFIG_FILE, PRINT, WATCH_INTERVAL, report_ignored};

use super::components::Components;
use super::model::Model;
use super::redaction;
use crate::config::{Env, FileVariables, Item, Report, Settings, Tree, schema};
use crate::error::{ConfigError, Contained};
use crate::propagation::PropagatorFactory;
use crate::resource::{DETECTORS, Detector};
use crate::stages::limits::ItemLimits;

/// The settings of the file that have the effect of a variable, each with the value that it comes from.
type OfVariables<'a> = [(&'static str, String, &'a Item)];

fn values_of(settings: &OfVariables<'_>) -> FileVariables {
    settings.iter().map(|(name, value, _)| (*name, value.clone())).collect()
}

/// Turns the warnings of the readers of variables into problems and warnings of the file, and leaves all warnings in `env`.
fn sort_warnings(env: &Env, report: &Report<'_>, settings: &OfVariables<'_>) {
    for warning in env.take_warnings() {
        match settings.iter().find(|(name, ..)| *name == warning.setting()) {
            Some((.., item)) if warning.has_value() => report.component_error(item, &warning),
            Some((.., item)) => report.warn(item, &warning.to_string()),
            None => env.warn(warning),
        }
    }
    for warning in report.take_warnings() {
        env.warn(ConfigError::state("configuration", warning));
    }
}

/// What all parts of the file share while it is read.
struct Reading<'a> {
    report: &'a Report<'a>,
    /// The environment, in which variables that begin with `OTEL_` have the values of the file.
    env: &'a Env,
    /// The environment without the file.
    process: &'a Env,
    components: &'a Components,
    extensions: &'a Extensions,
    propagators: Vec<PropagatorFactory>,
    detectors: Vec<Detector>,
    /// `attribute_limits`.
    limits: Option<Settings<'a>>,
}

impl Model {
    /// Fills the settings that code left open from a file and creates the components it selects. Variables have no effect unless the
    /// file refers to them. Returns the environment that components and integrations see.
    ///
    /// # Errors
    /// Returns an error that lists every problem of the file.
    pub(super) fn complete_from_file(
        &mut self,
        tree: &Tree,
        process: &Env,
        components: &Components,
        handles_termination: bool,
    ) -> Result<Env, ConfigError> {
        let report = Report::new(tree);
        schema::check(&report, &|point| self.names_at(point, components));
        schema::check_format(&report);
        let settings = schema::to_variables(&report);
        let env = process.with_file(values_of(&settings));
        let extensions = std::mem::take(&mut self.extensions);
        let root = Settings::new(tree.root(), &report);
        let reading = Reading {
            report: &report,
            env: &env,
            process,
            components,
            extensions: &extensions,
            propagators: [&self.propagators, components.propagators].concat(),
            detectors: [&self.detectors, components.detectors, DETECTORS].concat(),
            limits: root.object("attribute_limits"),
        };
        self.read(root, &reading, handles_termination);
        sort_warnings(&env, &report, &settings);
        self.level = root.one_of("log_level", &shared::LEVELS);
        self.extensions = extensions;
        report.into_result()?;
        self.ignored = ignored::ignored(tree, process);
        Ok(env)
    }

    fn read(&mut self, root: Settings<'_>, reading: &Reading<'_>, handles_termination: bool) {
        if self.propagator.is_none() {
            self.propagator = Some(Contained::new(Box::new(shared::propagators(root.object("propagator"), reading))));
        }
        self.complete_program(reading.env, handles_termination);
        self.resource = shared::resource(root.object("resource"), reading).merge(&self.resource);
        let is_disabled = *self.is_disabled.get_or_insert(root.boolean("disabled").unwrap_or(false));
        let limits =
            root.object("distribution").and_then(|all| all.object("telemark")).and_then(|own| own.object("limits"));
        self.limits = self.limits.or_else(|| limits.map(ItemLimits::from_settings));
        self.signals.metrics.read_expiry(limits);
        // A disabled SDK starts nothing. Its providers are still checked by the schema.
        if !is_disabled {
            let telemark = root.object("distribution").and_then(|distribution| distribution.object("telemark"));
            let tail = telemark.and_then(|telemark| telemark.object("tail_sampling"));
            self.signals.traces.read_tail(tail);
            self.signals.traces.complete_from_file(root.object("tracer_provider"), reading);
            self.signals.logs.complete_from_file(root.object("logger_provider"), reading);
            self.signals.metrics.complete_from_file(root.object("meter_provider"), reading);
        }
        if self.redaction.is_none() {
            self.redaction = redaction::from_file(root, reading.report, reading.env, reading.components);
        }
    }
}
