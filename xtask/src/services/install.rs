//! Packages from their registries into `.services/<package>-<version>`, once.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::process::wait;
use crate::step::{Failure, root};

/// The longest that a package manager may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// A package of the Python index; answers with its folder.
pub(super) fn pip(package: &str, version: &str) -> Result<PathBuf, Failure> {
    install(package, version, "python3 with pip", |folder| {
        let mut command = Command::new("python3");
        command.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--pre", "--target"]);
        command.arg(folder).arg(format!("{package}=={version}"));
        command
    })
}

/// A package of the npm registry; answers with the folder that contains its `node_modules`.
pub(super) fn npm(package: &str, version: &str) -> Result<PathBuf, Failure> {
    install(package, version, "npm", |folder| {
        let mut command = Command::new("npm");
        command.args(["install", "--silent", "--no-fund", "--no-audit", "--no-save", "--prefix"]);
        command.arg(folder).arg(format!("{package}@{version}"));
        command
    })
}

fn install(
    package: &str,
    version: &str,
    installer: &str,
    command: impl FnOnce(&PathBuf) -> Command,
) -> Result<PathBuf, Failure> {
    let services = root().join(".services");
    let name = format!("{}-{version}", package.trim_start_matches('@').replace('/', "-"));
    let folder = services.join(&name);
    if folder.exists() {
        return Ok(folder);
    }
    // Beside it and renamed at the end: an installation that is broken off is not taken for a finished one.
    let unfinished = services.join(format!("unfinished-{name}-{}", std::process::id()));
    fs::create_dir_all(&unfinished)
        .map_err(|error| Failure::new(format!("{} cannot be created: {error}", unfinished.display())))?;
    eprintln!("    installing {package} {version} into {}", folder.display());
    let result = command(&unfinished)
        .stdin(Stdio::null())
        .spawn()
        .map_err(|error| Failure::new(format!("{installer} is needed to install {package} {version}: {error}")))
        .and_then(|child| wait(child, PATIENCE))
        .and_then(|status| match status.success() {
            true => Ok(()),
            false => Err(Failure::new(format!("{installer} could not install {package} {version} ({status})"))),
        })
        .and_then(|()| {
            fs::rename(&unfinished, &folder)
                .map_err(|error| Failure::new(format!("{package} cannot be moved to {}: {error}", folder.display())))
        });
    // Gone already when everything went well.
    let _ = fs::remove_dir_all(&unfinished);
    result.map(|()| folder)
}
