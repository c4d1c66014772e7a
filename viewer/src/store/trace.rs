//! A trace, with the facts that lists show.

use std::sync::Arc;

use crate::model::{Size, Span, Status, Text, TraceId};

/// The maximum number of spans of a trace.
pub(crate) const MAX_SPANS: usize = 100_000;
/// The maximum number of services that a trace lists.
const MAX_SERVICES: usize = 32;
/// The size of a trace without its spans: itself, its counters, and its entries in the indices, which are about half full.
const OVERHEAD: usize = size_of::<Trace>() + 160;
/// The size of a span without its content: itself, its counters, and its place in the list.
const SPAN_OVERHEAD: usize = size_of::<Span>() + 24 + 2 * size_of::<Arc<Span>>();

/// The spans of a trace. Readers hold on to it while the store goes on with a copy.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    pub(crate) id: TraceId,
    /// The number of traces that arrived before it. Unlike the id, it is not used again after an eviction.
    pub(crate) arrival: u64,
    /// Rises with each change, and is unique among all traces.
    pub(crate) version: u64,
    pub(crate) spans: Vec<Arc<Span>>,
    /// The earliest start, in nanoseconds since the Unix epoch.
    pub(crate) start: u64,
    /// The latest end, in nanoseconds since the Unix epoch.
    pub(crate) end: u64,
    /// The number of spans with an error.
    pub(crate) errors: usize,
    /// The number of spans that are not held, because the trace is too large.
    pub(crate) cut: u64,
    /// When the first part of the trace left the store, if it did.
    pub(crate) evicted_at: Option<u64>,
    /// The services by first arrival.
    pub(crate) services: Vec<Text>,
    pub(crate) bytes: usize,
    root: usize,
}

impl Trace {
    pub(super) fn new(id: TraceId, arrival: u64, version: u64, evicted_at: Option<u64>) -> Self {
        Trace {
            id,
            arrival,
            version,
            spans: Vec::new(),
            start: u64::MAX,
            end: 0,
            errors: 0,
            cut: 0,
            evicted_at,
            services: Vec::new(),
            bytes: OVERHEAD,
            root: 0,
        }
    }

    /// Adds a span, unless the trace would have more than `max_bytes`. Returns the bytes that were added.
    pub(super) fn add(&mut self, span: Arc<Span>, max_bytes: usize) -> Option<usize> {
        let size = SPAN_OVERHEAD + span.heap();
        let is_full = self.spans.len() >= MAX_SPANS || self.bytes + size > max_bytes;
        // Even the smallest store shows the first span of a trace.
        if is_full && !self.spans.is_empty() {
            self.cut += 1;
            return None;
        }
        self.start = self.start.min(span.start);
        self.end = self.end.max(span.end).max(span.start);
        self.errors += usize::from(is_error(&span));
        let service = &span.resource.service;
        if self.services.len() < MAX_SERVICES && !self.services.contains(service) {
            self.services.push(service.clone());
        }
        if self.spans.get(self.root).is_none_or(|root| precedence(&span) < precedence(root)) {
            self.root = self.spans.len();
        }
        self.spans.push(span);
        self.bytes += size;
        Some(size)
    }

    /// Returns a trace of spans that have not ended at the time `now`.
    pub(crate) fn of_running(id: TraceId, spans: Vec<Arc<Span>>, now: u64) -> Self {
        let mut trace = Trace::new(id, 0, 0, None);
        for span in spans {
            trace.add(span, usize::MAX);
        }
        trace.end = trace.end.max(now);
        trace
    }

    /// Returns the span that stands for the trace: the first root, or else the first span.
    pub(crate) fn root(&self) -> Option<&Arc<Span>> {
        self.spans.get(self.root)
    }

    /// Returns the time from the earliest start to the latest end, in nanoseconds.
    pub(crate) fn duration(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Returns true if spans of the trace are known to be missing.
    pub(crate) fn is_partial(&self) -> bool {
        self.evicted_at.is_some() || self.cut > 0 || self.root().is_none_or(|root| !root.parent.is_zero())
    }
}

/// Returns true if the span has failed.
pub(crate) fn is_error(span: &Span) -> bool {
    matches!(span.status, Status::Error(_))
}

fn precedence(span: &Span) -> (bool, u64) {
    (!span.parent.is_zero(), span.start)
}
