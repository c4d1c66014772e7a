//! Log records in JSON.

use opentelemetry::logs::AnyValue;
use opentelemetry::{Key, SpanId};
use telemark_sdk::logs::{Scope, SdkLogRecord};

use super::scopes::Scopes;
use crate::encode::base64;
use crate::encode::groups::{Groups, Place};
use crate::encode::json::{
    array, array_field, bool_value, element, f64_value, hex_field, i64_value, key, schema_url_len, scope_field, string,
    string_field, string_value, u32_field, u64_field,
};
use crate::encode::part::{Part, Room, Written};

/// Appends `{"resourceLogs":[…]}` with one part of the batch. `resource` is the encoded resource.
pub(super) fn write(
    scopes: Scopes<'_>,
    resource: &[u8],
    groups: &Groups,
    part: Part<Place>,
    out: &mut Vec<u8>,
) -> Written<Place> {
    let schema_url = scopes.batch.resource.schema_url().unwrap_or_default();
    let mut room = Room::new(out.len(), part.limit, schema_url_len(schema_url) + "]}]}".len());
    let mut next = None;
    out.extend_from_slice(b"{\"resourceLogs\":[{\"resource\":");
    out.extend_from_slice(resource);
    out.extend_from_slice(b",\"scopeLogs\":[");
    for (number, _, items) in groups.from(part.from) {
        let (start, written) = (out.len(), room.items());
        let mut items = items.peekable();
        let Some(scope) = items.peek().and_then(|&item| scopes.get(item)) else { continue };
        let records = items.filter_map(|item| Some((item, scopes.batch.get(item)?)));
        let left = write_scope_logs(out, &mut room, scope, records);
        next = left.map(|item| Place::new(number, item));
        if next.is_some() {
            if room.items() == written {
                // Not even the first record fits after those of the previous scopes.
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

/// Writes a scope's records. Returns the number of the first record that does not fit.
fn write_scope_logs<'a>(
    out: &mut Vec<u8>,
    room: &mut Room,
    scope: &Scope,
    mut records: impl Iterator<Item = (usize, &'a SdkLogRecord)>,
) -> Option<usize> {
    let schema_url = scope.schema_url().unwrap_or_default();
    let tail = schema_url_len(schema_url) + "]}".len();
    element(out);
    out.push(b'{');
    scope_field(out, scope);
    key(out, "logRecords");
    out.push(b'[');
    let left = records.find(|&(_, record)| {
        !room.write(out, tail, |out| {
            element(out);
            write_record(out, record);
        })
    });
    out.push(b']');
    string_field(out, "schemaUrl", schema_url);
    out.push(b'}');
    left.map(|(item, _)| item)
}

fn write_record(out: &mut Vec<u8>, record: &SdkLogRecord) {
    out.push(b'{');
    if let Some(time) = record.timestamp() {
        u64_field(out, "timeUnixNano", time.as_nanos());
    }
    if let Some(time) = record.observed_timestamp() {
        u64_field(out, "observedTimeUnixNano", time.as_nanos());
    }
    u32_field(out, "severityNumber", record.severity_number().map_or(0, |severity| severity as u32));
    string_field(out, "severityText", record.severity_text().unwrap_or_default());
    if let Some(body) = record.body() {
        key(out, "body");
        value(out, body);
    }
    array_field(out, "attributes", record.attributes(), |out, (key, value)| attribute(out, key, value));
    u32_field(out, "droppedAttributesCount", record.dropped_attributes());
    if let Some(context) = record.trace_context() {
        u32_field(out, "flags", context.trace_flags.map_or(0, |flags| u32::from(flags.to_u8())));
        hex_field(out, "traceId", &context.trace_id.to_bytes());
        if context.span_id != SpanId::INVALID {
            hex_field(out, "spanId", &context.span_id.to_bytes());
        }
    }
    string_field(out, "eventName", record.event_name().unwrap_or_default());
    out.push(b'}');
}

fn attribute(out: &mut Vec<u8>, key: &Key, own: &AnyValue) {
    out.extend_from_slice(b"{\"key\":");
    string(out, key.as_str());
    out.extend_from_slice(b",\"value\":");
    value(out, own);
    out.push(b'}');
}

/// Writes an `AnyValue`. The SDK's limits bound the nesting depth and therefore the recursion.
fn value(out: &mut Vec<u8>, own: &AnyValue) {
    match own {
        AnyValue::Boolean(own) => bool_value(out, *own),
        AnyValue::Int(own) => i64_value(out, *own),
        AnyValue::Double(own) => f64_value(out, *own),
        AnyValue::String(text) => string_value(out, text.as_str()),
        AnyValue::Bytes(bytes) => {
            out.extend_from_slice(b"{\"bytesValue\":\"");
            base64::encode(out, bytes);
            out.extend_from_slice(b"\"}");
        }
        AnyValue::ListAny(list) => {
            out.extend_from_slice(b"{\"arrayValue\":{\"values\":");
            array(out, &**list, value);
            out.extend_from_slice(b"}}");
        }
        AnyValue::Map(map) => {
            out.extend_from_slice(b"{\"kvlistValue\":{\"values\":");
            array(out, &**map, |out, (key, own)| attribute(out, key, own));
            out.extend_from_slice(b"}}");
        }
        // The enum is non-exhaustive. Unknown values are sent as text.
        other => string_value(out, &format!("{other:?}")),
    }
}
