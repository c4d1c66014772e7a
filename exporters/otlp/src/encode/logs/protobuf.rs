//! Log records in protobuf.

use opentelemetry::logs::AnyValue;
use opentelemetry::{Key, SpanId};
use telemark_sdk::logs::SdkLogRecord;

use super::scopes::Scopes;
use crate::encode::groups::{Groups, Place};
use crate::encode::part::{Part, Room, WIDER, Written};
use crate::encode::wire::{
    close_message, fixed32, fixed64, number, string_len, varint_len, with_length, write_bytes, write_message,
    write_number, write_scope, write_string, write_varint,
};

/// The typical size of a record, used only to guess the width of length fields.
const USUAL_RECORD: usize = 200;

/// Appends an `ExportLogsServiceRequest` with one part of the batch. `resource` is the encoded field `resource`.
pub(super) fn write(
    scopes: Scopes<'_>,
    resource: &[u8],
    groups: &Groups,
    part: Part<Place>,
    out: &mut Vec<u8>,
) -> Written<Place> {
    let batch = scopes.batch;
    let width = |len: usize| varint_len((len * USUAL_RECORD).min(part.limit) as u64);
    let schema_url = batch.resource.schema_url().unwrap_or_default();
    let mut room = Room::new(out.len(), part.limit, string_len(schema_url) + WIDER);
    let mut next = None;
    write_message(out, with_length(1), width(batch.len()), |out| {
        out.extend_from_slice(resource);
        for (number, len, mut items) in groups.from(part.from) {
            let Some((first, scope)) = items.next().and_then(|item| Some((item, scopes.get(item)?))) else { continue };
            let (start, written) = (out.len(), room.items());
            write_message(out, with_length(2), width(len), |out| {
                write_scope(out, scope);
                let schema_url = scope.schema_url().unwrap_or_default();
                let tail = string_len(schema_url) + WIDER;
                let mut does_not_fit = |record: &SdkLogRecord| !room.write(out, tail, |out| write_record(out, record));
                let left = if len == batch.len() {
                    // There is only one group, so iterate over the batch in order.
                    let mut records = batch.slice(first..len).iter();
                    records.position(&mut does_not_fit).map(|position| first + position)
                } else {
                    let mut records = std::iter::once(first).chain(items);
                    records.find(|&item| batch.get(item).is_some_and(&mut does_not_fit))
                };
                next = left.map(|item| Place::new(number, item));
                write_string(out, with_length(3), schema_url);
            });
            if next.is_some() {
                if room.items() == written {
                    // Not even the first record fits after those of the previous scopes.
                    out.truncate(start);
                }
                break;
            }
        }
        write_string(out, with_length(3), schema_url);
    });
    Written { items: room.items(), next }
}

fn write_record(out: &mut Vec<u8>, record: &SdkLogRecord) {
    out.push(with_length(2));
    let start = out.len();
    out.extend_from_slice(&[0; 2]);
    if let Some(time) = record.timestamp() {
        out.push(fixed64(1));
        out.extend_from_slice(&time.as_nanos().to_le_bytes());
    }
    write_number(out, number(2), record.severity_number().map_or(0, |severity| severity as u64));
    write_string(out, with_length(3), record.severity_text().unwrap_or_default());
    if let Some(body) = record.body() {
        write_value(out, with_length(5), body);
    }
    for (key, value) in record.attributes() {
        write_attribute(out, with_length(6), key, value);
    }
    write_number(out, number(7), u64::from(record.dropped_attributes()));
    if let Some(context) = record.trace_context() {
        if let Some(flags) = context.trace_flags.filter(|flags| flags.to_u8() != 0) {
            out.push(fixed32(8));
            out.extend_from_slice(&u32::from(flags.to_u8()).to_le_bytes());
        }
        out.extend_from_slice(&[with_length(9), 16]);
        out.extend_from_slice(&context.trace_id.to_bytes());
        if context.span_id != SpanId::INVALID {
            out.extend_from_slice(&[with_length(10), 8]);
            out.extend_from_slice(&context.span_id.to_bytes());
        }
    }
    if let Some(time) = record.observed_timestamp() {
        out.push(fixed64(11));
        out.extend_from_slice(&time.as_nanos().to_le_bytes());
    }
    write_string(out, with_length(12), record.event_name().unwrap_or_default());
    close_message(out, start, 2);
}

/// Writes a `KeyValue`.
fn write_attribute(out: &mut Vec<u8>, tag: u8, key: &Key, value: &AnyValue) {
    let key = key.as_str().as_bytes();
    let probable = key.len() + text_len(value) + 10;
    write_message(out, tag, varint_len(probable as u64), |out| {
        write_bytes(out, with_length(1), key);
        write_value(out, with_length(2), value);
    });
}

/// Writes an `AnyValue`. Writes default values as well, because they are members of a `oneof`. The SDK's limits bound the
/// nesting depth and therefore the recursion.
fn write_value(out: &mut Vec<u8>, tag: u8, value: &AnyValue) {
    match value {
        AnyValue::Boolean(value) => out.extend_from_slice(&[tag, 2, number(2), u8::from(*value)]),
        AnyValue::Int(value) => {
            let value = *value as u64;
            out.extend_from_slice(&[tag, 1 + varint_len(value) as u8, number(3)]);
            write_varint(out, value);
        }
        AnyValue::Double(value) => {
            out.extend_from_slice(&[tag, 9, fixed64(4)]);
            out.extend_from_slice(&value.to_le_bytes());
        }
        AnyValue::String(text) => write_content(out, tag, with_length(1), text.as_str().as_bytes()),
        AnyValue::Bytes(bytes) => write_content(out, tag, with_length(7), bytes),
        AnyValue::ListAny(list) => write_message(out, tag, 1, |out| {
            write_message(out, with_length(5), 1, |out| {
                list.iter().for_each(|value| write_value(out, with_length(1), value));
            });
        }),
        AnyValue::Map(map) => write_message(out, tag, 1, |out| {
            write_message(out, with_length(6), 1, |out| {
                map.iter().for_each(|(key, value)| write_attribute(out, with_length(1), key, value));
            });
        }),
        // The enum is non-exhaustive. Unknown values are sent as text.
        other => write_content(out, tag, with_length(1), format!("{other:?}").as_bytes()),
    }
}

/// Writes an `AnyValue` that contains bytes.
fn write_content(out: &mut Vec<u8>, tag: u8, kind: u8, bytes: &[u8]) {
    out.push(tag);
    write_varint(out, (1 + varint_len(bytes.len() as u64) + bytes.len()) as u64);
    write_bytes(out, kind, bytes);
}

fn text_len(value: &AnyValue) -> usize {
    match value {
        AnyValue::String(text) => text.as_str().len(),
        AnyValue::Bytes(bytes) => bytes.len(),
        _ => 0,
    }
}
