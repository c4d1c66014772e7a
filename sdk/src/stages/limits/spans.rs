//! The stage that limits spans.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use opentelemetry::KeyValue;
use opentelemetry::trace::SpanId;

use super::traces::{Admitted, TraceCounts};
use crate::batch::{Stage, Verdict};
use crate::diag::LimitCounts;
use crate::signal::Traces;
use crate::trace::SpanData;

/// Drops the spans that a trace has too many of, and cuts spans that are too large.
pub(super) struct SpanLimits {
    traces: Option<TraceCounts>,
    max_bytes: Option<usize>,
    counts: Arc<LimitCounts>,
}

impl SpanLimits {
    pub(super) fn new(max_per_trace: Option<usize>, max_bytes: Option<usize>, counts: Arc<LimitCounts>) -> Self {
        SpanLimits { traces: max_per_trace.map(TraceCounts::new), max_bytes, counts }
    }
}

impl Stage<Traces> for SpanLimits {
    fn process(&mut self, span: &mut SpanData) -> Verdict {
        if let Some(traces) = &mut self.traces {
            let is_local_root = span.parent_span_id == SpanId::INVALID || span.parent_is_remote;
            match traces.admit(span.trace_id(), is_local_root) {
                Admitted::No => {
                    self.counts.over_trace.fetch_add(1, Ordering::Relaxed);
                    return Verdict::Drop;
                }
                Admitted::Yes { dropped: 0 } => {}
                Admitted::Yes { dropped } => {
                    span.own_attributes.push(KeyValue::new("telemark.trace.dropped_spans", i64::from(dropped)));
                }
            }
        }
        if self.max_bytes.is_some_and(|max_bytes| span.shrink(max_bytes)) {
            self.counts.cut_spans.fetch_add(1, Ordering::Relaxed);
        }
        Verdict::Keep
    }
}
