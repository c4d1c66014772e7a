//! The end of a program whose guard is not dropped: on SIGTERM and Ctrl-C, on `exit`, and when the guard was leaked.

use std::sync::atomic::{AtomicBool, Ordering};

use super::handle::{TelemetryHandle, installed};
use crate::diag::{self, Level};
use crate::error::catch;
use crate::process::{self, Signals, TerminationSignal};
use crate::runtime::{self, apart};

/// Lets the installed telemetry end with the program, if the builder asked for it and anything is recorded. Never fails: if
/// the system refuses, the program works as without the handler, and a warning says so.
pub(super) fn watch(handle: &TelemetryHandle) {
    static IS_WATCHED: AtomicBool = AtomicBool::new(false);
    if !handle.handles_termination || !handle.is_recording() || IS_WATCHED.swap(true, Ordering::AcqRel) {
        return;
    }
    if !process::at_exit(at_exit) {
        diag::log(Level::Warn, "exit", format_args!("cannot watch for the program's exit; keep the guard until then"));
    }
    let watching = Signals::open().and_then(|signals| {
        let handle = handle.clone();
        // The thread comes before the handler, which is useless without a listener.
        runtime::spawn("telemark-term", move || listen(signals, &handle)).map_err(std::io::Error::other)?;
        Signals::catch()
    });
    if let Err(error) = watching {
        if error.kind() != std::io::ErrorKind::Unsupported {
            let lost = "SIGTERM and Ctrl-C end the program without exporting what is left";
            diag::log(Level::Warn, "termination", format_args!("cannot watch for signals, so {lost}: {error}"));
        }
    }
}

fn listen(mut signals: Signals, handle: &TelemetryHandle) {
    while let Some(signal) = signals.next() {
        // Panics of exporters are caught around their calls. This guard is for everything else: the thread must outlive it.
        let caught = catch(|| apart(|| respond(signal, handle)));
        if caught.is_err() {
            diag::log(Level::Error, "termination", format_args!("the export on {} panicked", signal.name()));
        }
    }
}

/// Exports what is left, and ends the program unless the program has a handler of its own.
fn respond(signal: TerminationSignal, handle: &TelemetryHandle) {
    let name = signal.name();
    if signal.begin_end() {
        diag::log(Level::Debug, "termination", format_args!("{name}: exports what is left, then ends the program"));
        // Even after a panic, the program ends.
        let _ = catch(|| handle.end());
        signal.end_process();
    }
    diag::log(Level::Debug, "termination", format_args!("{name}: the program handles it itself; flushes meanwhile"));
    // The processors count and report losses; the guard or the exit exports what is recorded until then.
    let _ = handle.flush(handle.flush_timeout);
}

/// Runs on the thread that exits, after its thread-locals were destroyed. Does nothing after an orderly end.
extern "C" fn at_exit() {
    // A panic must not cross into libc, and the sink of messages is the user's code.
    let _ = catch(|| {
        if let Some(handle) = installed::get() {
            if !handle.has_ended() {
                handle.end();
            }
        }
    });
}
