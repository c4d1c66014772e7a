//! Replaces `unix.rs` on systems without POSIX signals and `fork`. It watches nothing, so on these systems telemetry
//! ends only when the guard is dropped.

use std::io;

pub(super) fn watch_forks(_: extern "C" fn()) {}

pub(crate) fn at_exit(_: extern "C" fn()) -> bool {
    // Returns true to avoid a warning, because the documentation states this limitation.
    true
}

/// Kills a group of processes, of which these systems have none.
pub fn kill_group(_: u32) {}

/// Writes a line to standard error. Returns false if it cannot be written.
pub(crate) fn write_to_standard_error(line: &str) -> bool {
    // `eprintln!` is not used, because it panics if standard error is closed.
    io::Write::write_all(&mut io::stderr(), line.as_bytes()).is_ok()
}

pub(crate) fn with_signals_left_to_the_host<T>(spawn: impl FnOnce() -> T) -> T {
    spawn()
}

/// Placeholder for the signals. Cannot be constructed, because these systems have none.
#[derive(Debug)]
pub(crate) struct Signals(std::convert::Infallible);

impl Signals {
    pub(crate) fn open() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn catch() -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn catch_hangup() -> io::Result<bool> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn ask_for_the_end() -> bool {
        false
    }

    pub(crate) fn next(&mut self) -> Option<Event> {
        match self.0 {}
    }
}

/// Mirrors the events of `unix.rs`, which never occur here.
#[allow(dead_code, reason = "the interface of `unix.rs`")]
#[derive(Debug)]
pub(crate) enum Event {
    Signal(TerminationSignal),
    Reload,
    End,
}

/// Placeholder for a signal. Cannot be constructed.
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
