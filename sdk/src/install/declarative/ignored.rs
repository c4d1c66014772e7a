//! Finds the variables that a configuration file replaces.
//!
//! spec: configuration/sdk-environment-variables.md#declarative-configuration

use super::shared::has_detector;
use crate::config::{Env, Tree, VARIABLES};
use crate::diag::{self, Level};

/// Returns the variables that are set and have no effect, because the file neither refers to them nor enables a detector that reads
/// them.
pub(super) fn ignored(tree: &Tree, process: &Env) -> Vec<&'static str> {
    let used = tree.variables();
    let reads_name = ["service", "env"].iter().any(|detector| has_detector(tree, detector));
    let has_effect = |name: &str| {
        name == CONFIG_FILE
            || name == PRINT
            || name == WATCH_INTERVAL
            || !name.starts_with("OTEL_")
            || used.contains(name)
            || reads_name && matches!(name, "OTEL_SERVICE_NAME" | "OTEL_RESOURCE_ATTRIBUTES")
    };
    let known = VARIABLES.iter().map(|variable| variable.name);
    known.filter(|name| !has_effect(name) && process.string(name).is_some()).collect()
}

/// The variable that names the file.
pub(in crate::install) const CONFIG_FILE: &str = "OTEL_CONFIG_FILE";
/// The variable that prints the effective configuration.
pub(in crate::install) const PRINT: &str = "OTEL_RUST_CONFIG_PRINT";

/// The variable that makes the program look at the file again and again.
pub(in crate::install) const WATCH_INTERVAL: &str = "OTEL_RUST_CONFIG_WATCH_INTERVAL";

/// Reports the variables that a file replaces, all in one line.
pub(in crate::install) fn report_ignored(ignored: &[&'static str]) {
    if !ignored.is_empty() {
        diag::log_always(
            Level::Warn,
            format_args!(
                "{CONFIG_FILE} names a file that does not refer to these variables, so they have no effect: {}",
                ignored.join(", ")
            ),
        );
    }
}
