//! A trace as policies of the program see it.

use opentelemetry::trace::{SpanId, Status, TraceId};

use crate::batch::HeldGroup;
use crate::signal::Traces;
use crate::trace::{SpanData, SpanView};

/// A trace that is to be decided, as far as it has passed through this process.
///
/// If a local root is still running at the deadline, the trace is decided without it and the spans that have not ended.
pub struct HeldTrace<'a> {
    trace_id: TraceId,
    spans: &'a HeldGroup<Traces>,
}

impl<'a> HeldTrace<'a> {
    pub(super) fn new(trace_id: TraceId, spans: &'a HeldGroup<Traces>) -> Self {
        HeldTrace { trace_id, spans }
    }

    /// Returns the trace id.
    pub fn trace_id(&self) -> TraceId {
        self.trace_id
    }

    /// Returns the spans, in the order in which they ended.
    pub fn spans(&self) -> impl Iterator<Item = SpanView<'_>> {
        self.spans.views()
    }

    /// Returns the number of spans.
    pub fn span_count(&self) -> usize {
        self.spans.len()
    }

    /// Returns the spans that have no parent in this process. A trace has several if requests of the same trace overlap.
    pub fn local_roots(&self) -> impl Iterator<Item = SpanView<'_>> {
        self.spans().filter(|span| span.parent_span_id() == SpanId::INVALID || span.parent_is_remote())
    }

    /// Returns true if a span has the status error.
    pub fn has_error(&self) -> bool {
        self.spans().any(|span| matches!(span.status(), Status::Error { .. }))
    }
}

impl std::fmt::Debug for HeldTrace<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HeldTrace").field("trace_id", &self.trace_id).finish_non_exhaustive()
    }
}

/// Returns true if the span has no parent in this process.
#[inline]
pub(super) fn is_local_root(span: &SpanData) -> bool {
    span.parent_span_id == SpanId::INVALID || span.parent_is_remote
}
