//! The wrapper of rustc, which lets file names in programs and messages be the user's, and the way in which processes are replaced.

pub(super) mod configured;
pub(super) mod runner;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command as Process, ExitCode};

use self::configured::Places;
use super::shadow::{link, put};

/// The name by which cargo calls this program as a wrapper of rustc for the packages of the workspace.
const OF_WORKSPACE: &str = "telemark-rustc";
/// The name by which cargo calls it for all packages, among them the copies of dependencies.
const OF_ALL: &str = "telemark-rustc-all";
/// The exit status of cargo after an error.
pub(crate) const CARGO_ERROR: u8 = 101;

/// A folder whose files programs and messages know by their path in another folder.
pub(crate) type Moved<'a> = (&'a Path, &'a Path);

/// The wrappers of rustc that the user has set, which run below those of this command.
#[derive(Debug)]
pub(crate) struct Inner {
    of_workspace: Option<OsString>,
    of_all: Option<OsString>,
}

impl Inner {
    pub(crate) fn new(places: &Places<'_>, options: &[OsString]) -> Inner {
        let [of_workspace, of_all] =
            [configured::OF_WORKSPACE, configured::OF_ALL].map(|kind| places.wrapper(kind, options));
        Inner { of_workspace, of_all }
    }

    /// Writes the wrappers and the runner into the folder of a shadow: links to this program, and the settings of the wrappers.
    pub(crate) fn install(&self, folder: &Path, workspace: Moved<'_>, copies: &[(PathBuf, PathBuf)]) -> io::Result<()> {
        let this = std::env::current_exe()?;
        let copies: Vec<_> = copies.iter().map(|(copy, original)| (copy.as_path(), original.as_path())).collect();
        link(&this, &runner::path(folder))?;
        for (name, inner, moved) in
            [(OF_WORKSPACE, &self.of_workspace, &[workspace][..]), (OF_ALL, &self.of_all, &copies)]
        {
            let wrapper = folder.join(name);
            let mut settings = inner.as_deref().map(OsStr::to_string_lossy).unwrap_or_default().into_owned();
            settings.push('\n');
            settings.extend(moved.iter().map(|(from, to)| format!("{}={}\n", from.display(), to.display())));
            link(&this, &wrapper)?;
            put(&wrapper.with_extension("settings"), &settings)?;
        }
        Ok(())
    }
}

/// Lets cargo call the wrappers in the folder of a shadow. That for all packages is of use only if dependencies have copies.
pub(crate) fn configure(cargo: &mut Process, folder: &Path, has_copies: bool) {
    let wrapper = |name: &str| toml(&folder.join(name));
    // The variables come before the configuration, of which the last one counts.
    cargo.env_remove(configured::OF_WORKSPACE.variable);
    cargo.arg("--config").arg(format!("build.rustc-workspace-wrapper={}", wrapper(OF_WORKSPACE)));
    if has_copies {
        cargo.env_remove(configured::OF_ALL.variable);
        cargo.arg("--config").arg(format!("build.rustc-wrapper={}", wrapper(OF_ALL)));
    }
}

/// Returns a path as a value of TOML.
fn toml(path: &Path) -> String {
    toml_edit::Value::from(path.to_string_lossy().as_ref()).to_string()
}

/// Returns the status of rustc if cargo has called this program as its wrapper, or that of the runner.
pub(crate) fn run() -> Option<ExitCode> {
    let mut arguments = std::env::args_os();
    let this = PathBuf::from(arguments.next()?);
    let is_of_all = match this.file_name()? {
        name if name == OF_WORKSPACE => false,
        name if name == OF_ALL => true,
        name if name == runner::RUNNER => return Some(runner::tell(arguments)),
        _ => return None,
    };
    let settings = fs::read_to_string(this.with_extension("settings")).unwrap_or_default();
    let mut settings = settings.lines();
    let inner = settings.next().filter(|inner| !inner.is_empty()).map(OsString::from);
    let program = inner.or_else(|| arguments.next())?;
    let arguments: Vec<_> = arguments.collect();
    // Cargo names the files of a copy by their full paths.
    let is_in = |folder: &str| arguments.iter().any(|argument| Path::new(argument).starts_with(folder));
    let concerns = |moved: &&str| !is_of_all || moved.split_once('=').is_some_and(|(from, _)| is_in(from));
    let remaps = settings.filter(concerns).map(|moved| format!("--remap-path-prefix={moved}"));
    let mut rustc = Process::new(program);
    rustc.args(&arguments).args(remaps);
    Some(replace(rustc))
}

/// Runs a command in place of this process, so that signals reach it.
pub(crate) fn replace(mut command: Process) -> ExitCode {
    #[cfg(unix)]
    let error = std::os::unix::process::CommandExt::exec(&mut command);
    #[cfg(not(unix))]
    let error = match command.status() {
        Ok(status) => {
            return status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from);
        }
        Err(error) => error,
    };
    say(&format!("{}: {error}", command.get_program().to_string_lossy()));
    ExitCode::from(CARGO_ERROR)
}

/// Writes a message of this command.
pub(crate) fn say(message: &str) {
    let _ = writeln!(std::io::stderr(), "cargo telemark: {message}");
}
