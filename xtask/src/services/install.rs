//! Installs packages from their registries into `.services/<package>-<version>`, unless they are already installed, and
//! Debian packages into the system.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::process::wait;
use crate::step::{Failure, root};

/// The time limit for a package manager.
const PATIENCE: Duration = Duration::from_secs(900);

/// Installs a package from PyPI. Returns its folder.
pub(super) fn pip(package: &str, version: &str) -> Result<PathBuf, Failure> {
    install(package, version, "python3 with pip", |folder| {
        let mut command = Command::new("python3");
        command.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--pre", "--target"]);
        command.arg(folder).arg(format!("{package}=={version}"));
        command
    })
}

/// Installs a package from npm. Returns the folder that contains its `node_modules`.
pub(super) fn npm(package: &str, version: &str) -> Result<PathBuf, Failure> {
    install(package, version, "npm", |folder| {
        let mut command = Command::new("npm");
        command.args(["install", "--silent", "--no-fund", "--no-audit", "--no-save", "--prefix"]);
        command.arg(folder).arg(format!("{package}@{version}"));
        command
    })
}

/// Compiles and installs a crate from crates.io, which takes minutes. Returns the folder that contains its `bin`.
pub(crate) fn cargo(package: &str, version: &str) -> Result<PathBuf, Failure> {
    install(package, version, "cargo", |folder| {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        // They run for seconds, so compiling them takes most of their time.
        command
            .args(["install", "--quiet", "--debug", "--locked", package, "--version", version, "--root"])
            .arg(folder);
        command
    })
}

/// Downloads the source of a crate, and the crates that its build needs. Returns the folder of the source. The checksum is that of the
/// crate's file.
pub(super) fn source(package: &str, version: &str, checksum: &str) -> Result<PathBuf, Failure> {
    let manifest = format!(
        "[package]\nname = \"source\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n[dependencies]\n{package} = \"={version}\"\n"
    );
    // Cargo refuses a file with another checksum, and adds the other packages.
    let lock = format!(
        "version = 4\n[[package]]\nname = {package:?}\nversion = {version:?}\n\
         source = \"registry+https://github.com/rust-lang/crates.io-index\"\nchecksum = {checksum:?}\n"
    );
    let prepare = |folder: &Path| {
        fs::create_dir_all(folder.join("src"))?;
        fs::write(folder.join("src/lib.rs"), "")?;
        fs::write(folder.join("Cargo.toml"), &manifest)?;
        fs::write(folder.join("Cargo.lock"), &lock)
    };
    let folder = install(&format!("source-of-{package}"), version, "cargo", |folder| {
        // If this fails, cargo says what is missing.
        let _ = prepare(folder);
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(["vendor", "--quiet", "--versioned-dirs"]).current_dir(folder).stdout(Stdio::null());
        command
    })?;
    Ok(folder.join("vendor").join(format!("{package}-{version}")))
}

/// Returns whether a program is installed.
pub(super) fn is_there(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Installs a Debian package in the distribution's version. Requires root.
pub(super) fn apt(package: &str) -> Result<(), Failure> {
    let user = Command::new("id").arg("-u").output().map(|output| output.stdout);
    if user.is_ok_and(|id| id != b"0\n") {
        return Err(Failure::new(format!("the package {package} is not installed, and only root can install it")));
    }
    eprintln!("    installing {package} with apt-get");
    // On a fresh machine, the package lists must be downloaded first.
    apt_get(&["install", "--quiet=2", "--yes", "--no-install-recommends", package]).or_else(|_| {
        apt_get(&["update", "--quiet=2"])?;
        apt_get(&["install", "--quiet=2", "--yes", "--no-install-recommends", package])
    })
}

fn apt_get(arguments: &[&str]) -> Result<(), Failure> {
    let shown = arguments.join(" ");
    let mut command = Command::new("apt-get");
    // Disables questions. Run level 1 keeps the package's services from starting.
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
    // Installs into a temporary folder and renames it, so that an interrupted installation is not mistaken for a complete
    // one.
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
    // After a successful installation, the folder has already been renamed.
    let _ = fs::remove_dir_all(&unfinished);
    result.map(|()| folder)
}
