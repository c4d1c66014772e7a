//! Spans for the tests.

use std::sync::Arc;

use proptest::prelude::*;

use crate::model::{Attribute, Dropped, Event, Kind, Resource, Scope, Span, SpanId, Status, TraceId, Value};

/// Returns a span of the service "shop". Times are in nanoseconds.
pub(super) fn span(id: u64, parent: u64, name: &str, start: u64, end: u64) -> Span {
    Span {
        trace_id: TraceId(7),
        span_id: SpanId(id),
        parent: SpanId(parent),
        name: name.into(),
        kind: Kind::Internal,
        start,
        end,
        status: Status::Unset,
        trace_state: "".into(),
        attributes: Box::default(),
        events: Box::default(),
        links: Box::default(),
        dropped: Dropped::default(),
        resource: resource("shop"),
        scope: Arc::new(Scope { name: "".into(), version: "".into(), attributes: Box::default() }),
    }
}

pub(super) fn resource(service: &str) -> Arc<Resource> {
    Arc::new(Resource { service: service.into(), attributes: Box::default() })
}

/// Changes of a span, in the order of a sentence.
pub(super) trait With: Sized {
    fn kind(self, kind: Kind) -> Self;
    fn of(self, service: &str) -> Self;
    fn error(self, message: &str) -> Self;
    fn ok(self) -> Self;
    fn attribute(self, key: &str, value: impl Into<Sample>) -> Self;
    fn exception(self, message: &str) -> Self;
}

/// A value of an attribute.
pub(super) struct Sample(Value);

impl From<&str> for Sample {
    fn from(text: &str) -> Self {
        Self(Value::String(text.into()))
    }
}

impl From<i64> for Sample {
    fn from(number: i64) -> Self {
        Self(Value::Int(number))
    }
}

impl With for Span {
    fn kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    fn of(mut self, service: &str) -> Self {
        self.resource = resource(service);
        self
    }

    fn error(mut self, message: &str) -> Self {
        self.status = Status::Error(message.into());
        self
    }

    fn ok(mut self) -> Self {
        self.status = Status::Ok;
        self
    }

    fn attribute(mut self, key: &str, value: impl Into<Sample>) -> Self {
        let mut attributes = std::mem::take(&mut self.attributes).into_vec();
        attributes.push(Attribute { key: key.into(), value: value.into().0 });
        self.attributes = attributes.into();
        self
    }

    fn exception(mut self, message: &str) -> Self {
        let attribute = Attribute { key: "exception.message".into(), value: Value::String(message.into()) };
        let event =
            Event { time: self.end, name: "exception".into(), attributes: [attribute].into(), dropped_attributes: 0 };
        self.events = [event].into();
        self
    }
}

/// Returns traces that no correct program sends: duplicated and unknown ids, cycles, ends before starts, clocks that disagree.
pub(super) fn arbitrary_trace() -> impl Strategy<Value = Vec<Span>> {
    let kinds = prop_oneof![
        Just(Kind::Internal),
        Just(Kind::Server),
        Just(Kind::Client),
        Just(Kind::Producer),
        Just(Kind::Consumer)
    ];
    let time = prop_oneof![5 => 0..200_u64, 1 => Just(u64::MAX), 1 => any::<u64>()];
    let names = prop_oneof![Just("a"), Just("b")];
    let services = prop_oneof![Just("shop"), Just("stock"), Just("mail")];
    let one = (0..12_u64, 0..14_u64, names, services, kinds, time.clone(), time, 0..3_u8);
    prop::collection::vec(one, 0..24).prop_map(|spans| {
        let made = spans.into_iter().map(|(id, parent, name, service, kind, start, end, status)| {
            let span = span(id, parent, name, start, end).of(service).kind(kind);
            match status {
                0 => span,
                1 => span.ok(),
                _ => span.error("no"),
            }
        });
        made.collect()
    })
}
