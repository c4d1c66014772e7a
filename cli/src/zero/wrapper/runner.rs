//! The runner of programs: tells what cargo would start, so that one start of cargo builds the program and `cargo telemark run` becomes it.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command as Process, ExitCode};

use serde_json::{Value, json};

use super::{Moved, toml};

/// The name by which cargo calls this program as a runner.
pub(super) const RUNNER: &str = "telemark-runner";
/// The variables with the folder and the manifest of a program's package.
const PACKAGE: &str = "CARGO_MANIFEST_DIR";
const MANIFEST: &str = "CARGO_MANIFEST_PATH";
/// The reason of the message among those of cargo.
const REASON: &str = "telemark-run";

/// A program, as cargo would start it in the user's folder.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Started {
    /// The program and its arguments.
    arguments: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
}

/// Returns the runner in the folder of a shadow.
pub(crate) fn path(folder: &Path) -> PathBuf {
    folder.join(RUNNER)
}

/// Returns the configuration of cargo with the runner, for every target. A user's runner for one target would come before it.
pub(crate) fn config(folder: &Path) -> String {
    format!("target.'cfg(all())'.runner=[{}]", toml(&path(folder)))
}

/// Writes what cargo wants to run among its messages on standard output. Nothing is written to a file, because variables have secrets.
#[allow(clippy::disallowed_methods, reason = "all variables of the process, as cargo has set them for the program")]
pub(super) fn tell(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let message = Started { arguments: arguments.collect(), variables: std::env::vars_os().collect() }.message();
    match writeln!(io::stdout(), "{message}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

impl Started {
    fn message(&self) -> Value {
        let arguments: Vec<_> = self.arguments.iter().map(|argument| bytes(argument)).collect();
        let variables: Vec<_> = self.variables.iter().map(|(name, value)| [bytes(name), bytes(value)]).collect();
        json!({"reason": REASON, "arguments": arguments, "variables": variables})
    }

    /// Reads a message of cargo; `None` if it is another one.
    pub(crate) fn read(message: &Value) -> Option<Started> {
        if message["reason"] != REASON {
            return None;
        }
        let list = |value: &Value| value.as_array().map(|list| list.iter().map(text).collect::<Option<Vec<_>>>());
        let arguments = list(&message["arguments"])??;
        let pair = |value: &Value| <[OsString; 2]>::try_from(list(value)??).ok().map(|[name, value]| (name, value));
        let variables = message["variables"].as_array()?.iter().map(pair).collect::<Option<_>>()?;
        Some(Started { arguments, variables }).filter(|started| !started.arguments.is_empty())
    }

    /// Returns the command that starts the program, which finds its package in the user's workspace.
    pub(crate) fn command(&self, (shadow, workspace): Moved<'_>) -> Process {
        let (program, arguments) = self
            .arguments
            .split_first()
            .map_or((OsStr::new(""), &[][..]), |(program, rest)| (program.as_os_str(), rest));
        let mut command = Process::new(program);
        command.args(arguments).env_clear();
        for (name, value) in &self.variables {
            let of_package = [PACKAGE, MANIFEST].iter().any(|known| name == known);
            match Path::new(value).strip_prefix(shadow) {
                // Without the separator that `join` would add.
                Ok(inside) if of_package => {
                    command.env(name, workspace.components().chain(inside.components()).collect::<PathBuf>())
                }
                _ => command.env(name, value),
            };
        }
        command
    }
}

/// Names and values may be no UTF-8.
#[cfg(unix)]
fn bytes(text: &OsStr) -> &[u8] {
    std::os::unix::ffi::OsStrExt::as_bytes(text)
}

#[cfg(unix)]
fn text(bytes: &Value) -> Option<OsString> {
    let bytes = bytes.as_array()?.iter().map(|byte| u8::try_from(byte.as_u64()?).ok());
    Some(std::os::unix::ffi::OsStringExt::from_vec(bytes.collect::<Option<_>>()?))
}

/// The commands support Unix only.
#[cfg(not(unix))]
fn bytes(text: &OsStr) -> &[u8] {
    text.as_encoded_bytes()
}

#[cfg(not(unix))]
fn text(_: &Value) -> Option<OsString> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    #[test]
    fn a_program_is_told_with_all_its_bytes() {
        let odd = OsString::from_vec(vec![b'a', 0xff, b'\n', b'"']);
        let started = Started {
            arguments: vec!["target/debug/shop".into(), odd.clone(), "".into()],
            variables: vec![("PATH".into(), odd.clone()), (odd, "é".into())],
        };
        let message = started.message();
        assert!(!message.to_string().contains('\n'), "a message is a line");
        assert_eq!(Started::read(&message), Some(started));
        for other in [json!({"reason": "build-finished"}), json!({"reason": REASON, "arguments": [], "variables": []})]
        {
            assert_eq!(Started::read(&other), None);
        }
    }
}
