//! The build of a shadow workspace, and what its errors leave out of the next one.

use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command as Process, ExitCode, Stdio};

use super::{Session, fail};
use crate::zero::command::Verb;
use crate::zero::messages::{Compiled, Failure, Messages, forward};
use crate::zero::shadow::lock::Lock;
use crate::zero::shadow::workspace::Workspace;
use crate::zero::shadow::{LeftOut, Rewrites, Shadow};
use crate::zero::wrapper::runner::{self, Started};

/// The result of a build.
pub(super) enum Built {
    /// The program, if cargo has been asked to run it.
    Ready(Option<Started>),
    /// Something is left out, and the next build may succeed.
    Again,
    /// It does not compile, and no change is known to be the cause.
    Failed(Failed),
}

/// A build that failed.
#[derive(Default)]
pub(super) struct Failed {
    pub(super) reason: String,
    /// The package that does not compile.
    pub(super) package: Option<Compiled>,
    /// True if the build has the package only for telemetry.
    pub(super) is_added: bool,
}

impl Failed {
    /// Returns true if cargo does not know which program to run.
    pub(super) fn concerns_the_command(&self) -> bool {
        self.reason.starts_with("error:") && self.reason.contains("`cargo run`")
    }

    /// Says that plain cargo takes over, and why.
    pub(super) fn without(&self) -> String {
        match &self.package {
            Some(Compiled { name, version }) if self.is_added => format!(
                "{name} {version}, which only telemetry needs, does not compile, and the program goes without: {}",
                self.reason
            ),
            _ => format!("the program does not compile with telemetry, and goes without: {}", self.reason),
        }
    }
}

impl Session {
    /// Builds, and leaves out what does not compile.
    pub(super) fn build(
        &self,
        shadow: &Shadow,
        workspace: &Workspace,
        rewrites: &Rewrites<'_>,
        left_out: &mut LeftOut,
        notes: &mut Vec<String>,
    ) -> Result<Built, ExitCode> {
        if self.command.tests_documentation() {
            // Cargo builds documentation tests only to run them.
            return Ok(Built::Ready(None));
        }
        let mut cargo = self.building(shadow, workspace);
        cargo.stdout(Stdio::piped()).stderr(Stdio::piped()).stdin(Stdio::null());
        let mut child = cargo.spawn().map_err(|error| fail(&format!("cargo cannot be started: {error}")))?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let held = forward(stderr, &runner::path(&shadow.folder));
        let mut messages = Messages::default();
        for line in stdout.into_iter().flat_map(|stdout| BufReader::new(stdout).split(b'\n')).map_while(Result::ok) {
            messages.read(&line);
        }
        let status = child.wait().map_err(|error| fail(&error.to_string()))?;
        let held = held.and_then(|thread| thread.join().ok()).unwrap_or_default();
        if status.success() {
            // Otherwise, cargo shows the warnings when it starts once more.
            if self.starts_cargo_once() {
                let _ = write!(std::io::stderr(), "{}", messages.warnings);
                let _ = std::io::stderr().write_all(&held);
            }
            return Ok(Built::Ready(messages.started));
        }
        let before = left_out.clone();
        for failure in &messages.failures {
            self.leave_out(failure, shadow, workspace, rewrites, left_out, notes);
        }
        if *left_out != before {
            return Ok(Built::Again);
        }
        let held = String::from_utf8_lossy(&held);
        let failure = messages.failures.first();
        let of_cargo = held.lines().find(|line| line.starts_with("error"));
        let place = |failure: &Failure| {
            let (file, line) = failure.places.first()?;
            Some(format!("{}:{line}: ", shown(Path::new(file), shadow, workspace).display()))
        };
        let reason = failure.map(|failure| failure.message.as_str()).or(of_cargo).unwrap_or("cargo says no reason");
        let said = Compiled::of_cargo(&held);
        let package = failure.map_or(said.as_ref(), |failure| failure.package.as_ref()).cloned();
        let is_added = package.as_ref().is_some_and(|package| is_added(package, workspace));
        // Nobody looks into a package that only telemetry needs.
        let place = failure.filter(|_| !is_added).and_then(place).unwrap_or_default();
        Ok(Built::Failed(Failed { reason: format!("{place}{reason}"), package, is_added }))
    }

