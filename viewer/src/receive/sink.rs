//! Collects decoded items and adds them to the store in parts, so that a request never exists as a whole beside its encoding.

use std::sync::Arc;

use crate::model::{Metric, Record, Resource, Scope, Span};
use crate::store::Store;

/// The number of elements after which the decoded items go to the store. An element is an item, an attribute, a point or another
/// part of an item, and takes tens to a few hundred bytes.
pub(crate) const MAX_ELEMENTS: usize = 1 << 18;

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
        match span.trace_id.0 == 0 || span.span_id.0 == 0 {
            true => self.rejected += 1,
            false => self.spans.push(span),
        }
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

    /// Returns the store's copy of a resource. A request may have many resources without any items.
    pub(crate) fn resource(&mut self, resource: Resource) -> Arc<Resource> {
        let elements = resource.attributes.len();
        let resource = self.store.interner().resource(resource);
        self.grow(elements);
        resource
    }

    /// Returns the store's copy of a scope.
    pub(crate) fn scope(&mut self, scope: Scope) -> Arc<Scope> {
        let elements = scope.attributes.len();
        let scope = self.store.interner().scope(scope);
        self.grow(elements);
        scope
    }

    /// Counts an item of this number of elements, or another part of a request that takes memory in the store.
    pub(crate) fn grow(&mut self, elements: usize) {
        // The item itself takes as much as a few of its parts.
        self.elements += elements + 8;
        if self.elements > MAX_ELEMENTS {
            self.finish();
        }
    }

    /// Ends a request that is well-formed. Returns the number of items that were refused.
    pub(crate) fn end(mut self) -> u64 {
        self.finish();
        self.store.refuse(self.rejected);
        self.rejected
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
        // Names and resources whose items were refused, or that have none.
        self.store.sweep_names();
    }
}
