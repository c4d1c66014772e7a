//! The build of a shadow workspace, and what its errors leave out of the next one.

use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::path::Path;
use std::process::{ExitCode, Stdio};

use super::{Session, fail};
use crate::zero::command::Verb;
use crate::zero::messages::{Failure, Messages, forward};
use crate::zero::shadow::workspace::Workspace;
use crate::zero::shadow::{LeftOut, Rewrites, Shadow};

/// The result of a build.
pub(super) enum Built {
    Ready,
    /// Something is left out, and the next build may succeed.
    Again,
    /// It does not compile, whatever is left out, for this reason.
    Failed(String),
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
            return Ok(Built::Ready);
        }
        let verb = if self.command.verb == Verb::Test { Verb::Test } else { Verb::Build };
        let mut cargo = self.shadow_command(verb, shadow, workspace, &self.command.to_build());
        let color = if std::io::stderr().is_terminal() { "json-diagnostic-rendered-ansi" } else { "json" };
        cargo
            .arg(format!("--message-format={color}"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .stdin(Stdio::null());
        if self.command.verb == Verb::Test {
            cargo.arg("--no-run");
        }
        let mut child = cargo.spawn().map_err(|error| fail(&format!("cargo cannot be started: {error}")))?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let held = forward(stderr);
        let mut messages = Messages::default();
        for line in stdout.into_iter().flat_map(|stdout| BufReader::new(stdout).split(b'\n')).map_while(Result::ok) {
            messages.read(&line);
        }
        let status = child.wait().map_err(|error| fail(&error.to_string()))?;
        let held = held.and_then(|thread| thread.join().ok()).unwrap_or_default();
        if status.success() {
            // Cargo shows the warnings once more when it runs the program.
            if self.command.verb == Verb::Build && !self.command.has_message_format() {
                let _ = write!(std::io::stderr(), "{}", messages.warnings);
                let _ = std::io::stderr().write_all(&held);
            }
            return Ok(Built::Ready);
        }
        let before = left_out.clone();
        for failure in &messages.failures {
            self.leave_out(failure, shadow, workspace, rewrites, left_out, notes);
        }
        if *left_out != before {
            return Ok(Built::Again);
        }
        let held = String::from_utf8_lossy(&held);
        let of_cargo = held.lines().find(|line| line.starts_with("error"));
        let reason = messages.failures.first().map(|failure| failure.message.as_str()).or(of_cargo);
        Ok(Built::Failed(reason.unwrap_or("cargo says no reason").to_owned()))
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
            let file = Path::new(file);
            let file = [&shadow.source, &shadow.copies(), &workspace.root]
                .into_iter()
                .find_map(|folder| file.strip_prefix(folder).ok())
                .unwrap_or(file);
            let shown = file.display().to_string();
            if left_out.leave_out(rewrites, &shown, *line) > 0 {
                notes.push(format!(
                    "left out what does not compile with telemetry, {shown}:{line}: {}",
                    failure.message
                ));
            }
        }
    }
}
