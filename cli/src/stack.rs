//! The stack for syntax trees, whose depth is that of the source.

use std::process::ExitCode;

const SIZE: usize = 512 << 20;
/// The exit status of a program that panics, and that of cargo after an error.
const PANICKED: u8 = 101;

/// Runs work on a stack that is large enough for syntax trees.
#[allow(clippy::disallowed_methods, reason = "a thread of a command, for its stack")]
pub(crate) fn on_large_stack(work: impl FnOnce() -> ExitCode + Send + 'static) -> ExitCode {
    let thread = std::thread::Builder::new().stack_size(SIZE).spawn(work);
    match thread.map(std::thread::JoinHandle::join) {
        Ok(Ok(code)) => code,
        _ => ExitCode::from(PANICKED),
    }
}
