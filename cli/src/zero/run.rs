//! Builds a program with telemetry, leaves out what does not compile, and runs it. Plain cargo does it if nothing else works, so that
//! users read their own errors only.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command as Process, ExitCode, Stdio};

use super::command::{Command, Verb};
use super::explain;
use super::messages::{Failure, Messages, forward};
use super::rules::Rules;
use super::shadow::lock::{Lock, Moved};
use super::shadow::manifest::Telemark;
use super::shadow::workspace::{Cargo, Workspace};
use super::shadow::{LeftOut, Plan, Rewrites, Shadow, put, rewrites};
use super::wrapper::{self, CARGO_ERROR, replace, say};

/// The stack for syntax trees, whose depth is that of the source.
const STACK: usize = 512 << 20;
/// Completes a lock file without moving what is in it.
const LOCK: [&str; 3] = ["update", "--workspace", "--quiet"];
/// The number of builds after which plain cargo takes over.
const MAX_ROUNDS: usize = 8;

/// Runs the command with the variables of this process.
#[allow(clippy::disallowed_methods, reason = "a thread of a command, for its stack")]
pub(crate) fn run(command: &Command, variables: &[(String, OsString)]) -> ExitCode {
    let (command, variables) = (command.clone(), variables.to_vec());
    let work = move || Session::new(command, &variables).run();
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(work);
    match thread.map(std::thread::JoinHandle::join) {
        Ok(Ok(code)) => code,
        _ => ExitCode::from(CARGO_ERROR),
    }
}

fn exit(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(CARGO_ERROR))
}

/// One run of the command.
struct Session {
    command: Command,
    cargo: Cargo,
    /// The wrapper that the user has set.
    inner: Option<OsString>,
    /// True if no variable configures telemetry.
    is_unconfigured: bool,
}

/// The result of a build.
enum Built {
    Ready,
    /// Something is left out, and the next build may succeed.
    Again,
    /// It does not compile, whatever is left out, for this reason.
    Failed(String),
}

impl Session {
    fn new(command: Command, variables: &[(String, OsString)]) -> Session {
        let variable = |name: &str| variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        Session {
            command,
            cargo: Cargo { program: variable("CARGO").unwrap_or_else(|| "cargo".into()) },
            inner: variable("RUSTC_WORKSPACE_WRAPPER"),
            is_unconfigured: !variables.iter().any(|(name, _)| name.starts_with("OTEL_")),
        }
    }

    fn run(&self) -> ExitCode {
        match self.prepared() {
            Ok(code) | Err(code) => code,
        }
    }

    fn prepared(&self) -> Result<ExitCode, ExitCode> {
        let mut workspace = self.workspace()?;
        if let Some(target) = &self.command.target {
            workspace.target = std::path::absolute(target).map_err(|error| fail(&format!("--target-dir: {error}")))?;
        }
        let rules = rules(&workspace.root)?;
        let shadow = Shadow::new(&workspace.target);
        let lock = fs::read_to_string(workspace.root.join("Cargo.lock")).unwrap_or_default();
        let mut parsed = Lock::parse(&lock);
        let mut left_out = LeftOut::read(&shadow.folder);
        // Said once the program compiles: before, the mistake may be the user's.
        let mut notes = left_out.notes(&shadow.folder);
        if self.command.verb == Verb::Explain {
            let plan = Plan { rules: &rules, lock: &parsed, left_out: &left_out };
            let report = explain::report(&rewrites(&workspace, plan), &rules, &parsed);
            let notes: String = notes.iter().map(|note| format!("{note}\n")).collect();
            let _ = write!(std::io::stdout(), "{report}{notes}");
            return Ok(ExitCode::SUCCESS);
        }
        for _ in 0..MAX_ROUNDS {
            let plan = Plan { rules: &rules, lock: &parsed, left_out: &left_out };
            let rewrites = rewrites(&workspace, plan);
            self.write(&shadow, &workspace, &rewrites, &lock)?;
            if lock.is_empty() {
                // The shadow has the only lock file, which decides about the edges.
                let of_shadow = fs::read_to_string(shadow.source.join("Cargo.lock")).unwrap_or_default();
                let of_shadow = Lock::parse(&of_shadow);
                if of_shadow != parsed {
                    parsed = of_shadow;
                    continue;
                }
            }
            match self.build(&shadow, &workspace, &rewrites, &mut left_out, &mut notes)? {
                Built::Ready => {
                    left_out.write(&shadow.folder).map_err(|error| fail(&error.to_string()))?;
                    notes.extend(explain::unused_rules(&rewrites, &rules));
                    notes.iter().for_each(|note| say(note));
                    return Ok(self.launch(&shadow, &workspace));
                }
                Built::Again => {}
                Built::Failed(reason) => return Ok(self.plain(&reason)),
            }
        }
        Ok(self.plain("too many builds were needed"))
    }

