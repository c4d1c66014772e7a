//! [`Control`], and its changes that concern more than one signal.

use super::super::{Reload, Telemetry, TelemetryHandle};
use super::changes::{Change, DISABLED};
use crate::control::Switch;
use crate::diag::{self, Level};
use crate::error::ConfigError;

/// Changes a [`Telemetry`] while it runs. Cheap to clone; all clones change the same telemetry.
///
/// A change applies to the spans that start, the records that are emitted and the measurements that are made after the method has
/// returned; on other threads, to those that happen after it. None of them waits for a change. After the shutdown, and in a
/// forked child, changes have no effect.
///
/// [`Self::reload`] applies a new version of the configuration file, as
/// [`TelemetryBuilder::with_config_watch`](super::super::TelemetryBuilder::with_config_watch) does whenever there is one. What code changes stays
/// until the same part of the file changes, and [`Telemetry::config`] shows it as a run-time change.
///
/// What is not here cannot change while the program runs: the resource, exporters with their destinations, credentials and
/// protocols, processors, stages, views, limits, propagators, the id generator and the clock. Nothing can be enabled that the build has
/// left out: a signal without exporters stays without them, and so does a telemetry that `OTEL_SDK_DISABLED` has disabled.
///
/// ```
/// use telemark_sdk::config::Env;
/// use telemark_sdk::install::Telemetry;
/// use telemark_sdk::sampling::{ParentBased, TraceIdRatio};
///
/// let telemetry = Telemetry::builder(Env::process()).build()?;
/// let control = telemetry.control();
/// control.set_sampler(ParentBased::new(TraceIdRatio::new(0.01)));
/// control.disable();
/// # Ok::<(), telemark_sdk::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Control {
    pub(in crate::install) handle: TelemetryHandle,
    /// True if a new version of the file makes the changes, instead of code.
    is_of_file: bool,
}

impl Control {
    /// Disables all signals: no span starts, and log records and measurements are dropped, without being counted as lost. Spans that
    /// have started are recorded to their end, and the spans and log records that have been recorded are exported. Measurements since the
    /// last export wait until metrics are enabled again, so flush before if the program may end first. Trace context is still propagated.
    pub fn disable(&self) {
        self.set_all(false);
    }

    /// Enables the signals again, except for those that are disabled individually.
    pub fn enable(&self) {
        self.set_all(true);
    }

    /// Returns true unless [`Self::disable`] was called last.
    pub fn is_enabled(&self) -> bool {
        self.handle.providers.all().iter().all(|provider| provider.is_enabled(Switch::Telemetry))
    }

    /// Reads the configuration file again, the one that `OTEL_CONFIG_FILE` named at the start, and applies the values that can change while
    /// the program runs. It is read and checked as a whole, as at the start: if it cannot be used, nothing changes. Values that need a
    /// restart are returned, and reported in a message.
    ///
    /// These values apply: `disabled`, `log_level`, samplers, configurators of tracers, meters and loggers, the delays and intervals of
    /// exports, `distribution.telemark.spans` and `distribution.telemark.logs`, and what integrations capture and exclude. A value that is
    /// the same as before is left alone, even if [code](Self) has changed it meanwhile.
    ///
    /// # Errors
    /// Returns an error if there is no file, if it cannot be used, if it is being written, or if another reload is under way.
    pub fn reload(&self) -> Result<Reload, ConfigError> {
        match &self.handle.reloader {
            Some(reloader) => reloader.reload(self, None),
            None => {
                let problem = "the telemetry does not come from a file that OTEL_CONFIG_FILE names";
                Err(ConfigError::state("reload", problem))
            }
        }
    }

    /// Changes what the integrations of the program capture and exclude, for requests and calls that begin from now on: captured headers
    /// and trailers, excluded URLs and methods, the text of statements and the messages of databases. The setting is named by its variable,
    /// such as `OTEL_RUST_HTTP_SERVER_CAPTURE_REQUEST_HEADERS`, and `None` stands for its default. What code has set for one layer or client
    /// stays.
    ///
    /// # Errors
    /// Returns an error, and changes nothing, if no integration has such a setting, if part of the value cannot be used, or if this process
    /// was forked while such a setting changed.
    pub fn set_capture(&self, variable: &str, value: Option<&str>) -> Result<(), ConfigError> {
        let Some(live) = self.handle.live_settings else {
            return Err(ConfigError::state("set_capture", "needs integrations, which telemark::builder() knows"));
        };
        let Some(name) = live.names.iter().find(|name| **name == variable) else {
            return Err(ConfigError::invalid("set_capture", variable, format!("one of {}", live.names.join(", "))));
        };
        let problems = value.map(|value| (live.problems)(name, value)).unwrap_or_default();
        if !problems.is_empty() {
            return Err(ConfigError::state(*name, problems.join("; ")));
        }
        if !self.handle.home.is_past() {
            (live.change)(&[(*name, value)])?;
            self.note(name, Change::Settings(vec![(*name, value.map(str::to_owned))]));
        }
        Ok(())
    }

    /// Changes settings of integrations as a version of the file says, and reports the parts of their values that cannot be used.
    pub(in crate::install) fn change_captures(&self, changes: &[(&'static str, Option<&str>)]) {
        let Some(live) = self.handle.live_settings else { return };
        for (name, value) in changes {
            for problem in value.map(|value| (live.problems)(name, value)).unwrap_or_default() {
                diag::log_always(Level::Warn, format_args!("{problem}"));
            }
        }
        if let Err(error) = (live.change)(changes) {
            diag::log_always(Level::Warn, format_args!("{error}"));
        }
    }

    /// Returns the same control for the changes of a version of the file.
    pub(in crate::install) fn of_file(&self) -> Control {
        Control { is_of_file: true, ..self.clone() }
    }

    /// Notes a change for the effective configuration.
    pub(in crate::install) fn note(&self, name: &'static str, change: Change) {
        if !self.handle.home.is_past() {
            self.handle.changes.record(name, Some(change).filter(|_| !self.is_of_file), || ());
        }
    }

    /// Notes that something else is in effect than what code has changed.
    pub(in crate::install) fn forget(&self, name: &'static str) {
        self.handle.changes.record(name, None, || ());
    }

    /// Notes that a signal is enabled or disabled, which no file can express.
    pub(in crate::install) fn note_switch(&self, name: &'static str, is_enabled: bool) {
        if !self.handle.home.is_past() {
            self.handle.changes.record(name, (!is_enabled).then_some(Change::Opaque), || ());
        }
    }

    fn set_all(&self, is_enabled: bool) {
        if self.handle.home.is_past() {
            return;
        }
        let providers = self.handle.providers.all();
        let change = (!self.is_of_file).then_some(Change::Disabled(!is_enabled));
        // Two opposite calls at the same time would otherwise leave some signals on and others off.
        self.handle.changes.record(DISABLED, change, || {
            providers.iter().for_each(|provider| provider.set_enabled(Switch::Telemetry, is_enabled));
        });
    }
}

/// Methods for changes.
impl Telemetry {
    /// Returns the means to change this telemetry while it runs.
    pub fn control(&self) -> Control {
        self.handle.control()
    }
}

/// Methods for changes.
impl TelemetryHandle {
    /// Returns the means to change the telemetry while it runs.
    pub fn control(&self) -> Control {
        Control { handle: self.clone(), is_of_file: false }
    }
}
