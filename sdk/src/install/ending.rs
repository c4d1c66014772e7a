//! The end of the installed telemetry on a thread of the SDK. The host waits for it, but no longer than the flush timeout: not for
//! a processor that hangs, and not for a lock that the thread holds that waits, when `exit` is called in a signal handler.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::handle::TelemetryHandle;
use crate::diag::{self, Level};
use crate::error::catch;
use crate::process::Signals;
use crate::runtime::{self, apart, runs_a_task};
use crate::time::Deadline;

/// The time after the flush timeout that the thread has to start and to report what is lost.
const GRACE: Duration = Duration::from_millis(500);

static HAS_BEGUN: AtomicBool = AtomicBool::new(false);
static IS_OVER: AtomicBool = AtomicBool::new(false);
/// A caller has waited in vain: the next one does not wait again.
static IS_ABANDONED: AtomicBool = AtomicBool::new(false);

/// Ends the telemetry and waits for it, on the thread of the host. Takes no lock and no memory while `telemark-term` listens,
/// which does the rest, as the host may call `exit` in a signal handler.
pub(super) fn end(handle: &TelemetryHandle) {
    // A thread of the SDK cannot wait for itself.
    if handle.home.is_past() || runs_a_task() || ENDS.get() || !Signals::ask_for_the_end() {
        return handle.end();
    }
    wait(handle);
}

/// Returns true from the beginning of the end until it is over or given up.
pub(super) fn is_under_way() -> bool {
    HAS_BEGUN.load(Ordering::Acquire) && !IS_OVER.load(Ordering::Acquire) && !IS_ABANDONED.load(Ordering::Acquire)
}

/// Begins the end on a thread of its own, once. Without such a thread, ends the telemetry here.
pub(super) fn begin(handle: &TelemetryHandle) {
    if HAS_BEGUN.swap(true, Ordering::AcqRel) {
        return;
    }
    let work = |handle: TelemetryHandle| {
        ENDS.set(true);
        // The exporters' panics are caught where they are called. Whatever happens, the end is over.
        if catch(|| apart(|| handle.end())).is_err() {
            diag::log(Level::Error, "shutdown", format_args!("the end of the telemetry panicked"));
        }
        IS_OVER.store(true, Ordering::Release);
    };
    let ending = handle.clone();
    if runtime::spawn("telemark-end", move || work(ending)).is_err() {
        work(handle.clone());
    }
}

/// Waits until the end is over, no longer than the flush timeout. Polls: a lock may be held by the code that the signal
/// handler interrupted in which this runs.
pub(super) fn wait(handle: &TelemetryHandle) {
    const LONGEST_PAUSE: Duration = Duration::from_millis(2);
    let deadline = Deadline::after(handle.flush_timeout.saturating_add(GRACE));
    let mut pause = Duration::from_micros(50);
    while !IS_OVER.load(Ordering::Acquire) && !IS_ABANDONED.load(Ordering::Acquire) {
        if deadline.has_passed() {
            if !IS_ABANDONED.swap(true, Ordering::AcqRel) {
                diag::end_is_abandoned();
            }
            return;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

thread_local! {
    /// Set on the threads that end the telemetry.
    static ENDS: Cell<bool> = const { Cell::new(false) };
}

/// Marks the thread that listens for the end.
pub(super) fn mark_listener() {
    ENDS.set(true);
}

/// Exports what has ended, on a thread of its own, while the host handles a signal. Requests that come meanwhile are served by one
/// more flush.
pub(super) fn flush_meanwhile(handle: &TelemetryHandle) {
    static WANTED: AtomicU64 = AtomicU64::new(0);
    if WANTED.fetch_add(1, Ordering::AcqRel) > 0 {
        return;
    }
    let flushing = handle.clone();
    let work = move || {
        let mut wanted = WANTED.load(Ordering::Acquire);
        while wanted > 0 {
            // Losses are counted and reported by the processors; the guard or the exit exports what is recorded until then.
            let flush = || apart(|| flushing.force_flush(Deadline::after(flushing.flush_timeout)));
            if catch(flush).is_err() {
                diag::log(Level::Error, "termination", format_args!("the flush on a signal panicked"));
            }
            let done = WANTED.compare_exchange(wanted, 0, Ordering::AcqRel, Ordering::Acquire);
            wanted = done.err().unwrap_or(0);
        }
    };
    if let Err(error) = runtime::spawn("telemark-flush", work) {
        // Not here, where it would delay a signal that ends the program; the guard or the exit exports everything.
        WANTED.store(0, Ordering::Release);
        diag::log(Level::Debug, "termination", format_args!("no flush on the signal: {error}"));
    }
}
