//! rotel: an OTLP collector written in Rust that prints the data it receives as text.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::install::pip;
use super::process::{Process, Service, free_address, run_folder};
use crate::step::Failure;

/// The number of attempts, because another program may take the chosen port first.
const ATTEMPTS: usize = 3;

pub(super) fn start() -> Result<Service, Failure> {
    let program = pip("rotel", "0.0.1a15")?.join("rotel/rotel-agent");
    make_executable(&program)?;
    let mut result = attempt(&program);
    for _ in 1..ATTEMPTS {
        if result.is_err() {
            result = attempt(&program);
        }
    }
    result
}

fn attempt(program: &Path) -> Result<Service, Failure> {
    let (grpc, http) = (free_address()?, free_address()?);
    let run = run_folder()?;
    let mut command = Command::new(program);
    command.arg("start").args(["--exporter", "blackhole", "--debug-log-verbosity", "detailed"]);
    command.args(["traces", "metrics", "logs"].iter().flat_map(|signal| ["--debug-log", signal]));
    command.arg(format!("--otlp-grpc-endpoint={grpc}")).arg(format!("--otlp-http-endpoint={http}"));
    command.arg("--pid-file").arg(run.join(format!("rotel-{}.pid", std::process::id())));
    command.arg("--log-file").arg(run.join(format!("rotel-{}.log", std::process::id())));
    Service::when_ready(Process::start("rotel", &command)?, |_| Some((grpc, http)))
}

/// Sets the executable bit, which is missing in the package.
fn make_executable(program: &Path) -> Result<(), Failure> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(program, fs::Permissions::from_mode(0o755))
            .map_err(|error| Failure::new(format!("{} cannot be made executable: {error}", program.display())))?;
    }
    #[cfg(not(unix))]
    fs::metadata(program).map_err(|error| Failure::new(format!("{}: {error}", program.display())))?;
    Ok(())
}
