//! `/running.json`: the traces whose spans have not all ended. `/traces.json` has them too; a page that asks for them alone need not
//! load the list again with each start and end of a span.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::{Map, Value as Json, json};

use super::Api;
use super::json::rows;
use super::params::{Params, Refused};
use super::traces::{MAX_TRACES, row};
use crate::model::{Span, TraceId};
use crate::query::{Query, Target, TraceFacts};
use crate::store::Trace;

impl Api {
    pub(super) fn running_traces(&self, params: Params<'_>) -> Result<Json, Refused> {
        let (from, to) = params.range()?;
        let limit = params.limit(200, MAX_TRACES)?;
        let query = params.query();
        let parsed = Query::parse(&query, Target::Traces).map_err(|error| Refused::query(&query, error))?;
        let running = self.running(from, to, |facts, spans| parsed.matches_trace(facts, spans));
        let rows = rows(running.only.iter().take(limit).map(|trace| row(trace, running.of(trace.id))));
        // Of a trace that is held, only the number of running spans changes.
        let spans: Map<String, Json> =
            running.spans.iter().take(MAX_TRACES).map(|(id, spans)| (id.to_string(), (*spans).into())).collect();
        Ok(json!({
            "matched": running.only.len(),
            "traces": rows,
            "spans": spans,
        }))
    }

    /// Returns what is running, and keeps it wanted. `matches` decides about traces of which no span is held.
    pub(super) fn running(
        &self,
        from: u64,
        to: u64,
        matches: impl Fn(TraceFacts, &[Arc<Span>]) -> bool,
    ) -> RunningTraces {
        let now = self.store.now();
        let mut by_trace: HashMap<TraceId, Vec<Arc<Span>>> = HashMap::new();
        for span in self.store.running().spans() {
            by_trace.entry(span.trace_id).or_default().push(span);
        }
        let ids = by_trace.keys().copied();
        let held: HashSet<TraceId> = self.store.read(|held| ids.filter(|&id| held.traces.get(id).is_some()).collect());
        let mut running = RunningTraces::default();
        for (id, spans) in by_trace {
            running.spans.insert(id, spans.len());
            if held.contains(&id) {
                continue;
            }
            let trace = Trace::of_running(id, spans, now);
            let facts = TraceFacts { id, duration: trace.duration(), has_errors: false };
            if (from..=to).contains(&trace.start) && matches(facts, &trace.spans) {
                running.only.push(trace);
            }
        }
        running.only.sort_by_key(|trace| Reverse((trace.start, trace.id)));
        running
    }
}

/// The traces with spans that have not ended.
#[derive(Default)]
pub(super) struct RunningTraces {
    /// The number of running spans of each trace.
    spans: HashMap<TraceId, usize>,
    /// The traces that match and of which no span is held, the newest first.
    pub(super) only: Vec<Trace>,
}

impl RunningTraces {
    /// Returns the number of running spans of a trace.
    pub(super) fn of(&self, id: TraceId) -> usize {
        self.spans.get(&id).copied().unwrap_or(0)
    }
}
