//! A step of a command, which prints a command line, runs it in the repository root, and prints the elapsed time.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// The reason why a command of this tool failed.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Failure(message.into())
    }

    /// Creates a failure for invalid arguments.
    pub(crate) fn usage(problem: &str) -> Self {
        Failure(format!("{problem}; see `cargo xtask --help`"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A program with its arguments and environment.
pub(crate) struct Step {
    title: String,
    command: Command,
    /// The command line as a user would type it.
    shown: String,
}

impl Step {
    /// Creates a step that runs the same cargo as this tool.
    pub(crate) fn cargo(title: &str, arguments: &str) -> Self {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        Step::program(title, cargo).arguments(arguments.split_whitespace())
    }

    /// Creates a step that runs any program.
    pub(crate) fn program(title: &str, program: impl AsRef<OsStr>) -> Self {
        let program = program.as_ref();
        let shown = Path::new(program).file_name().unwrap_or(program).to_string_lossy().into_owned();
        let mut command = Command::new(program);
        command.current_dir(root());
        Step { title: title.to_owned(), command, shown }
    }

    pub(crate) fn arguments<S: AsRef<str>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        for argument in arguments {
            self.shown += &format!(" {}", argument.as_ref());
            self.command.arg(argument.as_ref());
        }
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.shown = format!("{name}={value:?} {}", self.shown);
        self.command.env(name, value);
        self
    }

    /// Sets variables without printing them.
    pub(crate) fn quiet_envs(mut self, variables: &[(String, String)]) -> Self {
        self.command.envs(variables.iter().map(|(name, value)| (name, value)));
        self
    }

    pub(crate) fn run(mut self) -> Result<(), Failure> {
        eprintln!("\n==> {}: {}", self.title, self.shown);
        let start = Instant::now();
        let status = self.command.status();
        let seconds = start.elapsed().as_secs_f32();
        match status {
            Ok(status) if status.success() => {
                eprintln!("    {} took {seconds:.1} s", self.title);
                Ok(())
            }
            Ok(status) => Err(Failure::new(format!("{} failed ({status}): {}", self.title, self.shown))),
            Err(error) => Err(Failure::new(format!("{} could not be started: {}: {error}", self.title, self.shown))),
        }
    }
}

/// Returns the root of the repository.
pub(crate) fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_owned()
}

/// Returns true in continuous integration, where nothing may be skipped.
pub(crate) fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}