    fn workspace(&self) -> Result<Workspace, ExitCode> {
        if self.command.is_locked {
            let mut arguments: Vec<OsString> = LOCK.map(OsString::from).to_vec();
            arguments.push("--locked".into());
            self.place(&mut arguments);
            let _ = self.cargo.output(&arguments).map_err(exit)?;
        }
        let mut arguments: Vec<OsString> = vec!["metadata".into(), "--format-version=1".into(), "--no-deps".into()];
        self.place(&mut arguments);
        let metadata = self.cargo.output(&arguments).map_err(exit)?;
        Workspace::parse(&metadata).ok_or_else(|| fail("the output of `cargo metadata` cannot be read"))
    }

    /// Adds the user's manifest, and whether cargo may use the network.
    fn place(&self, arguments: &mut Vec<OsString>) {
        if let Some(manifest) = &self.command.manifest {
            arguments.extend(["--manifest-path".into(), manifest.into()]);
        }
        arguments.extend(self.command.is_offline.then(|| "--offline".into()));
    }

    /// Writes the shadow, its lock file and its wrapper.
    fn write(
        &self,
        shadow: &Shadow,
        workspace: &Workspace,
        rewrites: &Rewrites<'_>,
        lock: &str,
    ) -> Result<(), ExitCode> {
        let telemark = match &self.command.telemark {
            Some(path) => Telemark::Path(
                fs::canonicalize(path)
                    .map_err(|error| fail(&format!("--telemark-path={} cannot be used: {error}", path.display())))?,
            ),
            None => Telemark::Registry,
        };
        let manifests =
            shadow.write(workspace, rewrites, &telemark, &self.command.features).map_err(|error| fail(&error))?;
        wrapper::install(&shadow.folder, &shadow.source, &workspace.root, self.inner.as_deref())
            .map_err(|error| fail(&error.to_string()))?;
        self.lock(shadow, lock, manifests)
    }

    /// Writes the lock file of the shadow: the user's, with the packages that Telemark adds.
    fn lock(&self, shadow: &Shadow, lock: &str, manifests: u64) -> Result<(), ExitCode> {
        let (path, known) = (shadow.source.join("Cargo.lock"), shadow.folder.join("resolved"));
        let state = format!("{manifests} {} {}\n", super::shadow::hash(lock), self.command.allows_updates);
        if path.exists() && fs::read_to_string(&known).is_ok_and(|known| known == state) {
            return Ok(());
        }
        let _ = fs::remove_file(&known);
        match lock.is_empty() {
            true => drop(fs::remove_file(&path)),
            false => put(&path, lock).map_err(|error| fail(&error.to_string()))?,
        }
        let manifest = shadow.source.join("Cargo.toml");
        let mut arguments: Vec<OsString> = LOCK.map(OsString::from).to_vec();
        arguments.extend(["--manifest-path".into(), manifest.into()]);
        arguments.extend(self.command.is_offline.then(|| "--offline".into()));
        let _ = self.cargo.output(&arguments).map_err(exit)?;
        let old = Lock::parse(lock);
        let new = Lock::parse(&fs::read_to_string(&path).unwrap_or_default());
        let moved = if lock.is_empty() { Vec::new() } else { old.moved(&new) };
        if !moved.is_empty() && !self.command.allows_updates {
            let _ = fs::remove_file(&path);
            return Err(fail(&refusal(&moved)));
        }
        if !lock.is_empty() {
            say(&format!("Cargo.lock stays; the build has {} more packages", old.added(&new)));
        }
        moved
            .iter()
            .for_each(|moved| say(&format!("the build has {} {} in place of {}", moved.name, moved.to, moved.from)));
        put(&known, &state).map_err(|error| fail(&error.to_string()))
    }

