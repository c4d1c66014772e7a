//! Spans in JSON.

use opentelemetry::trace::{Link, SpanId, Status, TraceState};
use telemark_sdk::Batch;
use telemark_sdk::signal::Traces;
use telemark_sdk::trace::{SpanEvent, SpanView};

use super::values::{kind, link_flags, span_flags};
use crate::encode::groups::Groups;
use crate::encode::json::{
    array_field, attributes, element, escaped, hex_field, key, scope_field, string, string_field, u32_field, u64_field,
};

/// Appends `{"resourceSpans":[…]}`. `resource` is the encoded resource.
pub(super) fn write(batch: Batch<'_, Traces>, resource: &[u8], groups: &Groups, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"resourceSpans\":[{\"resource\":");
    out.extend_from_slice(resource);
    out.extend_from_slice(b",\"scopeSpans\":[");
    for (_, items) in groups.iter() {
        element(out);
        write_scope_spans(out, items.filter_map(|item| batch.get(item)));
    }
    out.push(b']');
    string_field(out, "schemaUrl", batch.resource.schema_url().unwrap_or_default());
    out.extend_from_slice(b"}]}");
}

fn write_scope_spans<'a>(out: &mut Vec<u8>, spans: impl Iterator<Item = SpanView<'a>>) {
    let mut spans = spans.peekable();
    let scope = spans.peek().map(|span| span.scope());
    out.push(b'{');
    if let Some(scope) = scope {
        scope_field(out, scope);
    }
    array_field(out, "spans", spans, write_span);
    string_field(out, "schemaUrl", scope.and_then(|scope| scope.schema_url()).unwrap_or_default());
    out.push(b'}');
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
    // The API allows more characters in a value than the header does; they are escaped like any others.
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
