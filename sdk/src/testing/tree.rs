//! Spans as text: one line per span, indented under its parent.

use std::fmt::Write;

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanId, SpanKind, Status};

use crate::trace::SpanData;

/// Formats the spans as a tree. Each line shows the name, the kind (unless it is internal), the status, and the
/// attributes in the order in which they were set, without `code.*`. Below the line are the span's events (`*`), its
/// links (`>`), and its children in the order in which they started. A span whose parent is missing is not indented.
pub fn tree(spans: &[SpanData]) -> String {
    let mut ordered: Vec<&SpanData> = spans.iter().collect();
    // The sort is stable, so spans that start at the same time keep the order in which they were passed.
    ordered.sort_by_key(|span| span.start);
    let mut text = String::new();
    let mut stack: Vec<(&SpanData, usize)> = ordered
        .iter()
        .rev()
        .filter(|span| !ordered.iter().any(|other| is_child(span, other)))
        .map(|span| (*span, 0))
        .collect();
    let mut written = 0;
    while let Some((span, depth)) = stack.pop() {
        write_span(&mut text, span, depth);
        written += 1;
        if written > spans.len() {
            break;
        }
        stack.extend(ordered.iter().rev().filter(|child| is_child(child, span)).map(|child| (*child, depth + 1)));
    }
    text
}

fn is_child(span: &SpanData, parent: &SpanData) -> bool {
    !std::ptr::eq(span, parent)
        && span.parent_span_id != SpanId::INVALID
        && span.parent_span_id == parent.context.span_id()
        && span.context.trace_id() == parent.context.trace_id()
}

fn write_span(text: &mut String, span: &SpanData, depth: usize) {
    let indent = "  ".repeat(depth);
    text.push_str(&indent);
    text.push_str(&span.name);
    match span.kind {
        SpanKind::Internal => {}
        SpanKind::Client => text.push_str(" (client)"),
        SpanKind::Server => text.push_str(" (server)"),
        SpanKind::Producer => text.push_str(" (producer)"),
        SpanKind::Consumer => text.push_str(" (consumer)"),
    }
    match &span.status {
        Status::Unset => {}
        Status::Ok => text.push_str(" ok"),
        Status::Error { description } if description.is_empty() => text.push_str(" error"),
        // Writing to a string cannot fail.
        Status::Error { description } => {
            let _ = write!(text, " error[{description}]");
        }
    }
    write_attributes(text, &span.own_attributes, span.dropped_attributes);
    for event in span.events.iter() {
        let _ = write!(text, "\n{indent}  * {}", event.name);
        write_attributes(text, &event.attributes, event.dropped_attributes);
    }
    for link in span.links.iter() {
        let _ = write!(text, "\n{indent}  > {}:{}", link.span_context.trace_id(), link.span_context.span_id());
        write_attributes(text, &link.attributes, link.dropped_attributes_count);
    }
    for (dropped, what) in [(span.events.dropped(), "events"), (span.links.dropped(), "links")] {
        if dropped > 0 {
            let _ = write!(text, "\n{indent}  {dropped} {what} dropped");
        }
    }
    text.push('\n');
}

fn write_attributes(text: &mut String, attributes: &[KeyValue], dropped: u32) {
    for attribute in attributes {
        let _ = write!(text, " {}={}", attribute.key, attribute.value);
    }
    if dropped > 0 {
        let _ = write!(text, " ({dropped} attributes dropped)");
    }
}
