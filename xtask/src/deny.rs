//! `cargo deny`: checks the licences, bans and sources of all dependencies against `deny.toml`.

use crate::services::install;
use crate::step::{Failure, Step, is_ci};

const VERSION: &str = "0.20.2";

/// Checks the dependency tree. Installs cargo-deny if necessary. If that is not possible, fails in continuous
/// integration and skips the check elsewhere.
pub(crate) fn run() -> Result<(), Failure> {
    let folder = match install::cargo("cargo-deny", VERSION) {
        Ok(folder) => folder,
        Err(failure) if is_ci() => return Err(failure),
        Err(failure) => {
            eprintln!("\n==> cargo deny: SKIPPED, as it cannot be installed: {failure}");
            return Ok(());
        }
    };
    Step::program("dependencies", folder.join("bin/cargo-deny"))
        .arguments(["--all-features", "check", "bans", "licenses", "sources"])
        .run()
}
