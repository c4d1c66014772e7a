//! The start of reloads: what the builder sets, and what the build remembers of the file.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::super::components::Components;
use super::super::declarative::live::Sources;
use super::super::declarative::{CONFIG_FILE, WATCH_INTERVAL};
use super::super::model::Model;
use super::super::telemetry::Source;
use super::super::{TelemetryBuilder, TelemetryHandle};
use super::reloader::{Reloader, Start};
use super::watch::{self, Fingerprint};
use crate::config::Env;
use crate::error::ConfigError;
use crate::runtime::Runtime;

/// The configuration file before it is read, so that no change after that is missed.
pub(in crate::install) struct Before(Option<(PathBuf, Fingerprint)>);

impl Before {
    pub(in crate::install) fn look(model: &Model, env: &Env) -> Self {
        let path = env.string(CONFIG_FILE).filter(|_| model.file.is_none()).map(PathBuf::from);
        if path.is_none() && env.string(WATCH_INTERVAL).is_some() {
            env.warn(ConfigError::state(WATCH_INTERVAL, format!("has no effect without {CONFIG_FILE}")));
        }
        Before(path.map(|path| {
            let fingerprint = Fingerprint::of(&path);
            (path, fingerprint)
        }))
    }

    /// Returns what applies later versions, and the interval in which to look for them. `model` has been completed from the file.
    pub(in crate::install) fn reloader(
        self,
        model: &mut Model,
        source: &Source,
        components: &'static Components,
        process: &Env,
        set_in_code: &[&'static str],
    ) -> (Option<Arc<Reloader>>, Option<Duration>) {
        let (Some((path, fingerprint)), Source::File(tree, of_file)) = (self.0, source) else { return (None, None) };
        let interval = |env: &Env| env.integer(WATCH_INTERVAL, 1..=usize::MAX);
        let millis = interval(of_file).or_else(|| interval(process)).map(|millis| Duration::from_millis(millis as u64));
        let names = model.names(components);
        let sources =
            Sources { process: process.copy(), components, extensions: std::mem::take(&mut model.extensions), names };
        let reloader = Reloader::new(Start {
            path,
            fingerprint,
            tree: tree.clone(),
            variables: of_file.file_variables(),
            sources,
            set_in_code: set_in_code.to_vec(),
            is_disabled: model.is_disabled == Some(true),
        });
        (Some(Arc::new(reloader)), model.watch_interval.or(millis))
    }
}

impl TelemetryHandle {
    /// Starts to look for new versions of the file, if the program asks for that.
    ///
    /// # Errors
    /// Returns an error if the operating system refuses to start another thread.
    pub(in crate::install) fn watch(
        &mut self,
        interval: Option<Duration>,
        runtime: &Runtime,
    ) -> Result<(), ConfigError> {
        let Some(reloader) = self.reloader.clone().filter(|_| interval.is_some() || self.reloads_on_sighup) else {
            return Ok(());
        };
        self.watch = Some(watch::start(&reloader, self.control(), interval, runtime)?);
        Ok(())
    }
}

/// Methods for later versions of the configuration file.
impl TelemetryBuilder {
    /// Looks at the file that `OTEL_CONFIG_FILE` names in this interval, on a thread of its own, and applies each new version as
    /// [`Control::reload`](super::super::Control::reload) does. The file is compared by its content, so it may be a link, be replaced or be
    /// written in place. A version applies once it has stayed as it is for half a second, or for the interval if that is shorter, because
    /// a file that is being written can be valid. While it cannot be used or does not exist, the previous version stays in effect, and
    /// [`Health::config`](super::super::Health::config) says why.
    ///
    /// Overrides `distribution.telemark.watch_interval` and `OTEL_RUST_CONFIG_WATCH_INTERVAL`. Without any of them, the file is read only
    /// once. Telemetry from [`Self::with_config`] or from variables has no file to look at.
    pub fn with_config_watch(mut self, interval: Duration) -> Self {
        self.model.watch_interval = Some(interval.max(Duration::from_millis(1)));
        self
    }

    /// Sets whether SIGHUP applies the file that `OTEL_CONFIG_FILE` names, as [`Control::reload`](super::super::Control::reload) does,
    /// once the telemetry is installed. Off by default. Only on Unix, and only for the first telemetry that a process installs.
    ///
    /// A handler that the program has installed before is called as well, and one that it installs later replaces this one. Without a
    /// handler of the program, SIGHUP no longer ends it, even without a file. An ignored SIGHUP stays ignored. A forked child reloads
    /// nothing and is not ended by SIGHUP.
    pub fn with_reload_on_sighup(mut self, is_wanted: bool) -> Self {
        self.model.reloads_on_sighup = is_wanted;
        self
    }
}
