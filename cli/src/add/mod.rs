//! `cargo telemark add`: puts Telemark into the source of a workspace for good.
//!
//! | file | owns |
//! |---|---|
//! | `plan` | which files change, and what remains to do by hand |
//! | `edits` | changes of a text by ranges of bytes |
//! | `start` | the line that starts telemetry in `main` |
//! | `edges` | the layers around routers and gRPC servers |
//! | `spans` | the attributes on functions, and the context of tasks |
//! | `paths` | paths of reqwest and sqlx that lead to Telemark's types |
//! | `manifest` | the dependency in `Cargo.toml` |
//! | `diff` | the changes as a patch |
//! | `guard` | the state of the repository in which files may change |

mod diff;
mod edges;
mod edits;
mod guard;
mod manifest;
mod paths;
mod plan;
mod spans;
mod start;

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use self::plan::Plan;
use crate::source::program::{Program, Scope};
use crate::stack::on_large_stack;
use crate::zero::shadow::manifest::Telemark;
use crate::{complain, say, status};

/// A request to add Telemark to a workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) scope: Scope,
    /// Changes the files; otherwise, the changes are shown.
    pub(crate) applies: bool,
    pub(crate) allows_dirty: bool,
    pub(crate) allows_no_vcs: bool,
    /// A checkout of Telemark, in place of the crate on crates.io.
    pub(crate) telemark: Option<PathBuf>,
}

/// Shows or makes the changes. The status is 1 if they cannot be made.
pub(crate) fn run(request: Request, variables: Vec<(String, OsString)>) -> ExitCode {
    on_large_stack(move || match work(&request, &variables) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problems) => {
            problems.iter().for_each(|problem| complain(&format!("cargo telemark: {problem}")));
            status(true)
        }
    })
}

fn work(request: &Request, variables: &[(String, OsString)]) -> Result<(), Vec<String>> {
    let telemark = match &request.telemark {
        Some(path) => Telemark::Path(
            fs::canonicalize(path)
                .map_err(|error| vec![format!("--telemark-path={} cannot be used: {error}", path.display())])?,
        ),
        None => Telemark::Registry,
    };
    let program = Program::read(&request.scope, variables)?;
    let plan = Plan::new(&program, &telemark)?;
    if request.applies && !plan.changes.is_empty() {
        guard::check(&program.workspace.root, request).map_err(|problem| vec![problem])?;
    }
    for change in &plan.changes {
        if request.applies {
            fs::write(&change.path, &change.new).map_err(|error| vec![format!("{}: {error}", change.shown)])?;
            say(&format!("changed {}", change.shown));
        } else {
            say(diff::unified(&change.shown, &change.old, &change.new).trim_end_matches('\n'));
        }
    }
    // Beside the patch, which may go to a file.
    plan.notes.iter().for_each(|note| complain(&format!("note: {note}")));
    match (plan.changes.is_empty(), request.applies) {
        (true, _) => complain("nothing to add"),
        (false, true) => {
            complain("`cargo check` compiles the result, and `cargo telemark audit` shows what is left to do by hand")
        }
        (false, false) => complain("nothing is changed yet: --apply changes these files"),
    }
    Ok(())
}
