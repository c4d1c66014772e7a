//! The SDK's own work, which must not create telemetry: on SDK threads, and briefly on the application's threads.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::Context;

use crate::context;
use crate::error::catch;

/// Returns true while this thread runs the SDK's own work, which must not create telemetry.
///
/// The suppression flag of the current context is not sufficient. For example, h2 creates `tracing` spans without a parent,
/// which tracing-opentelemetry starts in an empty context, so each export would trigger the next.
#[inline]
pub(crate) fn is_background() -> bool {
    BACKGROUND.get()
}

thread_local! {
    static BACKGROUND: Cell<bool> = const { Cell::new(false) };
}

/// Returns true once shutdown has been requested for the task running on this thread. An exporter can check this during retry
/// backoff and stop retrying if it has never reached the receiver.
///
/// Returns false on a thread that is not running a task.
pub fn is_ending() -> bool {
    let of_task = |end: &RefCell<Option<Arc<AtomicBool>>>| {
        end.borrow().as_ref().is_some_and(|ending| ending.load(Ordering::Relaxed))
    };
    END.try_with(of_task).unwrap_or(false)
}

thread_local! {
    /// Holds the shutdown flag of the task running on this thread.
    static END: RefCell<Option<Arc<AtomicBool>>> = const { RefCell::new(None) };
}

/// Runs the work of a task that can be shut down by setting `ending`.
pub(super) fn with_end<T>(ending: &Arc<AtomicBool>, work: impl FnOnce() -> T) -> T {
    // At program exit, the thread-local may already be destroyed, in which case the task is not notified of the
    // shutdown.
    let replace = |end| END.try_with(|current| current.replace(end)).ok().flatten();
    let before = (replace(Some(ending.clone())), TASK.replace(Arc::as_ptr(ending).addr()));
    let result = work();
    replace(before.0);
    TASK.set(before.1);
    result
}

/// Returns true on the thread that runs the task with this `ending` flag, even if its thread-locals are being
/// destroyed.
pub(super) fn is_task(ending: &Arc<AtomicBool>) -> bool {
    TASK.get() == Arc::as_ptr(ending).addr()
}

/// Returns true on a thread that runs a task, even if its thread-locals are being destroyed.
pub(crate) fn runs_a_task() -> bool {
    TASK.get() != 0
}

thread_local! {
    /// Identifies the task running on this thread. Has no destructor, unlike `END`, because an exporter may call `exit`.
    static TASK: Cell<usize> = const { Cell::new(0) };
}

/// Marks the thread as a background thread until this value is dropped.
struct Background {
    before: bool,
}

impl Background {
    fn enter() -> Self {
        Background { before: BACKGROUND.replace(true) }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        BACKGROUND.set(self.before);
    }
}

/// Runs the SDK's own work on one of the application's threads, without the caller's span and baggage, and with
/// telemetry suppressed.
pub(crate) fn apart<T>(work: impl FnOnce() -> T) -> T {
    let _background = Background::enter();
    let _context = context::attach(Context::new().with_telemetry_suppressed());
    work()
}

/// Runs one step of a task with telemetry suppressed. Catches and logs any panic.
pub(super) fn guarded<T>(step: impl FnOnce() -> T) -> Option<T> {
    let _suppressed = context::look(Context::with_telemetry_suppressed).and_then(context::attach);
    let _background = Background::enter();
    let result = catch(step);
    if result.is_err() {
        crate::__warn!("runtime.panic", "the background work panicked; it continues with the next batch");
    }
    result.ok()
}
