//! The end of a program whose guard is not dropped: on SIGTERM and Ctrl-C, on `exit`, and when the guard was leaked.

use std::sync::atomic::{AtomicBool, Ordering};

use super::ending;
use super::handle::{TelemetryHandle, installed};
use crate::diag::{self, Level};
use crate::error::catch;
use crate::process::{self, Event, Signals, TerminationSignal};
use crate::runtime;

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

/// Runs no code of the program's but its sink of messages, and waits only for the end, so that every signal is acted on.
fn listen(mut signals: Signals, handle: &TelemetryHandle) {
    ending::mark_listener();
    while let Some(event) = signals.next() {
        // The sink of messages may panic.
        let _ = catch(|| match event {
            Event::Signal(signal) => respond(signal, handle),
            Event::End => ending::begin(handle),
        });
    }
}

/// Exports what is left, and ends the program unless the program has a handler of its own.
fn respond(signal: TerminationSignal, handle: &TelemetryHandle) {
    let name = signal.name();
    if signal.begin_end() {
        // Even after a panic, the program ends.
        let _ = catch(|| {
            diag::log(Level::Debug, "termination", format_args!("{name}: exports what is left, then ends the program"));
            ending::begin(handle);
            ending::wait(handle);
        });
        signal.end_process();
    }
    diag::log(Level::Debug, "termination", format_args!("{name}: the program handles it itself; flushes meanwhile"));
    ending::flush_meanwhile(handle);
}

/// Runs on the thread that exits, after its thread-locals were destroyed. Does nothing after an orderly end.
extern "C" fn at_exit() {
    // A panic must not cross into libc, and the sink of messages is the user's code.
    let _ = catch(|| {
        if let Some(handle) = installed::get() {
            if !handle.has_ended() || ending::is_under_way() {
                ending::end(handle);
            }
        }
    });
}
