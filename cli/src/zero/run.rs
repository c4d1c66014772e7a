//! Builds a program with telemetry, leaves out what does not compile, and runs it. Plain cargo does it if nothing else works, so that
//! users read their own errors only.

mod build;
mod copied;
mod turn;

use std::cell::OnceCell;
use std::collections::hash_map::DefaultHasher;
use std::ffi::OsString;
use std::fs;
use std::hash::{Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, ExitCode};

use self::build::{Built, Failed, leave_out_package};
use self::turn::Turn;
use super::command::{Command, Verb};
use super::rules::Rules;
use super::shadow::lock::{Lock, refusal};
use super::shadow::manifest::{Telemark, normalized};
use super::shadow::profile;
use super::shadow::workspace::{Cargo, Workspace};
use super::shadow::{LeftOut, Plan, Rewrites, Shadow, put, rewrites};
use super::wrapper::configured::Places;
use super::wrapper::runner::Started;
use super::wrapper::{self, CARGO_ERROR, Inner, replace, say};
use super::{costs, explain};
use crate::stack::on_large_stack;

/// Completes a lock file without moving what is in it.
const LOCK: [&str; 3] = ["update", "--workspace", "--quiet"];
/// The number of builds after which plain cargo takes over.
const MAX_ROUNDS: usize = 8;

/// Runs the command with the variables of this process.
pub(crate) fn run(command: &Command, variables: &[(String, OsString)]) -> ExitCode {
    let (command, variables) = (command.clone(), variables.to_vec());
    on_large_stack(move || match Session::new(command, &variables).and_then(|session| session.prepared()) {
        Ok(code) | Err(code) => code,
    })
}

fn exit(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(CARGO_ERROR))
}

/// One run of the command.
struct Session {
    command: Command,
    cargo: Cargo,
    rustc: OsString,
    /// The user's folder.
    folder: PathBuf,
    /// The wrappers of rustc that the user has set.
    inner: Inner,
    /// The targets for which cargo builds; none for the host.
    targets: Vec<String>,
    /// True if the user may have set a program that runs programs.
    has_runner: bool,
    /// True if no variable configures telemetry.
    is_unconfigured: bool,
    /// What decides about compilation besides the sources, once it is asked for.
    state: OnceCell<u64>,
}

impl Session {
    fn new(command: Command, variables: &[(String, OsString)]) -> Result<Session, ExitCode> {
        let variable = |name: &str| variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        let folder = std::env::current_dir().map_err(|error| fail(&format!("the current folder: {error}")))?;
        let (places, options) = (Places { variables, folder: &folder }, command.options(&command.arguments));
        let (inner, targets) = (Inner::new(&places, options), places.targets(options));
        let has_runner = places.may_have_runner(options);
        Ok(Session {
            command,
            cargo: Cargo { program: variable("CARGO").unwrap_or_else(|| "cargo".into()) },
            rustc: variable("RUSTC").unwrap_or_else(|| "rustc".into()),
            folder,
            inner,
            targets,
            has_runner,
            is_unconfigured: !variables.iter().any(|(name, _)| name.starts_with("OTEL_")),
            state: OnceCell::new(),
        })
    }

