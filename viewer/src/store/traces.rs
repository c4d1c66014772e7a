//! The traces, by id, by arrival and by their last change.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::trace::Trace;
use crate::model::{Span, TraceId};

/// All traces that are held.
#[derive(Debug)]
pub(crate) struct Traces {
    by_id: HashMap<TraceId, Arc<Trace>>,
    /// The ids by arrival, and the arrival of the first.
    by_arrival: VecDeque<TraceId>,
    first_arrival: u64,
    /// The ids by version.
    by_version: BTreeMap<u64, TraceId>,
    version: u64,
    max_trace_bytes: usize,
    evicted: Evicted,
    pub(crate) spans: usize,
    pub(crate) bytes: usize,
}

impl Traces {
    /// Creates an empty collection for a store of `max_bytes`.
    pub(super) fn new(max_bytes: usize) -> Self {
        Traces {
            by_id: HashMap::new(),
            by_arrival: VecDeque::new(),
            first_arrival: 0,
            by_version: BTreeMap::new(),
            version: 0,
            max_trace_bytes: max_bytes / 4,
            evicted: Evicted::new((max_bytes / 4096).clamp(16, 16_384)),
            spans: 0,
            bytes: 0,
        }
    }

    /// Adds the spans of one batch. Calls `held` for each span that is kept, and returns the number of the others.
    pub(super) fn add(&mut self, spans: Vec<Arc<Span>>, mut held: impl FnMut(&Span)) -> u64 {
        let batch = self.version;
        let mut cut = 0;
        for span in spans {
            let trace = self.by_id.entry(span.trace_id).or_insert_with(|| {
                let arrival = self.first_arrival + self.by_arrival.len() as u64;
                self.by_arrival.push_back(span.trace_id);
                let evicted_at = self.evicted.at(span.trace_id);
                let trace = Trace::new(span.trace_id, arrival, 0, evicted_at);
                self.bytes += trace.bytes;
                Arc::new(trace)
            });
            let trace = Arc::make_mut(trace);
            // One version for all spans of the batch.
            if trace.version <= batch {
                self.by_version.remove(&trace.version);
                self.version += 1;
                trace.version = self.version;
                self.by_version.insert(trace.version, trace.id);
            }
            match trace.add(span.clone(), self.max_trace_bytes) {
                Some(bytes) => {
                    self.bytes += bytes;
                    self.spans += 1;
                    held(&span);
                }
                None => cut += 1,
            }
        }
        cut
    }

    /// Removes the trace that arrived first.
    pub(super) fn evict(&mut self, now: u64) -> Option<Arc<Trace>> {
        let id = self.by_arrival.pop_front()?;
        self.first_arrival += 1;
        let trace = self.by_id.remove(&id)?;
        self.by_version.remove(&trace.version);
        self.bytes = self.bytes.saturating_sub(trace.bytes);
        self.spans = self.spans.saturating_sub(trace.spans.len());
        self.evicted.add(id, now);
        Some(trace)
    }

    pub(crate) fn get(&self, id: TraceId) -> Option<&Arc<Trace>> {
        self.by_id.get(&id)
    }

    /// Returns the trace with this arrival.
    pub(crate) fn by_arrival(&self, arrival: u64) -> Option<&Arc<Trace>> {
        self.get(self.id(arrival)?)
    }

    /// Returns the id of the trace with this arrival.
    pub(crate) fn id(&self, arrival: u64) -> Option<TraceId> {
        let index = usize::try_from(arrival.checked_sub(self.first_arrival)?).ok()?;
        self.by_arrival.get(index).copied()
    }

    /// Returns the traces from the latest to the first arrival.
    pub(crate) fn newest(&self) -> impl Iterator<Item = &Arc<Trace>> {
        self.by_arrival.iter().rev().filter_map(|id| self.get(*id))
    }

    /// Returns up to `max` traces that changed after `version`, by their version.
    pub(crate) fn changed(&self, version: u64, max: usize) -> Vec<Arc<Trace>> {
        let changed = self.by_version.range(version.saturating_add(1)..);
        changed.filter_map(|(_, id)| self.get(*id)).take(max).cloned().collect()
    }

    /// Returns the version of the last change.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// Returns the arrival of the oldest trace that is held.
    pub(crate) fn first_arrival(&self) -> u64 {
        self.first_arrival
    }

    pub(crate) fn len(&self) -> usize {
        self.by_arrival.len()
    }

    /// Returns when the trace left the store, if that is still known.
    pub(crate) fn evicted_at(&self, id: TraceId) -> Option<u64> {
        self.evicted.at(id)
    }

    /// Returns the bytes of all traces, and of the list of evicted ones.
    pub(crate) fn total_bytes(&self) -> usize {
        self.bytes + self.evicted.bytes()
    }
}

/// The traces that left the store last, with the time when they did.
#[derive(Debug)]
struct Evicted {
    times: HashMap<TraceId, u64>,
    order: VecDeque<TraceId>,
    max: usize,
}

impl Evicted {
    fn new(max: usize) -> Self {
        Evicted { times: HashMap::new(), order: VecDeque::new(), max }
    }

    fn at(&self, id: TraceId) -> Option<u64> {
        self.times.get(&id).copied()
    }

    fn add(&mut self, id: TraceId, now: u64) {
        // A trace that was evicted before keeps its place.
        if self.times.insert(id, now).is_some() {
            return;
        }
        self.order.push_back(id);
        if self.order.len() > self.max {
            if let Some(oldest) = self.order.pop_front() {
                self.times.remove(&oldest);
            }
        }
    }

    fn bytes(&self) -> usize {
        self.order.len() * 2 * (size_of::<(TraceId, u64)>() + size_of::<TraceId>())
    }
}
