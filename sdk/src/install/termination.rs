//! Shuts down when a program ends without dropping its guard: on SIGTERM, Ctrl-C or `exit`, or if the guard was leaked. Passes SIGHUP on
//! to the reload of the configuration.

use std::sync::atomic::{AtomicBool, Ordering};

use super::ending;
use super::handle::{TelemetryHandle, installed};
use crate::diag::{self, Level};
use crate::error::catch;
use crate::process::{self, Event, Signals, TerminationSignal};
use crate::runtime;

/// Shuts the installed telemetry down when the program ends, if the builder requested it and anything is recorded, and reads the
/// configuration file again on SIGHUP, if the builder requested that.
/// Never fails: if the operating system refuses, this function logs a warning, and the program behaves as it would
/// without the handler.
pub(super) fn watch(handle: &TelemetryHandle) {
    static IS_WATCHED: AtomicBool = AtomicBool::new(false);
    let awaits_end = handle.handles_termination && handle.is_recording();
    if !awaits_end && !handle.reloads_on_sighup || IS_WATCHED.swap(true, Ordering::AcqRel) {
        return;
    }
    if awaits_end && !process::at_exit(at_exit) {
        diag::log(Level::Warn, "exit", format_args!("cannot watch for the program's exit; keep the guard until then"));
    }
    let watching = Signals::open().and_then(|signals| {
        let handle = handle.clone();
        // Start the thread before installing the handler, which is useless without a listener.
        runtime::spawn("telemark-term", move || listen(signals, &handle)).map_err(std::io::Error::other)
    });
    let watching = watching.and_then(|()| if awaits_end { Signals::catch() } else { Ok(()) });
    let reloading = match &watching {
        Ok(()) if handle.reloads_on_sighup => Signals::catch_hangup(),
        _ => Ok(true),
    };
    match reloading {
        Ok(true) => {}
        Ok(false) => {
            let ignored = "SIGHUP is ignored, or a handler wants it only once, so it reads no configuration";
            diag::log(Level::Warn, "reload", format_args!("{ignored}"));
        }
        Err(error) => report(&error, "SIGHUP does not read the configuration again"),
    }
    if let Err(error) = watching {
        report(&error, "SIGTERM and Ctrl-C end the program without exporting what is left");
    }
}

fn report(error: &std::io::Error, lost: &str) {
    if error.kind() != std::io::ErrorKind::Unsupported {
        diag::log(Level::Warn, "termination", format_args!("cannot watch for signals, so {lost}: {error}"));
    }
}

/// Runs no application code except the message sink, and waits for nothing but the shutdown, so that every signal is
/// handled.
fn listen(mut signals: Signals, handle: &TelemetryHandle) {
    ending::mark_listener();
    while let Some(event) = signals.next() {
        // The message sink may panic.
        let _ = catch(|| match event {
            Event::Signal(signal) => respond(signal, handle),
            Event::Reload => match &handle.watch {
                Some(watch) => watch.wake(),
                None => {
                    diag::log(
                        Level::Warn,
                        "reload",
                        format_args!("SIGHUP: there is no configuration file to read again"),
                    );
                }
            },
            Event::End => ending::begin(handle),
        });
    }
}

/// Exports everything that is left, then ends the program unless the program has its own signal handler.
fn respond(signal: TerminationSignal, handle: &TelemetryHandle) {
    let name = signal.name();
    if signal.begin_end() {
        // End the program even after a panic.
        let _ = catch(|| {
            diag::log(Level::Debug, "termination", format_args!("{name}: exports what is left, then ends the program"));
            ending::begin(handle);
            ending::wait(handle);
        });
        signal.end_process();
    }
    diag::log(
        Level::Debug,
        "termination",
        format_args!("{name}: the program has a handler for it, so telemetry is only flushed"),
    );
    ending::flush_meanwhile(handle);
}

/// Runs on the exiting thread, after its thread-locals have been destroyed. Does nothing after an orderly shutdown.
extern "C" fn at_exit() {
    // A panic must not unwind into libc, and the message sink is user code.
    let _ = catch(|| {
        if let Some(handle) = installed::get() {
            if !handle.has_ended() || ending::is_under_way() {
                ending::end(handle);
            }
        }
    });
}
