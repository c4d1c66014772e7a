//! Converts finished spans to `opentelemetry_sdk` spans.

use opentelemetry::trace::Event;
use opentelemetry_sdk::trace::{SpanData as Upstream, SpanEvents, SpanLinks};
use telemark_sdk::trace::{SpanEvent, SpanView};

/// Converts a span with all of its contents. Its call site's attributes become ordinary attributes.
pub fn span_to_upstream(span: SpanView<'_>) -> Upstream {
    let mut events = SpanEvents::default();
    events.events = span.events().iter().map(event).collect();
    events.dropped_count = span.events().dropped();
    let mut links = SpanLinks::default();
    links.links = span.links().to_vec();
    links.dropped_count = span.links().dropped();
    Upstream {
        span_context: span.context(),
        parent_span_id: span.parent_span_id(),
        parent_span_is_remote: span.parent_is_remote(),
        span_kind: span.kind().clone(),
        name: span.name().clone(),
        start_time: span.start().into(),
        end_time: span.end().into(),
        attributes: span.attributes().cloned().collect(),
        dropped_attributes_count: span.dropped_attributes(),
        events,
        links,
        status: span.status().clone(),
        instrumentation_scope: (**span.scope()).clone(),
    }
}

fn event(event: &SpanEvent) -> Event {
    Event::new(event.name.clone(), event.time.into(), event.attributes.clone(), event.dropped_attributes)
}
