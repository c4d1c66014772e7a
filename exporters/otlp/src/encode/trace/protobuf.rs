//! Spans in protobuf.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::ops::Range;

use opentelemetry::InstrumentationScope;
use opentelemetry::trace::{Link, SpanId, Status, TraceState};
use telemark_sdk::Batch;
use telemark_sdk::signal::Traces;
use telemark_sdk::trace::{CallSite, SpanEvent, SpanView};

use super::values::{kind, link_flags, span_flags};
use crate::encode::groups::{AddressHasher, Groups, Place};
use crate::encode::part::{Part, Room, WIDER, Written};
use crate::encode::wire::{
    close_message, fixed32, fixed64, number, string_len, varint_len, with_length, write_attribute, write_message,
    write_number, write_scope, write_string,
};

/// Appends an `ExportTraceServiceRequest` with one part of the batch. `resource` is the encoded field `resource`.
pub(super) fn write(
    batch: Batch<'_, Traces>,
    resource: &[u8],
    groups: &Groups,
    call_sites: &mut CallSites,
    part: Part<Place>,
    out: &mut Vec<u8>,
) -> Written<Place> {
    let width = |len: usize| varint_len((len * USUAL_SPAN).min(part.limit) as u64);
    let schema_url = batch.resource.schema_url().unwrap_or_default();
    let mut room = Room::new(out.len(), part.limit, string_len(schema_url) + WIDER);
    let mut next = None;
    write_message(out, with_length(1), width(batch.len()), |out| {
        out.extend_from_slice(resource);
        for (number, len, mut items) in groups.from(part.from) {
            let Some((first, span)) = items.next().and_then(|item| Some((item, batch.get(item)?))) else { continue };
            let scope: &InstrumentationScope = span.scope();
            let (start, written) = (out.len(), room.items());
            write_message(out, with_length(2), width(len), |out| {
                write_scope(out, scope);
                let schema_url = scope.schema_url().unwrap_or_default();
                let tail = string_len(schema_url) + WIDER;
                let mut does_not_fit =
                    |span: SpanView<'_>| !room.write(out, tail, |out| write_span(out, call_sites, span));
                let left = if len == batch.len() {
                    // There is only one group, as in most batches, so iterate over the batch in order.
                    let mut spans = batch.slice(first..len).iter();
                    spans.position(&mut does_not_fit).map(|position| first + position)
                } else {
                    let mut spans = std::iter::once(first).chain(items);
                    spans.find(|&item| batch.get(item).is_some_and(&mut does_not_fit))
                };
                next = left.map(|item| Place::new(number, item));
                write_string(out, with_length(3), schema_url);
            });
            if next.is_some() {
                if room.items() == written {
                    // Not even the first span fits after those of the previous scopes.
                    out.truncate(start);
                }
                break;
            }
        }
        write_string(out, with_length(3), schema_url);
    });
    Written { items: room.items(), next }
}

/// The encoded attributes of call sites. Their number is bounded, because each `#[traced]` function in the program has
/// one.
#[derive(Debug, Default)]
pub(super) struct CallSites {
    /// Keyed by address, because call sites are static.
    ranges: HashMap<usize, Range<usize>, BuildHasherDefault<AddressHasher>>,
    bytes: Vec<u8>,
}

impl CallSites {
    fn encoded(&mut self, site: &'static CallSite) -> &[u8] {
        let address = std::ptr::from_ref(site).addr();
        let range = self.ranges.entry(address).or_insert_with(|| {
            let start = self.bytes.len();
            for attribute in site.attributes() {
                write_attribute(&mut self.bytes, SPAN_ATTRIBUTE, attribute);
            }
            start..self.bytes.len()
        });
        &self.bytes[range.clone()]
    }
}

/// The approximate size of a span in bytes, used only to guess the width of length fields.
const USUAL_SPAN: usize = 180;
const SPAN_ATTRIBUTE: u8 = with_length(9);
/// `flags` is field 16, whose tag needs two bytes.
const SPAN_FLAGS: [u8; 2] = [0x85, 0x01];

/// The length of the fixed layout at the start of every span, 57 bytes. It is written with a single copy, because only
/// the values differ.
const HEAD: usize = 3 + 18 + 10 + 6 + 2 + 9 + 9;

