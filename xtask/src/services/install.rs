//! Packages from their registries into `.services/<package>-<version>`, once; and from Debian into the system.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::process::wait;
use crate::step::{Failure, root};

/// The longest that a package manager may take.
const PATIENCE: Duration = Duration::from_secs(900);

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

/// A command of the Rust registry; answers with the folder that contains its `bin`. It is compiled, which takes minutes.
pub(crate) fn cargo(package: &str, version: &str) -> Result<PathBuf, Failure> {
    install(package, version, "cargo", |folder| {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(["install", "--quiet", "--locked", package, "--version", version, "--root"]).arg(folder);
        command
    })
}

/// A package of Debian or a distribution like it, whatever its version is there; only for root, who owns the system.
pub(super) fn apt(package: &str) -> Result<(), Failure> {
    let user = Command::new("id").arg("-u").output().map(|output| output.stdout);
    if user.is_ok_and(|id| id != b"0\n") {
        return Err(Failure::new(format!("the package {package} is not installed, and only root can install it")));
    }
    eprintln!("    installing {package} with apt-get");
    // A fresh machine knows no packages.
    apt_get(&["install", "--quiet=2", "--yes", "--no-install-recommends", package]).or_else(|_| {
        apt_get(&["update", "--quiet=2"])?;
        apt_get(&["install", "--quiet=2", "--yes", "--no-install-recommends", package])
    })
}

fn apt_get(arguments: &[&str]) -> Result<(), Failure> {
    let shown = arguments.join(" ");
    let mut command = Command::new("apt-get");
    // Nobody answers questions; and as in runlevel 1, a service of the package is not started.
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1");
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
    let child = child.map_err(|error| Failure::new(format!("apt-get could not be started: {error}")))?;
    match wait(child, PATIENCE)? {
        status if status.success() => Ok(()),
        status => Err(Failure::new(format!("`apt-get {shown}` did not succeed ({status})"))),
    }
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
