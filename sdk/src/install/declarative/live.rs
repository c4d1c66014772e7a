//! What a new version of the file changes while the program runs.

use std::time::Duration;

use super::super::Control;
use super::super::components::Components;
use super::super::reload::{Difference, Path};
use super::{Extensions, Reading, logs, metrics, sampler, shared, sort_warnings, traces, values_of};
use crate::batch::BatchConfig;
use crate::config::schema::{self, Point};
use crate::config::{Env, FileVariables, Report, Settings, Tree};
use crate::diag::{self, Level};
use crate::error::ConfigError;
use crate::logs::LogVolume;
use crate::metrics::PeriodicConfig;
use crate::sampling::{AlwaysOn, ParentBased, Sampler};
use crate::span_filter::{self, SpanFilter};

/// A part of the file that applies as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::install) enum Area {
    /// `disabled`.
    Switch,
    /// `log_level`.
    Level,
    Sampler,
    Tracers,
    Meters,
    Loggers,
    SpanFilter,
    LogFilter,
    LogVolume,
    /// The delay of a processor or the interval of a reader, by its number.
    SpanDelay(usize),
    LogDelay(usize),
    MetricInterval(usize),
    /// The setting of an integration, by its variable.
    Integration(&'static str),
}

impl Area {
    /// Returns the part to which a difference belongs, or `None` if the difference needs a restart. `live` are the variables of
    /// integrations that may change.
    pub(in crate::install) fn of(difference: &Difference, live: &[&'static str]) -> Option<Area> {
        let Difference { path, variable } = difference;
        match (path.key(0), path.key(1), *variable) {
            ("disabled", ..) => Some(Area::Switch),
            ("log_level", ..) => Some(Area::Level),
            ("tracer_provider", "sampler", _) => Some(Area::Sampler),
            ("tracer_provider", "tracer_configurator/development", _) => Some(Area::Tracers),
            ("meter_provider", "meter_configurator/development", _) => Some(Area::Meters),
            ("logger_provider", "logger_configurator/development", _) => Some(Area::Loggers),
            ("tracer_provider", "processors", _) => delay(path, "batch", "schedule_delay").map(Area::SpanDelay),
            ("logger_provider", "processors", _) => delay(path, "batch", "schedule_delay").map(Area::LogDelay),
            ("meter_provider", "readers", _) => delay(path, "periodic", "interval").map(Area::MetricInterval),
            (.., Some("OTEL_RUST_SPANS")) => Some(Area::SpanFilter),
            (.., Some("OTEL_RUST_LOGS")) => Some(Area::LogFilter),
            (.., Some(variable)) if variable.starts_with("OTEL_RUST_LOGS_") => Some(Area::LogVolume),
            (.., Some(variable)) => live.iter().find(|live| **live == variable).map(|live| Area::Integration(live)),
            _ => None,
        }
    }

    /// Returns the name of the setting in code that goes before this part of the file.
    pub(in crate::install) fn in_code(self) -> Option<&'static str> {
        Some(match self {
            Area::Sampler => "sampler",
            Area::Tracers => "tracer_config",
            Area::Meters => "meter_config",
            Area::Loggers => "logger_config",
            Area::SpanFilter => "span_filter",
            Area::LogFilter => "log_filter",
            Area::LogVolume => "log_volume",
            Area::SpanDelay(_) => "span_batch",
            Area::LogDelay(_) => "log_batch",
            Area::MetricInterval(_) => "metric_periods",
            Area::Switch | Area::Level | Area::Integration(_) => return None,
        })
    }
}

/// Returns the number of the processor or reader of this kind if the path is that of its delay.
fn delay(path: &Path, kind: &str, name: &str) -> Option<usize> {
    path.index(2).filter(|_| path.0.len() == 5 && path.key(3) == kind && path.key(4) == name)
}

