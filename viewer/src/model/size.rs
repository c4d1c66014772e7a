//! Sizes in bytes of owned telemetry, as the store accounts for them.
//!
//! Names and keys come from the interner, which counts them once. Such text is free here, unless nothing but the item
//! itself holds it. Values count in full. Resources and scopes are counted by the interner.

use std::sync::Arc;

use super::{Attribute, Event, Exemplar, Link, Metric, Point, PointData, Record, Span, Status, Text, Value};

/// The overhead of an allocation: the counters of an `Arc`, and what the allocator adds.
pub(crate) const ALLOCATION: usize = 24;

/// Returns the number of bytes that an item occupies on the heap, without the item itself.
pub(crate) trait Size {
    /// Returns the bytes on the heap.
    fn heap(&self) -> usize;
}

/// A name or key, which is usually interned.
pub(crate) fn name(text: &Text) -> usize {
    if Arc::strong_count(text) > 1 { 0 } else { ALLOCATION + text.len() }
}

impl<T: Size> Size for [T] {
    fn heap(&self) -> usize {
        if self.is_empty() { 0 } else { ALLOCATION + size_of_val(self) + self.iter().map(Size::heap).sum::<usize>() }
    }
}

impl Size for Value {
    fn heap(&self) -> usize {
        match self {
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Double(_) => 0,
            Value::String(text) => ALLOCATION + text.len(),
            Value::Bytes(bytes) => ALLOCATION + bytes.len(),
            Value::Array(values) => values.heap(),
            Value::Map(attributes) => attributes.heap(),
        }
    }
}

impl Size for Attribute {
    fn heap(&self) -> usize {
        name(&self.key) + self.value.heap()
    }
}

impl Size for Event {
    fn heap(&self) -> usize {
        name(&self.name) + self.attributes.heap()
    }
}

impl Size for Link {
    fn heap(&self) -> usize {
        self.attributes.heap()
    }
}

impl Size for Span {
    fn heap(&self) -> usize {
        let message = match &self.status {
            Status::Error(message) => name(message),
            Status::Unset | Status::Ok => 0,
        };
        name(&self.name)
            + name(&self.trace_state)
            + message
            + self.attributes.heap()
            + self.events.heap()
            + self.links.heap()
    }
}

impl Size for Record {
    fn heap(&self) -> usize {
        name(&self.severity_text) + name(&self.event_name) + self.body.heap() + self.attributes.heap()
    }
}

impl Size for Exemplar {
    fn heap(&self) -> usize {
        self.attributes.heap()
    }
}

impl Size for PointData {
    fn heap(&self) -> usize {
        let list = |length: usize, each: usize| if length == 0 { 0 } else { ALLOCATION + length * each };
        match self {
            PointData::Int(_) | PointData::Double(_) => 0,
            PointData::Histogram { bounds, counts, .. } => list(counts.len(), 8) + list(bounds.len(), 8),
            PointData::Exponential { positive, negative, .. } => list(positive.1.len(), 8) + list(negative.1.len(), 8),
            PointData::Summary { quantiles, .. } => list(quantiles.len(), 16),
        }
    }
}

impl Size for Point {
    fn heap(&self) -> usize {
        self.attributes.heap() + self.data.heap() + self.exemplars.heap()
    }
}

impl Size for Metric {
    fn heap(&self) -> usize {
        name(&self.name) + name(&self.unit) + name(&self.description) + self.points.heap()
    }
}