    /// Returns cargo's command with all messages on standard output. It runs a program by telling which one.
    fn building(&self, shadow: &Shadow, workspace: &Workspace) -> Process {
        let color = if std::io::stderr().is_terminal() { "json-diagnostic-rendered-ansi" } else { "json" };
        let mut arguments = self.command.to_build();
        arguments.push(format!("--message-format={color}").into());
        let verb = match self.command.verb {
            Verb::Test => {
                arguments.push("--no-run".into());
                Verb::Test
            }
            Verb::Run if self.starts_cargo_once() => {
                arguments.extend(["--config".into(), runner::config(&shadow.folder).into()]);
                arguments.extend_from_slice(self.command.of_program());
                Verb::Run
            }
            _ => Verb::Build,
        };
        self.shadow_command(verb, shadow, workspace, &arguments)
    }

    /// Returns true if the build is all that cargo does. Tests are run by cargo, a user's runner is started by cargo, and a format of
    /// messages concerns the user.
    fn starts_cargo_once(&self) -> bool {
        let is_once = match self.command.verb {
            Verb::Build => true,
            Verb::Run => !self.has_runner,
            Verb::Test | Verb::Explain => false,
        };
        is_once && !self.command.has_message_format()
    }

    /// Leaves out what may have caused an error, and notes it.
    fn leave_out(
        &self,
        failure: &Failure,
        shadow: &Shadow,
        workspace: &Workspace,
        rewrites: &Rewrites<'_>,
        left_out: &mut LeftOut,
        notes: &mut Vec<String>,
    ) {
        let edges = rewrites.packages.iter().flat_map(|package| &package.edges.active);
        for (krate, edge) in edges.filter_map(|(_, edge)| Some((edge.replaced()?, edge))) {
            if edge.is_cause(&failure.text) && left_out.edges.insert(krate.to_owned()) {
                notes.push(format!("{krate} is not instrumented: {}", failure.message));
                return;
            }
        }
        for (file, line) in &failure.places {
            let shown = shown(Path::new(file), shadow, workspace).display().to_string();
            if left_out.leave_out(rewrites, &shown, *line) > 0 {
                notes.push(format!(
                    "left out what does not compile with telemetry, {shown}:{line}: {}",
                    failure.message
                ));
            }
        }
    }
}

/// Leaves out a package of the user's whose error nothing explains. Returns a note; `None` if that would leave no telemetry.
pub(super) fn leave_out_package(
    failed: &Failed,
    workspace: &Workspace,
    rewrites: &Rewrites<'_>,
    left_out: &mut LeftOut,
) -> Option<String> {
    let name = &failed.package.as_ref()?.name;
    let added = left_out.leave_out_package(workspace, rewrites, name);
    let first = added.first()?;
    let reason = &failed.reason;
    Some(match first == name {
        true => format!("{name} is not instrumented, because it does not compile with telemetry: {reason}"),
        false => format!(
            "{} are not instrumented, because {name}, which uses them, does not compile with telemetry: {reason}",
            added.join(", ")
        ),
    })
}

/// Returns the path of a file by which rewrites know it: from the root of the workspace, or with the name of a dependency before it.
fn shown(file: &Path, shadow: &Shadow, workspace: &Workspace) -> PathBuf {
    let of_copy = workspace.copies.iter().find_map(|copied| {
        let inside = file.strip_prefix(&copied.folder).ok()?;
        Some(Path::new(&copied.name()).join(inside))
    });
    let inside = [&shadow.source, &shadow.copies(), &workspace.root];
    of_copy
        .unwrap_or_else(|| inside.into_iter().find_map(|folder| file.strip_prefix(folder).ok()).unwrap_or(file).into())
}

/// Returns true if the build has the package only for telemetry: Telemark, what it depends on, and the crates of rules.
fn is_added(package: &Compiled, workspace: &Workspace) -> bool {
    let lock = std::fs::read_to_string(workspace.root.join("Cargo.lock")).unwrap_or_default();
    match lock.is_empty() {
        true => package.name == "telemark" || package.name.starts_with("telemark-"),
        false => !Lock::parse(&lock).versions(&package.name).contains(&package.version.as_str()),
    }
}
