//! Sequential ids.

use std::sync::atomic::{AtomicU64, Ordering};

use opentelemetry::trace::{SpanId, TraceId};

use crate::id::IdGenerator;

/// Generates the trace ids 1, 2, 3 and so on, and the same sequence of span ids.
#[derive(Debug, Default)]
pub struct SequentialIds {
    traces: AtomicU64,
    spans: AtomicU64,
}

impl IdGenerator for SequentialIds {
    fn trace_id(&self) -> TraceId {
        TraceId::from(u128::from(self.traces.fetch_add(1, Ordering::Relaxed) + 1))
    }

    fn span_id(&self) -> SpanId {
        SpanId::from(self.spans.fetch_add(1, Ordering::Relaxed) + 1)
    }
}
