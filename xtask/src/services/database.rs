//! The parts that the databases have in common.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::process::{Service, wait};
use crate::step::Failure;

/// The number of attempts, because another program may take the chosen port first.
const ATTEMPTS: usize = 3;
/// The time limit for creating a database.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(120);

pub(super) fn attempts(attempt: impl Fn() -> Result<Service, Failure>) -> Result<Service, Failure> {
    let mut result = attempt();
    for _ in 1..ATTEMPTS {
        if result.is_err() {
            result = attempt();
        }
    }
    result
}

pub(super) fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n")
}

/// Creates an empty folder in the system's folder for temporary files, which another user can reach. `owner` receives it if
/// root creates it.
pub(super) fn fresh_folder(name: &str, owner: Option<&str>) -> Result<PathBuf, Failure> {
    let folder = std::env::temp_dir().join(format!("telemark-{name}-{}", std::process::id()));
    // The folder usually does not exist.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder)
        .map_err(|error| Failure::new(format!("{} cannot be created: {error}", folder.display())))?;
    if let Some(owner) = owner.filter(|_| is_root()) {
        succeed("chown", Command::new("chown").arg(owner).arg(&folder))?;
    }
    Ok(folder)
}

/// Runs a program to its end.
pub(super) fn succeed(name: &str, command: &mut Command) -> Result<(), Failure> {
    let child = command.stdin(Stdio::null()).spawn();
    let child = child.map_err(|error| Failure::new(format!("{name} could not be started: {error}")))?;
    match wait(child, PATIENCE)? {
        status if status.success() => Ok(()),
        status => Err(Failure::new(format!("{name} did not succeed ({status})"))),
    }
}
