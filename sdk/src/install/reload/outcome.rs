//! What a reload of the configuration file reports: to its caller, in the health, and in messages.

use super::Path;
use crate::diag::{self, Level};
use crate::error::ConfigError;

/// The maximum number of paths that are kept and shown.
const MAX_PATHS: usize = 32;

/// What a new version of the configuration file has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reload {
    /// The paths of the values that have changed and apply now, such as `tracer_provider.sampler`.
    pub applied: Vec<String>,
    /// The paths of the values of the file that are not in effect, because they need a restart.
    pub needs_restart: Vec<String>,
    /// The paths of the values that have changed and have no effect, because code has set something else.
    pub set_in_code: Vec<String>,
}

/// The versions of the configuration file that have come while the program runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigHealth {
    /// The number of versions that are or were in effect.
    pub applied: u64,
    /// The number of versions that could not be used.
    pub refused: u64,
    /// The reason why the present version is not in effect.
    pub problem: Option<String>,
    /// The paths of the values of the file that are not in effect, because they need a restart.
    pub needs_restart: Vec<String>,
}

/// Returns the paths as text. Those beyond a maximum are counted.
pub(super) fn shown(paths: &[&Path]) -> Vec<String> {
    let mut shown: Vec<_> = paths.iter().take(MAX_PATHS).map(ToString::to_string).collect();
    match paths.len().checked_sub(MAX_PATHS) {
        None | Some(0) => {}
        Some(more) => shown.push(format!("{more} more")),
    }
    shown
}

/// Says what a version changes, and what it cannot change. Each version is reported once.
pub(super) fn report(reload: &Reload, warnings: &[ConfigError]) {
    for warning in warnings.iter().take(MAX_PATHS) {
        diag::log_always(Level::Warn, format_args!("{warning}"));
    }
    let say = |level, what: &str, paths: &[String]| {
        if !paths.is_empty() {
            diag::log_always(level, format_args!("the configuration file has changed; {what}: {}", paths.join(", ")));
        }
    };
    say(Level::Info, "these values apply now", &reload.applied);
    say(Level::Warn, "these values have no effect before a restart", &reload.needs_restart);
    say(Level::Info, "these values have no effect, because code sets them", &reload.set_in_code);
}

/// Says why a version is not used.
pub(super) fn report_refused(error: &ConfigError) {
    diag::log_always(
        Level::Warn,
        format_args!("the configuration file has changed, and everything stays as it was: {error}"),
    );
}
