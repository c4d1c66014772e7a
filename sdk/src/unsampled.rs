//! The ids of spans that are dropped because their parent was: such a span is in no context, so that it costs next to
//! nothing, and yet has an id of its own.
//!
//! A thread knows the dropped span that it runs, and which span is its parent. What sends a span context or writes it down
//! asks [`with_span_context`]: where the context's span is that parent, the dropped span stands for it. Its id is made when
//! somebody asks for it the first time.
//!
//! spec: trace/sdk.md#sdk-span-creation, a new span id whatever the sampling decision

use std::cell::Cell;

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId};

use crate::id::{IdGenerator, RandomIds};

/// The W3C level 2 flag that says that the trace id is random.
const RANDOM_FLAG: u8 = 0x02;

/// A dropped span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unsampled {
    trace_id: TraceId,
    parent_id: SpanId,
    /// Invalid until it is asked for.
    own_id: SpanId,
}

const NONE: Unsampled = Unsampled { trace_id: TraceId::INVALID, parent_id: SpanId::INVALID, own_id: SpanId::INVALID };

thread_local! {
    // Without a destructor, so that a span may be dropped in the destructor of another thread-local.
    static CURRENT: Cell<Unsampled> = const { Cell::new(NONE) };
}

impl Unsampled {
    /// A span below `parent`.
    #[inline]
    pub(crate) fn below(parent: &SpanContext) -> Self {
        Unsampled { trace_id: parent.trace_id(), parent_id: parent.span_id(), own_id: SpanId::INVALID }
    }

    /// The same span with an id that is known.
    pub(crate) fn with_id(self, own_id: SpanId) -> Self {
        Unsampled { own_id, ..self }
    }

    /// `parent`, which holds its parent, with this span instead: for children elsewhere.
    pub(crate) fn context_in(self, parent: &Context) -> Context {
        let own_id = if self.own_id == SpanId::INVALID { RandomIds.span_id() } else { self.own_id };
        parent.with_remote_span_context(child(parent.span().span_context(), own_id))
    }

    /// Makes it this thread's until the guard is dropped.
    #[inline]
    pub(crate) fn enter(self) -> Entered {
        Entered { outer: CURRENT.replace(self) }
    }
}

/// While it lives, a dropped span is this thread's; then the one before it is again.
#[derive(Debug)]
#[must_use = "the span is left when this is dropped"]
pub(crate) struct Entered {
    outer: Unsampled,
}

impl Entered {
    /// Leaves the span and returns it as it is now, to be entered again: it may have got its id.
    #[inline]
    pub(crate) fn leave(self) -> Unsampled {
        let left = CURRENT.get();
        drop(self);
        left
    }
}

impl Drop for Entered {
    #[inline]
    fn drop(&mut self) {
        CURRENT.set(self.outer);
    }
}

/// Calls `look` with the span context that stands for `cx`: that of the dropped span which this thread runs, if `cx` holds
/// its parent, and otherwise that of the span of `cx`.
pub(crate) fn with_span_context<T>(cx: &Context, look: impl FnOnce(&SpanContext) -> T) -> T {
    let span = cx.span();
    let context = span.span_context();
    match own_id(context) {
        None => look(context),
        Some(own_id) => look(&child(context, own_id)),
    }
}

/// The context of a span that is dropped below `parent`.
pub(crate) fn child(parent: &SpanContext, own_id: SpanId) -> SpanContext {
    let flags = TraceFlags::new(parent.trace_flags().to_u8() & RANDOM_FLAG);
    SpanContext::new(parent.trace_id(), own_id, flags, false, parent.trace_state().clone())
}

fn own_id(parent: &SpanContext) -> Option<SpanId> {
    let current = CURRENT.get();
    let is_parent = current.parent_id == parent.span_id() && current.trace_id == parent.trace_id();
    if !is_parent || !parent.is_valid() || parent.is_sampled() {
        return None;
    }
    if current.own_id != SpanId::INVALID {
        return Some(current.own_id);
    }
    let own_id = RandomIds.span_id();
    CURRENT.set(current.with_id(own_id));
    Some(own_id)
}
