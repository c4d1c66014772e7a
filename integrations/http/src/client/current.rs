//! The call that the current thread is polling, so that a layer over a layer yields one client span.
//!
//! A thread-local holds the ids of the call's span while its context is attached. If they are also the ids of the current
//! span, nothing lies between: a further client layer sees the same request. Below a server or a function with a span of its
//! own, the ids differ, and a request from there gets its own span.

use std::cell::Cell;

use opentelemetry::trace::{SpanId, TraceContextExt, TraceId};
use opentelemetry::{Context, ContextGuard};

type Ids = (TraceId, SpanId);

thread_local! {
    static CALL: Cell<Option<Ids>> = const { Cell::new(None) };
}

/// Returns true if the current span belongs to the call that this thread is polling.
pub(crate) fn is_in_call() -> bool {
    // The thread-local is not available while the thread is ending.
    let Some(call) = CALL.try_with(Cell::get).ok().flatten() else { return false };
    call == Context::map_current(ids)
}

fn ids(context: &Context) -> Ids {
    let span = context.span();
    let span = span.span_context();
    (span.trace_id(), span.span_id())
}

/// Marks the current thread as polling a call, until it is dropped. Must not live across an `.await`.
#[derive(Debug)]
pub struct Entered {
    before: Option<Ids>,
    _attached: ContextGuard,
}

impl Entered {
    pub(crate) fn new(context: &Context) -> Self {
        let ids = ids(context);
        let before = CALL.try_with(|call| call.replace(Some(ids))).ok().flatten();
        Entered { before, _attached: context.clone().attach() }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let _ = CALL.try_with(|call| call.set(self.before));
    }
}
