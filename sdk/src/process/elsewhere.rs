//! The interface of `unix.rs` on systems without POSIX signals and forks. Watches nothing: there, only dropping the guard ends
//! the telemetry.

use std::io;

pub(super) fn watch_forks(_: extern "C" fn()) {}

pub(crate) fn at_exit(_: extern "C" fn()) -> bool {
    // There is nothing to warn of: the documentation says so.
    true
}

pub(crate) fn write_to_standard_error(_: &str) {}

pub(crate) fn leave_signals_to_the_host() {}

/// No signals.
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

/// No signal.
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
