//! A trace as policies of the program see it.

use std::time::Duration;

use opentelemetry::Value;
use opentelemetry::trace::{SpanId, Status, TraceId, TraceState};

use super::buffer::{Chunks, Waiting};
use crate::trace::{SpanData, SpanView};

/// A trace that is to be decided, as far as it has passed through this process.
///
/// If a local root is still running at the deadline, the trace is decided without it and the spans that have not ended.
pub struct HeldTrace<'a> {
    trace: &'a Waiting,
    chunks: &'a Chunks,
}

impl<'a> HeldTrace<'a> {
    pub(super) fn new(trace: &'a Waiting, chunks: &'a Chunks) -> Self {
        HeldTrace { trace, chunks }
    }

    /// Returns the trace id.
    pub fn trace_id(&self) -> TraceId {
        self.trace.trace
    }

    /// Returns the spans, in the order in which they ended.
    pub fn spans(&self) -> impl Iterator<Item = SpanView<'_>> {
        let moved = self.trace.moved.iter().flat_map(|moved| moved.views());
        moved.chain(self.trace.runs.iter().flat_map(|run| self.chunks.views(run)))
    }

    /// Returns the number of spans.
    pub fn span_count(&self) -> usize {
        self.trace.span_count()
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
        f.debug_struct("HeldTrace").field("trace_id", &self.trace_id()).finish_non_exhaustive()
    }
}

/// Returns true if the span has no parent in this process.
#[inline]
pub(super) fn is_local_root(span: &SpanData) -> bool {
    span.parent_span_id == SpanId::INVALID || span.parent_is_remote
}

/// A span that arrives, by itself or in a chunk.
pub(super) trait Arrival {
    fn trace_id(&self) -> TraceId;
    fn is_local_root(&self) -> bool;
    fn is_sampled(&self) -> bool;
    fn trace_state(&self) -> &TraceState;
    fn has_failed(&self) -> bool;
    fn name(&self) -> &str;
    fn duration(&self) -> Duration;
    fn attribute(&self, key: &str) -> Option<&Value>;
}

impl Arrival for SpanData {
    fn trace_id(&self) -> TraceId {
        self.context.trace_id()
    }

    fn is_local_root(&self) -> bool {
        is_local_root(self)
    }

    fn is_sampled(&self) -> bool {
        self.context.is_sampled()
    }

    fn trace_state(&self) -> &TraceState {
        self.context.trace_state()
    }

    fn has_failed(&self) -> bool {
        matches!(self.status, Status::Error { .. })
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn duration(&self) -> Duration {
        self.end.since(self.start)
    }

    fn attribute(&self, key: &str) -> Option<&Value> {
        self.attributes().find(|attribute| attribute.key.as_str() == key).map(|attribute| &attribute.value)
    }
}

impl Arrival for SpanView<'_> {
    #[inline]
    fn trace_id(&self) -> TraceId {
        SpanView::trace_id(self)
    }

    #[inline]
    fn is_local_root(&self) -> bool {
        self.parent_span_id() == SpanId::INVALID || self.parent_is_remote()
    }

    fn is_sampled(&self) -> bool {
        self.trace_flags().is_sampled()
    }

    fn trace_state(&self) -> &TraceState {
        SpanView::trace_state(self)
    }

    #[inline]
    fn has_failed(&self) -> bool {
        self.has_rare_fields() && matches!(self.status(), Status::Error { .. })
    }

    fn name(&self) -> &str {
        SpanView::name(self)
    }

    fn duration(&self) -> Duration {
        SpanView::duration(self)
    }

    fn attribute(&self, key: &str) -> Option<&Value> {
        self.attributes().find(|attribute| attribute.key.as_str() == key).map(|attribute| &attribute.value)
    }
}