    fn prepared(&self) -> Result<ExitCode, ExitCode> {
        let mut workspace = self.workspace()?;
        if let Some(target) = &self.command.target {
            workspace.target = self.folder.join(target);
        }
        let rules = rules(&workspace.root)?;
        let shadow = Shadow::new(&workspace.target);
        let of_shadow = |error: std::io::Error| fail(&format!("{}: {error}", shadow.folder.display()));
        let is_explain = self.command.verb == Verb::Explain;
        // Until the program runs, or this process ends.
        let _turn = match is_explain {
            true => None,
            false => Some(
                shadow.create().and_then(|()| Turn::wait(&shadow.folder, &mut std::io::stderr())).map_err(of_shadow)?,
            ),
        };
        let lock = fs::read_to_string(workspace.root.join("Cargo.lock")).unwrap_or_default();
        let mut parsed = Lock::parse(&lock);
        self.find_copies(&mut workspace, &shadow, &rules, &lock)?;
        let state = || *self.state.get_or_init(|| self.state(&workspace));
        let mut left_out = LeftOut::read(&shadow.folder, self.command.verb == Verb::Test, state);
        // Said once the program compiles: before, the mistake may be the user's.
        let mut notes = left_out.notes();
        if is_explain {
            let plan = Plan { rules: &rules, lock: &parsed, left_out: &left_out };
            let report = explain::report(&rewrites(&workspace, plan), &rules, &parsed);
            let notes: String = notes.iter().map(|note| format!("{note}\n")).collect();
            let costs = costs::report(&shadow.folder).unwrap_or_default();
            let _ = write!(std::io::stdout(), "{report}{notes}{costs}");
            return Ok(ExitCode::SUCCESS);
        }
        let mut is_resolved_again = false;
        for _ in 0..MAX_ROUNDS {
            let plan = Plan { rules: &rules, lock: &parsed, left_out: &left_out };
            let rewrites = rewrites(&workspace, plan);
            let documented = rewrites.documented();
            if self.command.compiles_documentation() && !documented.is_empty() {
                let names = documented.iter().cloned().collect::<Vec<_>>().join(", ");
                notes.push(format!(
                    "{names}: not instrumented in these tests, because examples in documentation use it"
                ));
                left_out.documented.extend(documented);
                continue;
            }
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
                Built::Ready(started) => {
                    left_out.write(&shadow.folder, &rewrites, state).map_err(of_shadow)?;
                    notes.extend(explain::notes(&rewrites, &rules));
                    notes.iter().for_each(|note| say(note));
                    return Ok(self.launch(&shadow, &workspace, started.as_ref()));
                }
                Built::Again => {}
                // A package outside of the workspace has other dependencies than before, Telemark's checkout for example.
                Built::Failed(failed) if failed.reason.contains("--locked") && !is_resolved_again => {
                    is_resolved_again = true;
                    fs::remove_file(shadow.resolved()).map_err(of_shadow)?;
                }
                // Everything that compiles says nothing about which program to run.
                Built::Failed(failed) if failed.concerns_the_command() => return Ok(self.run_plain()),
                Built::Failed(failed) => {
                    self.build_plain()?;
                    match leave_out_package(&failed, &workspace, &rewrites, &mut left_out) {
                        Some(note) => notes.push(note),
                        None => {
                            // Otherwise, the next run would find it out again.
                            left_out.write(&shadow.folder, &rewrites, state).map_err(of_shadow)?;
                            notes.iter().for_each(|note| say(note));
                            return Ok(self.go_without(&failed, &shadow, &workspace));
                        }
                    }
                }
            }
        }
        self.build_plain()?;
        let failed = Failed { reason: "too many builds were needed".to_owned(), ..Failed::default() };
        Ok(self.go_without(&failed, &shadow, &workspace))
    }

    /// Returns a number for everything besides the sources that decides about compilation.
    fn state(&self, workspace: &Workspace) -> u64 {
        let mut hasher = DefaultHasher::new();
        let manifests = workspace.packages.iter().map(|package| package.manifest.clone());
        let of_root = ["Cargo.toml", "Cargo.lock", "telemark.toml"].map(|name| workspace.root.join(name));
        for file in manifests.chain(of_root) {
            fs::read(file).ok().hash(&mut hasher);
        }
        let version = Process::new(&self.rustc).arg("-vV").current_dir(&self.folder).output();
        version.ok().map(|output| output.stdout).hash(&mut hasher);
        (env!("CARGO_PKG_VERSION"), &self.command.features).hash(&mut hasher);
        hasher.finish()
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
        let copies: Vec<_> =
            workspace.copies.iter().map(|copied| (shadow.copy(copied), copied.folder.clone())).collect();
        self.inner
            .install(&shadow.folder, (&shadow.source, &workspace.root), &copies)
            .map_err(|error| fail(&format!("{}: {error}", shadow.folder.display())))?;
        self.lock(shadow, lock, manifests)
    }

    /// Writes the lock file of the shadow: the user's, with the packages that Telemark adds.
    fn lock(&self, shadow: &Shadow, lock: &str, manifests: u64) -> Result<(), ExitCode> {
        let (path, known) = (shadow.source.join("Cargo.lock"), shadow.resolved());
        let state = format!("{manifests} {} {}\n", super::shadow::hash(lock), self.command.allows_updates);
        let profile = profile::path(&shadow.folder);
        if path.exists() && profile.exists() && fs::read_to_string(&known).is_ok_and(|known| known == state) {
            return Ok(());
        }
        let _ = fs::remove_file(&known);
        match lock.is_empty() {
            true => drop(fs::remove_file(&path)),
            false => put(&path, lock).map_err(|error| fail(&format!("{}: {error}", path.display())))?,
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
            say(&format!("Cargo.lock stays; the build has {} more packages", old.added(&new).len()));
        }
        moved
            .iter()
            .for_each(|moved| say(&format!("the build has {} {} in place of {}", moved.name, moved.to, moved.from)));
        put(&profile, &profile::config(&old, &new))
            .and_then(|()| put(&known, &state))
            .map_err(|error| fail(&format!("{}: {error}", shadow.folder.display())))
    }

    /// Returns cargo's command on the shadow.
    fn shadow_command(&self, verb: Verb, shadow: &Shadow, workspace: &Workspace, arguments: &[OsString]) -> Process {
        let inside = workspace.relative(&self.manifest()).unwrap_or(Path::new("Cargo.toml")).to_owned();
        let (options, program) = arguments.split_at(self.command.options(arguments).len());
        let mut cargo = self.cargo.command();
        cargo
            .arg(verb.name())
            .arg("--manifest-path")
            .arg(shadow.source.join(inside))
            .arg("--target-dir")
            .arg(&shadow.build)
            .args(self.command.is_offline.then_some("--offline"))
            .arg("--locked")
            .arg("--config")
            .arg(profile::path(&shadow.folder))
            .args(options);
        wrapper::configure(&mut cargo, &shadow.folder, !workspace.copies.is_empty());
        cargo.args(program);
        cargo
    }

    /// Returns the user's manifest, which cargo finds in the same way.
    fn manifest(&self) -> PathBuf {
        if let Some(manifest) = &self.command.manifest {
            return normalized(&self.folder.join(manifest));
        }
        let mut manifests = self.folder.ancestors().map(|folder| folder.join("Cargo.toml"));
        manifests.find(|manifest| manifest.is_file()).unwrap_or_default()
    }

    /// Runs the program or its tests. The turn ends once this process is the program, which no other run can replace before.
    fn launch(&self, shadow: &Shadow, workspace: &Workspace, started: Option<&Started>) -> ExitCode {
        if self.command.verb == Verb::Build && !self.command.has_message_format() {
            return ExitCode::SUCCESS;
        }
        if let Some(started) = started {
            let mut program = started.command((&shadow.source, &workspace.root));
            program.env(costs::VARIABLE, costs::begin(&shadow.folder));
            return replace(program);
        }
        let mut cargo = self.shadow_command(self.command.verb, shadow, workspace, &self.command.arguments);
        if self.command.verb == Verb::Test && self.is_unconfigured {
            // Programs that tests start have no receiver.
            cargo.envs(
                ["OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER"].map(|name| (name, "none")),
            );
        }
        if self.command.verb == Verb::Run {
            cargo.env(costs::VARIABLE, costs::begin(&shadow.folder));
        }
        replace(cargo)
    }

    /// Builds with plain cargo. If the program does not compile at all, the user sees nothing else.
    fn build_plain(&self) -> Result<(), ExitCode> {
        let mut build = self.cargo.command();
        let is_test = self.command.verb == Verb::Test;
        build.arg(if is_test { "test" } else { "build" }).args(is_test.then_some("--no-run"));
        match build.args(self.command.options(&self.command.plain)).status().map(|status| status.code()) {
            Ok(Some(0)) => Ok(()),
            Ok(code) => Err(code.map_or(ExitCode::from(CARGO_ERROR), exit)),
            Err(error) => Err(fail(&format!("cargo cannot be started: {error}"))),
        }
    }

    /// Lets plain cargo do what the user asked for.
    fn run_plain(&self) -> ExitCode {
        let mut cargo = self.cargo.command();
        cargo.arg(self.command.verb.name()).args(&self.command.plain);
        replace(cargo)
    }

    /// Says why the program, which plain cargo has built, goes without telemetry, and runs it.
    fn go_without(&self, failed: &Failed, shadow: &Shadow, workspace: &Workspace) -> ExitCode {
        if self.command.verb == Verb::Build {
            // Nobody shall take the program of an earlier build for this one.
            shadow.remove_programs(workspace);
            say(&format!("{}; plain cargo's program is in {}", failed.without(), workspace.target.display()));
            return ExitCode::SUCCESS;
        }
        say(&failed.without());
        self.run_plain()
    }
}

fn rules(root: &Path) -> Result<Rules, ExitCode> {
    Rules::read(root).map_err(|problems| {
        problems.iter().for_each(|problem| say(problem));
        ExitCode::from(1)
    })
}

fn fail(message: &str) -> ExitCode {
    say(message);
    ExitCode::from(1)
}
