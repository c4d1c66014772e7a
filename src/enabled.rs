//! Reads the variables that enable or disable an integration.

use telemark_kit::Enabled;
use telemark_sdk::config::Env;
use telemark_sdk::diag;

/// Returns true unless the environment disables the integration, which is named after its Cargo feature. Reports invalid values.
pub(crate) fn is_enabled(integration: &str, env: &Env) -> bool {
    let choice = Enabled::read(integration, |name| env.string(name));
    for problem in choice.problems {
        diag::log(diag::Level::Warn, "instrumentation.enabled", format_args!("{problem}"));
    }
    choice.is_enabled
}
