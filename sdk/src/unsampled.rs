//! The ids of spans that are dropped because their parent was. To keep such a span almost free, it is not stored in
//! any context, but it has its own id.
//!
//! A thread-local holds the dropped span that is running on the thread, and its parent. Code that sends or logs a span
//! context calls [`with_span_context`]: if the context's span is the dropped span's parent, the dropped span takes its
//! place. The id is generated on the first such call.
//!
//! spec: trace/sdk.md#sdk-span-creation, which requires a new span id regardless of the sampling decision

use std::cell::Cell;

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags};

use crate::id::{IdGenerator, RandomIds};

/// The W3C level 2 flag that marks a trace id as random.
const RANDOM_FLAG: u8 = 0x02;

/// A dropped span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unsampled {
    parent: Parent,
    /// Zero until the id is first needed.
    own_id: u64,
}

/// A fingerprint of the trace id and span id of a dropped span's parent, at least one of which is random. The
/// fingerprint is a single word, so that it stays in a register between the decision and the thread-local.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parent(u64);

thread_local! {
    // Has no destructor, so that the destructors of other thread-locals can still drop spans.
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
    /// Creates a dropped span whose parent is `parent`.
    #[inline]
    pub(crate) fn below(parent: Parent) -> Self {
        Unsampled { parent, own_id: 0 }
    }

    /// Returns the same span with the given id.
    pub(crate) fn with_id(self, own_id: SpanId) -> Self {
        Unsampled { own_id: u64::from_be_bytes(own_id.to_bytes()), ..self }
    }

    /// Returns the same span with an id, generating one if necessary.
    fn identified(self) -> Self {
        if self.own_id == 0 { self.with_id(RandomIds.span_id()) } else { self }
    }

    /// Returns `parent`, the context of the span's parent, but with this span instead of the parent. Used for children
    /// that run elsewhere.
    pub(crate) fn context_in(self, parent: &Context) -> Context {
        let own_id = SpanId::from(self.identified().own_id);
        parent.with_remote_span_context(child(parent.span().span_context(), own_id))
    }

    /// Makes this span the thread's current dropped span until the guard is dropped.
    #[inline]
    pub(crate) fn enter(self) -> Entered {
        Entered { outer: CURRENT.replace(self) }
    }
}

/// Keeps a dropped span current on the thread, and restores the previous one when dropped.
#[derive(Debug)]
#[must_use = "the span is left when this is dropped"]
pub(crate) struct Entered {
    outer: Unsampled,
}

impl Entered {
    /// Leaves the span and returns it so that it can be entered again. If an id was generated while the span was
    /// entered, the returned span has it.
    #[inline]
    pub(crate) fn leave(self) -> Unsampled {
        self.span()
    }

    /// Returns the span while it is entered, with the id that was generated for it.
    #[inline]
    pub(crate) fn span(&self) -> Unsampled {
        CURRENT.get()
    }
}

impl Drop for Entered {
    #[inline]
    fn drop(&mut self) {
        CURRENT.set(self.outer);
    }
}

/// Calls `look` with the effective span context of `cx`: that of this thread's dropped span if `cx` holds the parent
/// of that span, and otherwise that of the span in `cx`.
#[inline]
pub(crate) fn with_span_context<T>(cx: &Context, look: impl FnOnce(&SpanContext) -> T) -> T {
    let span = cx.span();
    let context = span.span_context();
    match own_id(context) {
        None => look(context),
        Some(own_id) => look(&child(context, own_id)),
    }
}

/// Calls `look` with `cx`, in which this thread's dropped span takes the place of its parent. For code that knows only the API.
pub(crate) fn with_context<T>(cx: &Context, look: impl FnOnce(&Context) -> T) -> T {
    let own = own_id(cx.span().span_context());
    match own {
        None => look(cx),
        Some(own_id) => look(&cx.with_remote_span_context(child(cx.span().span_context(), own_id))),
    }
}

/// Returns the span context of a dropped span whose parent is `parent`.
pub(crate) fn child(parent: &SpanContext, own_id: SpanId) -> SpanContext {
    let flags = TraceFlags::new(parent.trace_flags().to_u8() & RANDOM_FLAG);
    SpanContext::new(parent.trace_id(), own_id, flags, false, parent.trace_state().clone())
}

#[inline]
fn own_id(parent: &SpanContext) -> Option<SpanId> {
    let current = CURRENT.get();
    if !parent.is_valid() || parent.is_sampled() || current.parent != Parent::new(parent) {
        return None;
    }
    let current = current.identified();
    CURRENT.set(current);
    Some(SpanId::from(current.own_id))
}
