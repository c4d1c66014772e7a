//! Spans.

use std::sync::Arc;

use opentelemetry::trace;
use telemark_sdk::Batch;
use telemark_sdk::signal::Traces;
use telemark_sdk::trace::SpanView;

use super::values::Copier;
use crate::model::{Dropped, Event, Kind, Link, Resource, Span, SpanId, Status, TraceId};
use crate::store::Store;

/// Copies the spans of a batch into the store.
pub(super) fn add(batch: Batch<'_, Traces>, resource: &Arc<Resource>, store: &Store) {
    let mut copier = Copier::new(store);
    let spans = batch.iter().map(|view| span(view, resource, &mut copier)).collect();
    store.add_spans(spans);
}

fn span<'a>(view: SpanView<'a>, resource: &Arc<Resource>, copier: &mut Copier<'a>) -> Span {
    let (events, links) = (view.events(), view.links());
    let dropped = Dropped { attributes: view.dropped_attributes(), events: events.dropped(), links: links.dropped() };
    Span {
        trace_id: trace_id(view.trace_id()),
        span_id: span_id(view.span_id()),
        parent: span_id(view.parent_span_id()),
        name: copier.name(view.name()),
        kind: kind(view.kind()),
        start: view.start().as_nanos(),
        // Zero would mean that the span is running.
        end: view.end().as_nanos().max(1),
        status: status(view.status()),
        trace_state: copier.store.interner().text(&view.trace_state().header()),
        attributes: copier.attributes(view.attributes()),
        events: events.iter().map(|event| self::event(event, copier)).collect(),
        links: links.iter().map(|link| self::link(link, copier)).collect(),
        dropped,
        resource: resource.clone(),
        scope: copier.scope(view.scope()),
    }
}

fn event<'a>(event: &'a telemark_sdk::trace::SpanEvent, copier: &mut Copier<'a>) -> Event {
    Event {
        time: event.time.as_nanos(),
        name: copier.name(&event.name),
        attributes: copier.attributes(&event.attributes),
        dropped_attributes: event.dropped_attributes,
    }
}

fn link<'a>(link: &'a trace::Link, copier: &mut Copier<'a>) -> Link {
    Link {
        trace_id: trace_id(link.span_context.trace_id()),
        span_id: span_id(link.span_context.span_id()),
        attributes: copier.attributes(&link.attributes),
    }
}

fn status(status: &trace::Status) -> Status {
    match status {
        trace::Status::Unset => Status::Unset,
        trace::Status::Ok => Status::Ok,
        trace::Status::Error { description } => Status::Error(description.as_ref().into()),
    }
}

pub(super) fn kind(kind: &trace::SpanKind) -> Kind {
    match kind {
        trace::SpanKind::Internal => Kind::Internal,
        trace::SpanKind::Server => Kind::Server,
        trace::SpanKind::Client => Kind::Client,
        trace::SpanKind::Producer => Kind::Producer,
        trace::SpanKind::Consumer => Kind::Consumer,
    }
}

pub(super) fn trace_id(id: trace::TraceId) -> TraceId {
    TraceId(u128::from_be_bytes(id.to_bytes()))
}

pub(super) fn span_id(id: trace::SpanId) -> SpanId {
    SpanId(u64::from_be_bytes(id.to_bytes()))
}
