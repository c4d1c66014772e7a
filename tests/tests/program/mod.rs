//! Runs a scenario of `src/bin/scenario` in its own process and observes it from outside.
#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::disallowed_methods, reason = "tests that wait for processes")]

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The time after which a scenario counts as hanging, which is generous to allow for busy machines.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A running scenario.
pub(crate) struct Running {
    pub(crate) child: Child,
    files: PathBuf,
}

impl Running {
    pub(crate) fn start(scenario: &str, variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_scenario"));
        command.arg(scenario);
        Running::start_command(command, scenario, variables)
    }

    /// Starts a command that runs the scenario. Appends the path of the file for exported spans as the last argument.
    pub(crate) fn start_command(mut command: Command, scenario: &str, variables: &[(&str, &str)]) -> Self {
        // Several tests may run the same scenario. The process id and thread id give each test its own file.
        let test = format!("{}-{:?}", std::process::id(), std::thread::current().id());
        let name = format!("{scenario}-{test}").replace(|c: char| !c.is_alphanumeric(), "-");
        let files = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        drop(fs::remove_file(files.with_extension("exported")));
        // Removes the developer's own variables.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("OTEL_")) {
            command.env_remove(name);
        }
        let child = command
            .arg(files.with_extension("exported"))
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(File::create(files.with_extension("printed")).unwrap())
            .stderr(File::create(files.with_extension("errors")).unwrap())
            .spawn()
            .unwrap();
        Running { child, files }
    }

    pub(crate) fn read(&self, what: &str) -> String {
        fs::read_to_string(self.files.with_extension(what)).unwrap_or_default()
    }

    /// Waits until the scenario has printed this line.
    pub(crate) fn await_line(&self, line: &str) {
        await_condition(line, || self.read("printed").lines().any(|printed| printed == line));
    }

    pub(crate) fn send(&self, signal: &str) {
        let status = Command::new("kill").arg(signal).arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success());
    }

    /// Waits for the end. Returns the exit status, the printed lines, the exported lines (`>`) and standard error (`!`).
    pub(crate) fn end(mut self) -> String {
        let status = self.wait();
        let exit = match (status.code(), status.signal()) {
            (Some(code), _) => format!("exit {code}\n"),
            (None, signal) => format!("signal {}\n", signal.unwrap()),
        };
        let (printed, exported, errors) = (self.read("printed"), self.read("exported"), self.read("errors"));
        let exported = exported.lines().map(|line| format!("> {line}\n"));
        let is_said = |line: &&str| line.starts_with("telemark ") || line.starts_with("fatal");
        let said = errors.lines().filter(is_said).map(|line| format!("! {line}\n"));
        exit + &printed + &exported.chain(said).collect::<String>()
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            if start.elapsed() > PATIENCE {
                self.child.kill().unwrap();
                self.child.wait().unwrap();
                panic!("hangs:\n{}{}{}", self.read("printed"), self.read("exported"), self.read("errors"));
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }
}

/// Leaves no process behind when a test fails.
impl Drop for Running {
    fn drop(&mut self) {
        // Has no effect on a process that has already ended.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[track_caller]
pub(crate) fn await_condition(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "timed out waiting for: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

#[track_caller]
pub(crate) fn check(scenario: &str, expected: &str) {
    assert_eq!(Running::start(scenario, &[]).end(), expected.trim_start(), "{scenario}");
}
