//! Log records.

use std::sync::Arc;

use super::{Attribute, Resource, Scope, SpanId, Text, TraceId, Value};

/// A log record.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The time, in nanoseconds since the Unix epoch; the observed time if the record has no time of its own.
    pub time: u64,
    /// The severity number, from 1 (trace) to 24 (fatal), or 0 if it is not known.
    pub severity: u8,
    /// The severity as the producer calls it, which may be empty.
    pub severity_text: Text,
    /// The body.
    pub body: Value,
    /// The name of the event, which may be empty.
    pub event_name: Text,
    /// The trace that was current, or zero.
    pub trace_id: TraceId,
    /// The span that was current, or zero.
    pub span_id: SpanId,
    /// The attributes.
    pub attributes: Box<[Attribute]>,
    /// The number of attributes that the producer dropped.
    pub dropped_attributes: u32,
    /// The resource, from the store's [`Interner`](super::Interner).
    pub resource: Arc<Resource>,
    /// The instrumentation scope, from the store's [`Interner`](super::Interner).
    pub scope: Arc<Scope>,
}
