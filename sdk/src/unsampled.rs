//! The ids of spans that are dropped because their parent was. Such a span is in no context, so that it costs next to nothing,
//! and yet has an id of its own.
//!
//! A thread-local holds the dropped span that the thread runs, and its parent. Code that sends or logs a span context asks
//! [`with_span_context`]: if the context's span is that parent, the dropped span stands in for it. The first such question
//! generates the id.
//!
//! spec: trace/sdk.md#sdk-span-creation, a new span id whatever the sampling decision

use std::cell::Cell;

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags};

use crate::id::{IdGenerator, RandomIds};

/// The W3C level 2 flag that says that the trace id is random.
const RANDOM_FLAG: u8 = 0x02;

/// A dropped span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unsampled {
    parent: Parent,
    /// Zero until the first question for it.
    own_id: u64,
}

/// A fingerprint of the trace id and span id of a dropped span's parent, of which at least one half is random. One word, so
/// that it stays in a register on its way from the decision to the thread-local.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parent(u64);

thread_local! {
    // Without a destructor, so that the destructor of another thread-local can drop a span.
    static CURRENT: Cell<Unsampled> = const { Cell::new(Unsampled { parent: Parent(0), own_id: 0 }) };
}

impl Parent {
    #[inline]
    pub(crate) fn new(span: &SpanContext) -> Self {
        let trace_id = u128::from_be_bytes(span.trace_id().to_bytes());
        let span_id = u64::from_be_bytes(span.span_id().to_bytes());
        Parent((trace_id as u64) ^ ((trace_id >> 64) as u64).rotate_left(21) ^ span_id.rotate_left(42))
    }
}

impl Unsampled {
    /// Creates a dropped span below `parent`.
    #[inline]
    pub(crate) fn below(parent: Parent) -> Self {
        Unsampled { parent, own_id: 0 }
    }

    /// Returns the same span with this id.
    pub(crate) fn with_id(self, own_id: SpanId) -> Self {
        Unsampled { own_id: u64::from_be_bytes(own_id.to_bytes()), ..self }
    }

    /// Returns the same span with an id, generated if it has none.
    fn identified(self) -> Self {
        if self.own_id == 0 { self.with_id(RandomIds.span_id()) } else { self }
    }

    /// Returns `parent`, which holds the span's parent, with this span in its place: for children elsewhere.
    pub(crate) fn context_in(self, parent: &Context) -> Context {
        let own_id = SpanId::from(self.identified().own_id);
        parent.with_remote_span_context(child(parent.span().span_context(), own_id))
    }

    /// Makes this the span of the thread until the guard is dropped.
    #[inline]
    pub(crate) fn enter(self) -> Entered {
        Entered { outer: CURRENT.replace(self) }
    }
}

/// Keeps a dropped span as that of the thread; restores the previous one when dropped.
#[derive(Debug)]
#[must_use = "the span is left when this is dropped"]
pub(crate) struct Entered {
    outer: Unsampled,
}

impl Entered {
    /// Leaves the span and returns it with the id that it may have got, to be entered again.
    #[inline]
    pub(crate) fn leave(self) -> Unsampled {
        CURRENT.get()
    }
}

impl Drop for Entered {
    #[inline]
    fn drop(&mut self) {
        CURRENT.set(self.outer);
    }
}

/// Calls `look` with the span context that stands for `cx`: that of the dropped span of this thread if `cx` holds its parent,
/// and otherwise that of the span of `cx`.
pub(crate) fn with_span_context<T>(cx: &Context, look: impl FnOnce(&SpanContext) -> T) -> T {
    let span = cx.span();
    let context = span.span_context();
    match own_id(context) {
        None => look(context),
        Some(own_id) => look(&child(context, own_id)),
    }
}

/// Returns the context of a span that is dropped below `parent`.
pub(crate) fn child(parent: &SpanContext, own_id: SpanId) -> SpanContext {
    let flags = TraceFlags::new(parent.trace_flags().to_u8() & RANDOM_FLAG);
    SpanContext::new(parent.trace_id(), own_id, flags, false, parent.trace_state().clone())
}

fn own_id(parent: &SpanContext) -> Option<SpanId> {
    let current = CURRENT.get();
    if !parent.is_valid() || parent.is_sampled() || current.parent != Parent::new(parent) {
        return None;
    }
    let current = current.identified();
    CURRENT.set(current);
    Some(SpanId::from(current.own_id))
}