    /// Builds, and leaves out what does not compile.
    fn build(
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
        let mut cargo = self.shadow_command(verb, shadow, workspace, &self.command.to_build())?;
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
        for line in stdout.into_iter().flat_map(|stdout| BufReader::new(stdout).lines()).map_while(Result::ok) {
            messages.read(&line);
        }
        let status = child.wait().map_err(|error| fail(&error.to_string()))?;
        let held = held.and_then(|thread| thread.join().ok()).unwrap_or_default();
        if status.success() {
            // Cargo shows the warnings once more when it runs the program.
            if self.command.verb == Verb::Build && !self.command.has_message_format() {
                let _ = write!(std::io::stderr(), "{}{held}", messages.warnings);
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
            let file =
                file.strip_prefix(&shadow.source).or_else(|_| file.strip_prefix(&workspace.root)).unwrap_or(file);
            let shown = file.display().to_string();
            if left_out.leave_out(rewrites, &shown, *line) > 0 {
                notes.push(format!(
                    "left out what does not compile with telemetry, {shown}:{line}: {}",
                    failure.message
                ));
            }
        }
    }

    /// Returns cargo's command on the shadow.
    fn shadow_command(
        &self,
        verb: Verb,
        shadow: &Shadow,
        workspace: &Workspace,
        arguments: &[OsString],
    ) -> Result<Process, ExitCode> {
        let mut place = vec!["locate-project".into(), "--message-format=plain".into()];
        if let Some(manifest) = &self.command.manifest {
            place.extend(["--manifest-path".into(), manifest.into()]);
        }
        let found = self.cargo.output(&place).map_err(exit)?;
        let found = PathBuf::from(String::from_utf8_lossy(&found).trim());
        let inside = workspace.relative(&found).unwrap_or(Path::new("Cargo.toml"));
        let mut cargo = self.cargo.command();
        let wrapper = wrapper::path(&shadow.folder);
        cargo
            .arg(verb.name())
            .arg("--manifest-path")
            .arg(shadow.source.join(inside))
            .arg("--target-dir")
            .arg(&shadow.build)
            .arg("--config")
            .arg(format!("build.rustc-workspace-wrapper={:?}", wrapper.display().to_string()))
            .env_remove("RUSTC_WORKSPACE_WRAPPER")
            .args(self.command.is_offline.then_some("--offline"))
            .arg("--locked")
            .args(arguments);
        Ok(cargo)
    }

    /// Runs the program or its tests.
    fn launch(&self, shadow: &Shadow, workspace: &Workspace) -> ExitCode {
        if self.command.verb == Verb::Build && !self.command.has_message_format() {
            return ExitCode::SUCCESS;
        }
        let mut cargo = match self.shadow_command(self.command.verb, shadow, workspace, &self.command.arguments) {
            Ok(cargo) => cargo,
            Err(code) => return code,
        };
        if self.command.verb == Verb::Test && self.is_unconfigured {
            // Programs that tests start have no receiver.
            cargo.envs(
                ["OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER"].map(|name| (name, "none")),
            );
        }
        replace(cargo)
    }

    /// Lets plain cargo do it. If the program does not compile at all, the user sees nothing else.
    fn plain(&self, reason: &str) -> ExitCode {
        let mut build = self.cargo.command();
        let is_test = self.command.verb == Verb::Test;
        build.arg(if is_test { "test" } else { "build" }).args(is_test.then_some("--no-run"));
        match build.args(self.command.options(&self.command.plain)).status().map(|status| status.code()) {
            Ok(Some(0)) => {}
            Ok(code) => return code.map_or(ExitCode::from(CARGO_ERROR), exit),
            Err(error) => return fail(&format!("cargo cannot be started: {error}")),
        }
        say(&format!("the program does not compile with telemetry, and goes without: {reason}"));
        if self.command.verb == Verb::Build {
            return ExitCode::SUCCESS;
        }
        let mut cargo = self.cargo.command();
        cargo.arg(self.command.verb.name()).args(&self.command.plain);
        replace(cargo)
    }
}

fn rules(root: &Path) -> Result<Rules, ExitCode> {
    Rules::read(root).map_err(|problems| {
        problems.iter().for_each(|problem| say(problem));
        ExitCode::from(1)
    })
}

fn refusal(moved: &[Moved]) -> String {
    let list: String = moved.iter().map(|moved| format!("\n  {} {} -> {}", moved.name, moved.from, moved.to)).collect();
    format!(
        "Telemark needs other versions than those in Cargo.lock:{list}\n\
         Nothing was built. With --allow-updates, this build has them; your Cargo.lock stays as it is."
    )
}

fn fail(message: &str) -> ExitCode {
    say(message);
    ExitCode::from(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_versions_are_listed() {
        let moved = Moved { name: "tokio".to_owned(), from: "1.32.0".to_owned(), to: "1.54.1".to_owned() };
        let refusal = refusal(&[moved]);
        let expected =
            "Telemark needs other versions than those in Cargo.lock:\n  tokio 1.32.0 -> 1.54.1\nNothing was built.";
        assert!(refusal.starts_with(expected), "{refusal}");
    }
}
