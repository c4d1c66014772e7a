//! Stands in for `unix.rs` on systems without POSIX signals and `fork`. Watches nothing: on these systems, telemetry ends only
//! when the guard is dropped.

use std::io;

pub(super) fn watch_forks(_: extern "C" fn()) {}

pub(crate) fn at_exit(_: extern "C" fn()) -> bool {
    // True, so that nothing warns: the documentation states this limit.
    true
}

pub(crate) fn write_to_standard_error(_: &str) {}

pub(crate) fn leave_signals_to_the_host() {}

/// Stands in for the signals. Never exists: these systems have none.
#[derive(Debug)]
pub(crate) struct Signals(std::convert::Infallible);

impl Signals {
    pub(crate) fn open() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn catch() -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn next(&mut self) -> Option<TerminationSignal> {
        match self.0 {}
    }
}

/// Stands in for a signal; has no values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TerminationSignal(std::convert::Infallible);

impl TerminationSignal {
    pub(crate) fn name(self) -> &'static str {
        match self.0 {}
    }

    pub(crate) fn begin_end(self) -> bool {
        match self.0 {}
    }

    pub(crate) fn end_process(self) -> ! {
        match self.0 {}
    }
}
