//! Spans in JSON.

use opentelemetry::InstrumentationScope;
use opentelemetry::trace::{Link, SpanId, Status, TraceState};
use telemark_sdk::Batch;
use telemark_sdk::signal::Traces;
use telemark_sdk::trace::{SpanEvent, SpanView};

use super::values::{kind, link_flags, span_flags};
use crate::encode::groups::{Groups, Place};
use crate::encode::json::{
    array_field, attributes, element, escaped, hex_field, key, schema_url_len, scope_field, string, string_field,
    u32_field, u64_field,
};
use crate::encode::part::{Part, Room, Written};

/// Appends `{"resourceSpans":[…]}` with one part of the batch. `resource` is the encoded resource.
pub(super) fn write(
    batch: Batch<'_, Traces>,
    resource: &[u8],
    groups: &Groups,
    part: Part<Place>,
    out: &mut Vec<u8>,
) -> Written<Place> {
    let schema_url = batch.resource.schema_url().unwrap_or_default();
    let mut room = Room::new(out.len(), part.limit, schema_url_len(schema_url) + "]}]}".len());
    let mut next = None;
    out.extend_from_slice(b"{\"resourceSpans\":[{\"resource\":");
    out.extend_from_slice(resource);
    out.extend_from_slice(b",\"scopeSpans\":[");
    for (number, _, items) in groups.from(part.from) {
        let (start, written) = (out.len(), room.items());
        let left = write_scope_spans(out, &mut room, items.filter_map(|item| Some((item, batch.get(item)?))));
        next = left.map(|item| Place::new(number, item));
        if next.is_some() {
            if room.items() == written {
                // Not even the first span fits after those of the previous scopes.
                out.truncate(start);
            }
            break;
        }
    }
    out.push(b']');
    string_field(out, "schemaUrl", schema_url);
    out.extend_from_slice(b"}]}");
    Written { items: room.items(), next }
}

/// Writes a scope's spans. Returns the index of the first span that does not fit.
fn write_scope_spans<'a>(
    out: &mut Vec<u8>,
    room: &mut Room,
    spans: impl Iterator<Item = (usize, SpanView<'a>)>,
) -> Option<usize> {
    let mut spans = spans.peekable();
    let scope: &InstrumentationScope = spans.peek()?.1.scope();
    let schema_url = scope.schema_url().unwrap_or_default();
    let tail = schema_url_len(schema_url) + "]}".len();
    element(out);
    out.push(b'{');
    scope_field(out, scope);
    key(out, "spans");
    out.push(b'[');
    let left = spans.find(|&(_, span)| {
        !room.write(out, tail, |out| {
            element(out);
            write_span(out, span);
        })
    });
    out.push(b']');
    string_field(out, "schemaUrl", schema_url);
    out.push(b'}');
    left.map(|(item, _)| item)
}

fn write_span(out: &mut Vec<u8>, span: SpanView<'_>) {
    out.push(b'{');
    hex_field(out, "traceId", &span.trace_id().to_bytes());
    hex_field(out, "spanId", &span.span_id().to_bytes());
    write_trace_state(out, span.trace_state());
    if span.parent_span_id() != SpanId::INVALID {
        hex_field(out, "parentSpanId", &span.parent_span_id().to_bytes());
    }
    u32_field(out, "flags", span_flags(span));
    string_field(out, "name", span.name());
    u32_field(out, "kind", u32::from(kind(span.kind())));
    u64_field(out, "startTimeUnixNano", span.start().as_nanos());
    u64_field(out, "endTimeUnixNano", span.end().as_nanos());
    attributes(out, span.attributes());
    u32_field(out, "droppedAttributesCount", span.dropped_attributes());
    array_field(out, "events", span.events().iter(), write_event);
    u32_field(out, "droppedEventsCount", span.events().dropped());
    array_field(out, "links", span.links().iter(), write_link);
    u32_field(out, "droppedLinksCount", span.links().dropped());
    write_status(out, span.status());
    out.push(b'}');
}

fn write_event(out: &mut Vec<u8>, event: &SpanEvent) {
    out.push(b'{');
    u64_field(out, "timeUnixNano", event.time.as_nanos());
    string_field(out, "name", &event.name);
    attributes(out, &event.attributes);
    u32_field(out, "droppedAttributesCount", event.dropped_attributes);
    out.push(b'}');
}

fn write_link(out: &mut Vec<u8>, link: &Link) {
    out.push(b'{');
    hex_field(out, "traceId", &link.span_context.trace_id().to_bytes());
    hex_field(out, "spanId", &link.span_context.span_id().to_bytes());
    write_trace_state(out, link.span_context.trace_state());
    attributes(out, &link.attributes);
    u32_field(out, "droppedAttributesCount", link.dropped_attributes_count);
    u32_field(out, "flags", link_flags(&link.span_context));
    out.push(b'}');
}

fn write_trace_state(out: &mut Vec<u8>, state: &TraceState) {
    if state.into_iter().len() == 0 {
        return;
    }
    key(out, "traceState");
    out.push(b'"');
    // The API allows characters in a value that the header does not allow. They are escaped like all others.
    for (index, (key, value)) in state.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        escaped(out, key);
        out.push(b'=');
        escaped(out, value);
    }
    out.push(b'"');
}

fn write_status(out: &mut Vec<u8>, status: &Status) {
    let (code, message): (u32, &str) = match status {
        Status::Unset => return,
        Status::Ok => (1, ""),
        Status::Error { description } => (2, description),
    };
    key(out, "status");
    out.push(b'{');
    if !message.is_empty() {
        key(out, "message");
        string(out, message);
    }
    u32_field(out, "code", code);
    out.push(b'}');
}
