//! The wrapper of rustc, which lets file names in programs and messages be the user's, and the way in which processes are replaced.

pub(super) mod configured;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command as Process, ExitCode};

use super::shadow::{link, put};

/// The name by which cargo calls this program as a wrapper of rustc.
const WRAPPER: &str = "telemark-rustc";
/// The exit status of cargo after an error.
pub(crate) const CARGO_ERROR: u8 = 101;

/// Returns the wrapper in the folder of a shadow.
pub(crate) fn path(folder: &Path) -> PathBuf {
    folder.join(WRAPPER)
}

/// Writes the wrapper: a link to this program, and its settings. It calls `inner`, the wrapper that the user has set.
pub(crate) fn install(folder: &Path, source: &Path, root: &Path, inner: Option<&OsStr>) -> io::Result<()> {
    let wrapper = path(folder);
    let inner = inner.map(OsStr::to_string_lossy).unwrap_or_default();
    link(&std::env::current_exe()?, &wrapper)?;
    put(&wrapper.with_extension("settings"), &format!("{}={}\n{inner}\n", source.display(), root.display()))
}

/// Returns the status of rustc if cargo has called this program as its wrapper.
pub(crate) fn run() -> Option<ExitCode> {
    let mut arguments = std::env::args_os();
    let this = PathBuf::from(arguments.next()?);
    if this.file_name()? != WRAPPER {
        return None;
    }
    let settings = fs::read_to_string(this.with_extension("settings")).unwrap_or_default();
    let mut settings = settings.lines();
    let remap = settings.next().map(|remap| format!("--remap-path-prefix={remap}"));
    let inner = settings.next().filter(|inner| !inner.is_empty()).map(OsString::from);
    let program = inner.or_else(|| arguments.next())?;
    let mut rustc = Process::new(program);
    rustc.args(arguments).args(remap);
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