/// What a version is read with.
#[derive(Debug)]
pub(in crate::install) struct Sources {
    /// The environment without a file.
    pub(in crate::install) process: Env,
    pub(in crate::install) components: &'static Components,
    pub(in crate::install) extensions: Extensions,
    /// The names of the program's components at each point.
    pub(in crate::install) names: Vec<(Point, Vec<&'static str>)>,
}

/// Applies a part of a version.
pub(in crate::install) type Change = Box<dyn FnOnce(&Control) + Send>;

/// A version that can be used.
pub(in crate::install) struct Version {
    pub(in crate::install) changes: Vec<Change>,
    /// The settings that have the effect of a variable.
    pub(in crate::install) variables: FileVariables,
    pub(in crate::install) warnings: Vec<ConfigError>,
}

impl Sources {
    /// Reads these parts of a version. The whole of it is checked by the schema, as at the start. Only a start creates exporters, processors
    /// and detectors, so what only they can know about their settings is found then. Calls code of the program.
    ///
    /// # Errors
    /// Returns an error that lists every problem of the file.
    pub(in crate::install) fn read(&self, tree: &Tree, areas: &[Area]) -> Result<Version, ConfigError> {
        let report = Report::new(tree);
        let names = |point| self.names.iter().find(|(known, _)| *known == point).map(|(_, names)| names.clone());
        schema::check(&report, &|point| names(point).unwrap_or_default());
        schema::check_format(&report);
        let settings = schema::to_variables(&report);
        let variables = values_of(&settings);
        let env = self.process.with_file(variables.clone());
        let root = Settings::new(tree.root(), &report);
        let reading = Reading {
            report: &report,
            env: &env,
            process: &self.process,
            components: self.components,
            extensions: &self.extensions,
            propagators: Vec::new(),
            detectors: Vec::new(),
            limits: root.object("attribute_limits"),
        };
        let changes = areas.iter().filter_map(|area| change(*area, root, &reading)).collect();
        sort_warnings(&env, &report, &settings);
        let warnings = env.take_warnings();
        report.into_result()?;
        Ok(Version { changes, variables, warnings })
    }
}

/// Reads one part. Returns `None` if that is left to others, or if it has a problem.
fn change(area: Area, root: Settings<'_>, reading: &Reading<'_>) -> Option<Change> {
    let env = reading.env;
    let [traces, logs, metrics] =
        ["tracer_provider", "logger_provider", "meter_provider"].map(|provider| root.object(provider));
    Some(match area {
        Area::Switch => {
            let is_disabled = root.boolean("disabled").unwrap_or(false);
            Box::new(move |control| if is_disabled { control.disable() } else { control.enable() })
        }
        Area::Level => {
            let level = root.one_of("log_level", &shared::LEVELS).unwrap_or(Level::Info);
            Box::new(move |_| diag::set_max_level(Some(level)))
        }
        Area::Sampler => {
            let selected = traces?.object("sampler").filter(|sampler| !sampler.item().is_null());
            let sampler = match selected {
                Some(settings) => sampler::sampler(settings, reading)?,
                None => Box::new(ParentBased::new(AlwaysOn)) as Box<dyn Sampler>,
            };
            Box::new(move |control| control.set_sampler(sampler))
        }
        Area::Tracers => {
            let tracers = traces.and_then(traces::configurator).unwrap_or_default();
            Box::new(move |control| control.set_tracer_config(tracers))
        }
        Area::Meters => {
            let meters = metrics.and_then(metrics::configurator).unwrap_or_default();
            Box::new(move |control| control.set_meter_config(meters))
        }
        Area::Loggers => {
            let loggers = logs.and_then(logs::configurator).unwrap_or_default();
            Box::new(move |control| control.set_logger_config(loggers))
        }
        Area::SpanFilter => {
            let filter = SpanFilter::from_env(env).unwrap_or_default();
            Box::new(move |control| control.set_span_filter(filter))
        }
        Area::LogFilter => {
            let filter = span_filter::records::from_env(env);
            Box::new(move |control| control.set_log_filter(filter))
        }
        Area::LogVolume => {
            let volume = LogVolume::from_env(env);
            Box::new(move |control| control.set_log_volume(volume))
        }
        Area::SpanDelay(index) => {
            let batch = nth(traces?, "processors", index)?;
            let delay = BatchConfig::spans_from_env(env).overridden_by(batch).schedule_delay();
            Box::new(move |control| control.handle.pacers.traces.set_of_file(index, delay))
        }
        Area::LogDelay(index) => {
            let batch = nth(logs?, "processors", index)?;
            let delay = BatchConfig::logs_from_env(env).overridden_by(batch).schedule_delay();
            Box::new(move |control| control.handle.pacers.logs.set_of_file(index, delay))
        }
        Area::MetricInterval(index) => {
            let periodic = nth(metrics?, "readers", index)?;
            let interval: Duration = PeriodicConfig::default().overridden_by(periodic).interval();
            Box::new(move |control| control.handle.pacers.metrics.set_of_file(index, interval))
        }
        Area::Integration(_) => return None,
    })
}

/// Returns the settings of a processor or reader.
fn nth<'a>(provider: Settings<'a>, list: &str, index: usize) -> Option<Settings<'a>> {
    let (_, settings) = provider.list(list).nth(index)?.component()?;
    Some(settings)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::super::reload::Step;
    use super::*;
    use crate::config::schema::{Kind, Property, ROOT, Support, Type};

    /// Calls `found` with the path of each setting, and with true if a method of `Control` changes it.
    fn visit(
        of: &'static Type,
        at: &Path,
        above: &[&str],
        is_live: bool,
        found: &mut dyn FnMut(Path, &Property, bool),
    ) {
        for property in of.properties.iter().filter(|property| property.support == Support::Yes) {
            let mut path = at.clone();
            path.0.push(Step::Key(property.name.to_owned()));
            let is_live = is_live || !property.control.is_empty();
            let inner = match property.kind {
                Kind::Object(inner) => Some(inner),
                Kind::List(&Kind::Object(inner), _) => {
                    path.0.push(Step::Index(0));
                    Some(inner)
                }
                _ => None,
            };
            match inner {
                Some(inner) if above.contains(&inner.name) => {}
                Some(inner) if !inner.properties.is_empty() => {
                    visit(inner, &path, &[above, &[inner.name]].concat(), is_live, found);
                }
                _ => found(path, property, is_live),
            }
        }
    }

    #[test]
    fn a_new_version_of_the_file_changes_what_the_control_changes() {
        let (mut live, mut all) = (Vec::new(), Vec::new());
        visit(&ROOT, &Path::default(), &[], false, &mut |path, property, is_live| {
            live.extend(property.variable.filter(|_| property.control == "set_capture"));
            all.push((Difference { path, variable: property.variable }, is_live));
        });
        assert!(live.len() == 16 && all.len() > 100, "{live:?} {}", all.len());
        for (difference, is_live) in all {
            let area = Area::of(&difference, &live);
            assert_eq!(area.is_some(), is_live, "{} {area:?}", difference.path);
        }
    }
}
