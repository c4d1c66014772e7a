//! The SDK's own work, of which no telemetry is made: on its threads, and for a moment on somebody else's.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::Context;

/// Whether the SDK's own work runs on this thread now, of which no telemetry is made.
///
/// That the current context says so is not enough: h2 for one has spans of `tracing` without a parent, for which
/// tracing-opentelemetry starts from an empty context, and each export would cause the next.
#[inline]
pub(crate) fn is_background() -> bool {
    BACKGROUND.get()
}

thread_local! {
    static BACKGROUND: Cell<bool> = const { Cell::new(false) };
}

/// Whether the task that runs on this thread has been asked to end: somebody waits for it, the end of a program as a rule.
/// An exporter that waits before it tries again may look, and not wait for what has never been there.
///
/// On a thread that runs no task it is `false`.
pub fn is_ending() -> bool {
    let of_task = |end: &RefCell<Option<Arc<AtomicBool>>>| {
        end.borrow().as_ref().is_some_and(|ending| ending.load(Ordering::Relaxed))
    };
    END.try_with(of_task).unwrap_or(false)
}

thread_local! {
    /// Of the task that runs here.
    static END: RefCell<Option<Arc<AtomicBool>>> = const { RefCell::new(None) };
}

/// Does the work of a task whose end is asked for through `ending`.
pub(super) fn with_end<T>(ending: &Arc<AtomicBool>, work: impl FnOnce() -> T) -> T {
    // At the exit of the program the thread-local may be gone: then the task does not learn that it ends.
    let replace = |end| END.try_with(|current| current.replace(end)).ok().flatten();
    let before = (replace(Some(ending.clone())), TASK.replace(Arc::as_ptr(ending).addr()));
    let result = work();
    replace(before.0);
    TASK.set(before.1);
    result
}

/// Returns true on the thread that runs the task whose end is asked for through `ending`, even while the thread-locals of the
/// thread are being destroyed.
pub(super) fn is_task(ending: &Arc<AtomicBool>) -> bool {
    TASK.get() == Arc::as_ptr(ending).addr()
}

thread_local! {
    /// Identifies the task that runs here. Has no destructor, unlike `END`, because an exporter may call `exit`.
    static TASK: Cell<usize> = const { Cell::new(0) };
}

/// Marks the thread until it is dropped.
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

/// Does the SDK's own work on somebody else's thread: nothing of the caller is current meanwhile, neither span nor
/// baggage, and no telemetry is made of it.
pub(crate) fn apart<T>(work: impl FnOnce() -> T) -> T {
    let _background = Background::enter();
    let empty = || Context::new().with_telemetry_suppressed().attach();
    // The API panics while a look at its context is open, and when the thread is ending.
    let _context = std::panic::catch_unwind(empty).ok();
    work()
}

/// Runs a step of a task: telemetry suppressed, a panic caught and reported.
pub(super) fn guarded<T>(step: impl FnOnce() -> T) -> Option<T> {
    // The API panics when the thread-local of its context is gone, at the exit of the program for example.
    let _suppressed = std::panic::catch_unwind(Context::enter_telemetry_suppressed_scope).ok();
    let _background = Background::enter();
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(step));
    if result.is_err() {
        crate::__warn!("runtime.panic", "the background work panicked; it goes on with the next batch");
    }
    result.ok()
}
