//! The call on which a thread works: its context, and the mark that keeps the driver's own events from counting it again.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::{Context, ContextGuard};
use telemark_kit::guarded;

use super::operation::Operation;

thread_local! {
    /// The number of calls on which this thread works: one, unless a driver makes a call within another.
    static CALLS: Cell<u32> = const { Cell::new(0) };
}

/// True once events of drivers are turned into spans.
static ARE_EVENTS_RECORDED: AtomicBool = AtomicBool::new(false);

/// Marks the context of a call for a thread of the driver.
struct Observed;

/// Makes a call current on this thread until it is dropped: its context, and a mark that there is a call.
///
/// A driver may also report its statements as events, which other code turns into spans. That code asks [`CurrentCall::exists`], so
/// that no call is counted twice. Enter a call whenever the driver runs: on each poll, and while its future is dropped.
#[must_use = "the call is current until this is dropped"]
#[derive(Debug)]
pub struct CurrentCall {
    _context: Option<ContextGuard>,
}

impl CurrentCall {
    /// Makes a call current. Without an operation, which means that the call goes unobserved on purpose, only the mark is set.
    #[inline]
    pub fn enter(operation: Option<&Operation>) -> Self {
        CALLS.set(CALLS.get().wrapping_add(1));
        // The API panics if the thread is ending and its context has been destroyed.
        let attach = |operation: &Operation| guarded(|| operation.context().clone().attach());
        CurrentCall { _context: operation.and_then(attach) }
    }

    /// Returns true if this thread, or the current context, works on a call that is observed already.
    #[inline]
    pub fn exists() -> bool {
        let is_marked = || Context::map_current(|context| context.get::<Observed>().is_some());
        CALLS.get() != 0 || guarded(is_marked).unwrap_or(false)
    }

    /// Returns the context for a thread of the driver, with the mark. Returns `None` as long as no events are recorded, because
    /// nothing then asks for the mark.
    pub fn for_other_thread(operation: Option<&Operation>) -> Option<Context> {
        if !ARE_EVENTS_RECORDED.load(Ordering::Relaxed) {
            return None;
        }
        match operation {
            Some(operation) => Some(operation.context().with_value(Observed)),
            None => guarded(|| Context::current_with_value(Observed)),
        }
    }

    /// Declares that events of drivers are turned into spans.
    pub fn expect_events() {
        ARE_EVENTS_RECORDED.store(true, Ordering::Relaxed);
    }
}

impl Drop for CurrentCall {
    #[inline]
    fn drop(&mut self) {
        CALLS.set(CALLS.get().wrapping_sub(1));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods, reason = "a test starts threads")]

    use opentelemetry::trace::TraceContextExt;
    use opentelemetry_sdk::trace::SdkTracerProvider;

    use super::*;
    use crate::{Call, ClientConfig, Database, DbClientInstrumentation, System};

    #[test]
    fn a_call_is_marked_on_its_thread_and_in_the_context_for_another_one() {
        let provider = SdkTracerProvider::builder().build();
        let tracer = opentelemetry::trace::TracerProvider::tracer(&provider, "test");
        let client = DbClientInstrumentation::new(ClientConfig::new(), tracer);
        let operation = client.begin(&Database::new(System::Sqlite), Call::operation("BEGIN")).unwrap();
        assert!(!CurrentCall::exists());
        {
            let _outer = CurrentCall::enter(Some(&operation));
            drop(CurrentCall::enter(None));
            assert!(CurrentCall::exists());
            assert_eq!(Context::current().span().span_context(), operation.context().span().span_context());
        }
        assert!(!CurrentCall::exists() && !Context::current().has_active_span());

        assert!(CurrentCall::for_other_thread(Some(&operation)).is_none(), "nothing asks for it");
        CurrentCall::expect_events();
        for operation in [Some(&operation), None] {
            let context = CurrentCall::for_other_thread(operation).unwrap();
            assert_eq!(context.has_active_span(), operation.is_some());
            let is_marked = std::thread::spawn(move || {
                let _context = context.attach();
                CurrentCall::exists()
            });
            assert!(is_marked.join().unwrap());
        }
        assert!(!CurrentCall::exists());
    }
}
