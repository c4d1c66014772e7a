//! Shuts down the installed telemetry on an SDK thread. The host waits for the shutdown, but no longer than the flush
//! timeout, even if a processor hangs or the waiting thread itself holds a lock, which can happen when a signal
//! handler calls `exit`.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::handle::TelemetryHandle;
use crate::diag::{self, Level};
use crate::error::catch;
use crate::process::Signals;
use crate::runtime::{self, apart, runs_a_task};
use crate::time::Deadline;

/// Extra time, after the flush timeout, for the thread to start and to report losses.
const GRACE: Duration = Duration::from_millis(500);

static HAS_BEGUN: AtomicBool = AtomicBool::new(false);
static IS_OVER: AtomicBool = AtomicBool::new(false);
/// Set once a caller's wait has timed out, so that the next caller does not wait again.
static IS_ABANDONED: AtomicBool = AtomicBool::new(false);

/// Shuts the telemetry down and waits on the calling thread until that is done. If the `telemark-term` thread is
/// listening, that thread starts the work. In this case, the function takes no lock and allocates no memory, because
/// the host may call `exit` in a signal handler.
pub(super) fn end(handle: &TelemetryHandle) {
    // An SDK thread cannot wait for itself.
    if handle.home.is_past() || runs_a_task() || ENDS.get() || !Signals::ask_for_the_end() {
        return handle.end();
    }
    wait(handle);
}

/// Returns true while the shutdown is in progress, until it finishes or is abandoned.
pub(super) fn is_under_way() -> bool {
    HAS_BEGUN.load(Ordering::Acquire) && !IS_OVER.load(Ordering::Acquire) && !IS_ABANDONED.load(Ordering::Acquire)
}

/// Starts the shutdown, once, on a dedicated thread. If that thread cannot be started, shuts down on the current one.
pub(super) fn begin(handle: &TelemetryHandle) {
    if HAS_BEGUN.swap(true, Ordering::AcqRel) {
        return;
    }
    let work = |handle: TelemetryHandle| {
        ENDS.set(true);
        // Exporter panics are caught at the call. Any other panic also counts as the end of the shutdown.
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

/// Waits until the shutdown has finished, but no longer than the flush timeout. Polls instead of locking, because this may
/// run in a signal handler that interrupted code holding a lock.
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
    /// True on the threads that perform the shutdown.
    static ENDS: Cell<bool> = const { Cell::new(false) };
}

/// Marks the current thread as the thread that listens for the shutdown request.
pub(super) fn mark_listener() {
    ENDS.set(true);
}

/// Flushes on a separate thread while the host handles a signal. Requests that arrive during a flush share one further flush.
pub(super) fn flush_meanwhile(handle: &TelemetryHandle) {
    static WANTED: AtomicU64 = AtomicU64::new(0);
    if WANTED.fetch_add(1, Ordering::AcqRel) > 0 {
        return;
    }
    let flushing = handle.clone();
    let work = move || {
        let mut wanted = WANTED.load(Ordering::Acquire);
        while wanted > 0 {
            // Processors count and report losses. Later items are exported when the guard is dropped or the program exits.
            let flush = || apart(|| flushing.force_flush(Deadline::after(flushing.flush_timeout)));
            if catch(flush).is_err() {
                diag::log(Level::Error, "termination", format_args!("the flush on a signal panicked"));
            }
            let done = WANTED.compare_exchange(wanted, 0, Ordering::AcqRel, Ordering::Acquire);
            wanted = done.err().unwrap_or(0);
        }
    };
    if let Err(error) = runtime::spawn("telemark-flush", work) {
        // Do not flush on this thread: it would delay a signal that ends the program. The guard or the exit exports
        // everything.
        WANTED.store(0, Ordering::Release);
        diag::log(Level::Debug, "termination", format_args!("no flush on the signal: {error}"));
    }
}
