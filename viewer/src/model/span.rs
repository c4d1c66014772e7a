//! Spans, with their resource and scope.

use std::sync::Arc;

use super::{Attribute, SpanId, Text, TraceId, Value};

/// The entity that produced the telemetry.
///
/// Items refer to the shared copy that [`Interner::resource`](super::Interner::resource) returns. The store compares resources by
/// address, which is fast however many attributes they have, and counts the bytes of a resource once, in the interner. Another copy
/// would be another resource to it, and would take memory beyond the store's limit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Resource {
    /// The value of `service.name`, or `unknown_service`.
    pub service: Text,
    /// All attributes, including `service.name`.
    pub attributes: Box<[Attribute]>,
}

impl Resource {
    /// Creates a resource, whose service is the value of `service.name`.
    pub fn new(attributes: Box<[Attribute]>) -> Self {
        let named = attributes.iter().find_map(|attribute| match &attribute.value {
            Value::String(name) if &*attribute.key == "service.name" && !name.is_empty() => Some(name.clone()),
            _ => None,
        });
        Resource { service: named.unwrap_or_else(|| "unknown_service".into()), attributes }
    }
}

/// The instrumentation scope.
///
/// Items refer to the shared copy that [`Interner::scope`](super::Interner::scope) returns, as with a [`Resource`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    /// The name, which may be empty.
    pub name: Text,
    /// The version, which may be empty.
    pub version: Text,
    /// The attributes.
    pub attributes: Box<[Attribute]>,
}

/// The kind of a span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An operation within a program.
    #[default]
    Internal,
    /// The server's side of a call.
    Server,
    /// The client's side of a call.
    Client,
    /// Sends a message.
    Producer,
    /// Processes a message.
    Consumer,
}

/// The status of a span.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// Not set.
    #[default]
    Unset,
    /// Set to OK by the program.
    Ok,
    /// Failed, with a message that may be empty.
    Error(Text),
}

/// A span.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// The id of the trace.
    pub trace_id: TraceId,
    /// The id of the span.
    pub span_id: SpanId,
    /// The id of the parent, or zero for a root.
    pub parent: SpanId,
    /// The name.
    pub name: Text,
    /// The kind.
    pub kind: Kind,
    /// The start, in nanoseconds since the Unix epoch.
    pub start: u64,
    /// The end, in nanoseconds since the Unix epoch. Zero while the span is running.
    pub end: u64,
    /// The status.
    pub status: Status,
    /// The W3C trace state.
    pub trace_state: Text,
    /// The attributes.
    pub attributes: Box<[Attribute]>,
    /// The events.
    pub events: Box<[Event]>,
    /// The links.
    pub links: Box<[Link]>,
    /// The numbers of dropped items.
    pub dropped: Dropped,
    /// The resource, from the store's [`Interner`](super::Interner).
    pub resource: Arc<Resource>,
    /// The instrumentation scope, from the store's [`Interner`](super::Interner).
    pub scope: Arc<Scope>,
}

/// The numbers of items that the producer of a span dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Dropped attributes.
    pub attributes: u32,
    /// Dropped events.
    pub events: u32,
    /// Dropped links.
    pub links: u32,
}

/// An event of a span.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The time, in nanoseconds since the Unix epoch.
    pub time: u64,
    /// The name.
    pub name: Text,
    /// The attributes.
    pub attributes: Box<[Attribute]>,
    /// The number of attributes that the producer dropped.
    pub dropped_attributes: u32,
}

/// A link to a span, usually of another trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// The trace of the linked span.
    pub trace_id: TraceId,
    /// The linked span.
    pub span_id: SpanId,
    /// The attributes.
    pub attributes: Box<[Attribute]>,
}