fn write_span(out: &mut Vec<u8>, call_sites: &mut CallSites, span: SpanView<'_>) {
    let mut head = [0; HEAD];
    head[0] = with_length(2);
    // head[1..3] is filled with the length later.
    head[3] = with_length(1);
    head[4] = 16;
    head[5..21].copy_from_slice(&span.trace_id().to_bytes());
    head[21] = with_length(2);
    head[22] = 8;
    head[23..31].copy_from_slice(&span.span_id().to_bytes());
    head[31..33].copy_from_slice(&SPAN_FLAGS);
    head[33..37].copy_from_slice(&span_flags(span).to_le_bytes());
    head[37] = number(6);
    head[38] = kind(span.kind());
    head[39] = fixed64(7);
    head[40..48].copy_from_slice(&span.start().as_nanos().to_le_bytes());
    head[48] = fixed64(8);
    head[49..57].copy_from_slice(&span.end().as_nanos().to_le_bytes());
    let start = out.len() + 1;
    out.extend_from_slice(&head);
    if span.parent_span_id() != SpanId::INVALID {
        let mut parent = [with_length(4), 8, 0, 0, 0, 0, 0, 0, 0, 0];
        parent[2..].copy_from_slice(&span.parent_span_id().to_bytes());
        out.extend_from_slice(&parent);
    }
    write_string(out, with_length(5), span.name());
    write_attributes(out, call_sites, span);
    if span.has_rare_fields() {
        write_rest(out, span);
    }
    close_message(out, start, 2);
}

#[inline]
fn write_attributes(out: &mut Vec<u8>, call_sites: &mut CallSites, span: SpanView<'_>) {
    match span.call_site() {
        Some(site) => {
            for attribute in span.own_attributes() {
                write_attribute(out, SPAN_ATTRIBUTE, attribute);
            }
            // The span's own attributes take precedence over those of its call site, but very few spans repeat one of
            // them.
            if span.own_attributes().iter().any(|attribute| attribute.key.as_str().starts_with("code.")) {
                for attribute in span.attributes().skip(span.own_attributes().len()) {
                    write_attribute(out, SPAN_ATTRIBUTE, attribute);
                }
            } else {
                out.extend_from_slice(call_sites.encoded(site));
            }
        }
        None => {
            for attribute in span.own_attributes() {
                write_attribute(out, SPAN_ATTRIBUTE, attribute);
            }
        }
    }
}

/// Writes the fields that most spans do not have.
fn write_rest(out: &mut Vec<u8>, span: SpanView<'_>) {
    write_trace_state(out, span.trace_state());
    write_number(out, number(10), u64::from(span.dropped_attributes()));
    for event in span.events().iter() {
        write_event(out, event);
    }
    write_number(out, number(12), u64::from(span.events().dropped()));
    for link in span.links().iter() {
        write_link(out, link);
    }
    write_number(out, number(14), u64::from(span.links().dropped()));
    write_status(out, span.status());
}

fn write_event(out: &mut Vec<u8>, event: &SpanEvent) {
    write_message(out, with_length(11), 1, |out| {
        let mut time = [fixed64(1), 0, 0, 0, 0, 0, 0, 0, 0];
        time[1..].copy_from_slice(&event.time.as_nanos().to_le_bytes());
        out.extend_from_slice(&time);
        write_string(out, with_length(2), &event.name);
        for attribute in &event.attributes {
            write_attribute(out, with_length(3), attribute);
        }
        write_number(out, number(4), u64::from(event.dropped_attributes));
    });
}

fn write_link(out: &mut Vec<u8>, link: &Link) {
    let context = &link.span_context;
    write_message(out, with_length(13), 1, |out| {
        out.extend_from_slice(&[with_length(1), 16]);
        out.extend_from_slice(&context.trace_id().to_bytes());
        out.extend_from_slice(&[with_length(2), 8]);
        out.extend_from_slice(&context.span_id().to_bytes());
        write_trace_state(out, context.trace_state());
        for attribute in &link.attributes {
            write_attribute(out, with_length(4), attribute);
        }
        write_number(out, number(5), u64::from(link.dropped_attributes_count));
        out.push(fixed32(6));
        out.extend_from_slice(&link_flags(context).to_le_bytes());
    });
}

/// Writes field 3, which is the same for spans and links.
#[inline]
fn write_trace_state(out: &mut Vec<u8>, state: &TraceState) {
    let members = state.into_iter();
    if members.len() > 0 {
        write_message(out, with_length(3), 1, |out| write_trace_state_text(out, state));
    }
}

/// Writes the members in the format of the `tracestate` header.
fn write_trace_state_text(out: &mut Vec<u8>, state: &TraceState) {
    for (index, (key, value)) in state.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(key.as_bytes());
        out.push(b'=');
        out.extend_from_slice(value.as_bytes());
    }
}

fn write_status(out: &mut Vec<u8>, status: &Status) {
    match status {
        Status::Unset => {}
        Status::Ok => out.extend_from_slice(&[with_length(15), 2, number(3), 1]),
        Status::Error { description } => write_message(out, with_length(15), 1, |out| {
            write_string(out, with_length(2), description);
            out.extend_from_slice(&[number(3), 2]);
        }),
    }
}
