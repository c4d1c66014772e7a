//! The source of a workspace as facts: its functions, the routers of its services, and calls that concern telemetry. `add` and `audit`
//! decide by them.
//!
//! | file | owns |
//! |---|---|
//! | `program` | finds the files that belong to the workspace's authors, and reads them |
//! | `facts` | the facts: functions, calls, handlers |
//! | `walk` | collects them from a syntax tree |
//! | `calls` | which calls are facts |
//! | `routed` | expressions that lead to a router, as values of their own |
//! | `libraries` | the libraries that Telemark instruments, with their versions |
//! | `coverage` | which handlers are below a layer |

mod calls;
pub(crate) mod coverage;
pub(crate) mod facts;
pub(crate) mod libraries;
pub(crate) mod program;
pub(crate) mod routed;
mod walk;

use std::process::ExitCode;

/// The stack for syntax trees, whose depth is that of the source.
const STACK: usize = 512 << 20;
/// The exit status of a command that cannot do its work.
const FAILED: u8 = 1;

/// Runs work on a stack that is large enough for syntax trees.
#[allow(clippy::disallowed_methods, reason = "a thread of a command, for its stack")]
pub(crate) fn on_large_stack(work: impl FnOnce() -> ExitCode + Send + 'static) -> ExitCode {
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(work);
    match thread.map(std::thread::JoinHandle::join) {
        Ok(Ok(code)) => code,
        _ => ExitCode::from(FAILED),
    }
}
