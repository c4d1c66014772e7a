//! Collects decoded items and adds them to the store in parts, so that a request never exists as a whole beside its encoding.

use crate::model::{Metric, Record, Span};
use crate::store::Store;

/// The number of elements after which the decoded items go to the store. An element is an item, an attribute, a point or another
/// part of an item, and takes tens to a few hundred bytes.
const MAX_ELEMENTS: usize = 1 << 18;

/// The items of a request on their way to the store.
pub(crate) struct Sink<'s> {
    store: &'s Store,
    spans: Vec<Span>,
    records: Vec<Record>,
    metrics: Vec<Metric>,
    elements: usize,
    /// The number of items that were refused.
    pub(crate) rejected: u64,
}

impl<'s> Sink<'s> {
    pub(crate) fn new(store: &'s Store) -> Self {
        Sink { store, spans: Vec::new(), records: Vec::new(), metrics: Vec::new(), elements: 0, rejected: 0 }
    }

    pub(crate) fn store(&self) -> &'s Store {
        self.store
    }

    /// Adds a span that consists of this number of elements. Refuses a span without ids.
    ///
    /// spec: trace/api.md#spancontext
    pub(crate) fn span(&mut self, span: Span, elements: usize) {
        if span.trace_id.0 == 0 || span.span_id.0 == 0 {
            self.rejected += 1;
            return;
        }
        self.spans.push(span);
        self.grow(elements);
    }

    pub(crate) fn record(&mut self, record: Record, elements: usize) {
        self.records.push(record);
        self.grow(elements);
    }

    /// Adds a part of a metric's points, or all of them.
    pub(crate) fn metric(&mut self, metric: Metric, elements: usize) {
        self.metrics.push(metric);
        self.grow(elements);
    }

    fn grow(&mut self, elements: usize) {
        // The item itself takes as much as a few of its parts.
        self.elements += elements + 8;
        if self.elements > MAX_ELEMENTS {
            self.finish();
        }
    }

    /// Adds the collected items to the store. Items of a request that turns out to be malformed are dropped instead, except for those
    /// that a large request has already added.
    pub(crate) fn finish(&mut self) {
        self.elements = 0;
        if !self.spans.is_empty() {
            self.store.add_spans(std::mem::take(&mut self.spans));
        }
        if !self.records.is_empty() {
            self.store.add_records(std::mem::take(&mut self.records));
        }
        if !self.metrics.is_empty() {
            self.store.add_metrics(std::mem::take(&mut self.metrics));
        }
    }
}
