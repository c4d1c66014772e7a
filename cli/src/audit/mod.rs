//! `cargo telemark audit`: finds where telemetry is missing in a workspace, from its source alone.
//!
//! | file | owns |
//! |---|---|
//! | `checks` | what is a finding, and what to do about it |
//! | `allowed` | the comments that allow what a check finds |
//! | `report` | the findings, as text and as JSON |

mod allowed;
mod checks;
mod report;

use std::ffi::OsString;
use std::process::ExitCode;

pub(crate) use self::checks::CHECKS;
use self::report::Report;
use crate::source::program::{Program, Scope};
use crate::stack::on_large_stack;
use crate::{complain, say, say_json, status};

/// A request to audit a workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) scope: Scope,
    /// The share of entry points that must have a span, in percent.
    pub(crate) min_coverage: Option<u8>,
    pub(crate) is_json: bool,
}

/// Audits a workspace. The status is 1 if there is a finding, or if the share of covered entry points is too small.
pub(crate) fn run(request: Request, variables: Vec<(String, OsString)>) -> ExitCode {
    on_large_stack(move || match Program::read(&request.scope, &variables) {
        Ok(program) => {
            let report = Report::new(&program, request.min_coverage);
            if request.is_json {
                say_json(&report.to_json())
            } else {
                say(&report.to_string())
            };
            status(!report.is_ok())
        }
        Err(problems) => {
            problems.iter().for_each(|problem| complain(&format!("cargo telemark: {problem}")));
            status(true)
        }
    })
}
