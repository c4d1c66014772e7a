//! Holds spans until the rest of their trace arrives, with limits on their number and waiting time.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use opentelemetry::trace::{SpanId, TraceId};
use telemark_sdk::Batch;
use telemark_sdk::signal::Traces;
use telemark_sdk::time::Deadline;
use telemark_sdk::trace::SpanData;

/// The maximum number of waiting spans across all traces.
pub(crate) const MAX_SPANS: usize = 4096;

/// The traces that are waiting.
#[derive(Debug, Default)]
pub(crate) struct Held {
    traces: HashMap<TraceId, Trace>,
    /// The traces in order of their first span's arrival.
    order: VecDeque<TraceId>,
    spans: usize,
}

#[derive(Debug)]
struct Trace {
    spans: Vec<SpanData>,
    until: Deadline,
    has_changed: bool,
}

impl Held {
    /// Adds spans. A new trace waits for at most `hold`.
    pub(crate) fn add(&mut self, spans: Batch<'_, Traces>, hold: Duration) {
        for span in spans.iter() {
            let id = span.trace_id();
            let trace = self.traces.entry(id).or_insert_with(|| {
                self.order.push_back(id);
                Trace { spans: Vec::new(), until: Deadline::after(hold), has_changed: true }
            });
            trace.spans.push(span.into());
            trace.has_changed = true;
        }
        self.spans += spans.len();
    }

    /// Takes traces that have been complete for at least `grace` or have waited long enough. If too many spans are waiting, also
    /// takes the oldest traces.
    pub(crate) fn take_ready(&mut self, grace: Duration) -> Vec<Vec<SpanData>> {
        let mut ready = Vec::new();
        for id in std::mem::take(&mut self.order) {
            let Some(trace) = self.traces.get_mut(&id) else { continue };
            let is_complete = std::mem::take(&mut trace.has_changed) && is_complete(&trace.spans);
            if is_complete {
                trace.until = trace.until.min(Deadline::after(grace));
            }
            if trace.until.has_passed() {
                ready.extend(self.take(id));
            } else {
                self.order.push_back(id);
            }
        }
        while self.spans > MAX_SPANS {
            let Some(id) = self.order.pop_front() else { break };
            ready.extend(self.take(id));
        }
        ready
    }

    /// Makes every trace wait no longer than this.
    pub(crate) fn wait_at_most(&mut self, wait: Duration) {
        let until = Deadline::after(wait);
        self.traces.values_mut().for_each(|trace| trace.until = trace.until.min(until));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.spans == 0
    }

    /// Takes all traces.
    pub(crate) fn take_all(&mut self) -> Vec<Vec<SpanData>> {
        let order = std::mem::take(&mut self.order);
        order.into_iter().filter_map(|id| self.take(id)).collect()
    }

    fn take(&mut self, id: TraceId) -> Option<Vec<SpanData>> {
        let trace = self.traces.remove(&id)?;
        self.spans -= trace.spans.len();
        Some(trace.spans)
    }
}

/// Returns true if every local parent has ended. Children that are still running cannot be detected.
fn is_complete(spans: &[SpanData]) -> bool {
    let ended: HashSet<_> = spans.iter().map(|span| span.context.span_id()).collect();
    spans.iter().all(|span| {
        span.parent_span_id == SpanId::INVALID || span.parent_is_remote || ended.contains(&span.parent_span_id)
    })
}
