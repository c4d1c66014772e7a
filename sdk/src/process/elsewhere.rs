//! Stands in for `unix.rs` on systems without POSIX signals and `fork`. Watches nothing: on these systems, telemetry ends only
//! when the guard is dropped.

use std::io;

pub(super) fn watch_forks(_: extern "C" fn()) {}

pub(crate) fn at_exit(_: extern "C" fn()) -> bool {
    // True, so that nothing warns: the documentation states this limit.
    true
}

/// Writes a line to standard error. Returns false if it cannot be written.
pub(crate) fn write_to_standard_error(line: &str) -> bool {
    // Not `eprintln!`, which panics if standard error is closed.
    io::Write::write_all(&mut io::stderr(), line.as_bytes()).is_ok()
}

pub(crate) fn with_signals_left_to_the_host<T>(spawn: impl FnOnce() -> T) -> T {
    spawn()
}

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

    pub(crate) fn ask_for_the_end() -> bool {
        false
    }

    pub(crate) fn next(&mut self) -> Option<Event> {
        match self.0 {}
    }
}

/// The events of `unix.rs`, which never come.
#[allow(dead_code, reason = "the interface of `unix.rs`")]
#[derive(Debug)]
pub(crate) enum Event {
    Signal(TerminationSignal),
    End,
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
