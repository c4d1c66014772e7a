//! The protobuf wire format: variable-length numbers, nested messages, and the messages shared by all signals (attributes and
//! scopes).
//!
//! The length of a message precedes its body. For an attribute, the length is computed before the body is written. For larger
//! messages, the number of bytes needed for the length is guessed and reserved, and the body is moved in the rare case that
//! the guess is wrong.

use opentelemetry::{Array, InstrumentationScope, KeyValue, Value};

/// Returns the tag for a length-delimited field, such as a string or a message. `field` must not exceed 15.
pub(super) const fn with_length(field: u8) -> u8 {
    field << 3 | 2
}

/// Returns the tag for a field with a variable-length number.
pub(super) const fn number(field: u8) -> u8 {
    field << 3
}

/// Returns the tag for an eight-byte field.
pub(super) const fn fixed64(field: u8) -> u8 {
    field << 3 | 1
}

/// Returns the tag for a four-byte field.
pub(super) const fn fixed32(field: u8) -> u8 {
    field << 3 | 5
}

/// Returns the number of bytes in a variable-length number.
#[inline]
pub(super) const fn varint_len(value: u64) -> usize {
    // Each byte holds seven bits. Zero also takes one byte.
    (63 - (value | 1).leading_zeros() as usize) / 7 + 1
}

#[inline]
pub(super) fn write_varint(out: &mut Vec<u8>, mut value: u64) {
    if value < 0x80 {
        out.push(value as u8);
        return;
    }
    let mut bytes = [0u8; 10];
    let mut len = 0;
    for byte in &mut bytes {
        len += 1;
        if value < 0x80 {
            *byte = value as u8;
            break;
        }
        *byte = value as u8 | 0x80;
        value >>= 7;
    }
    out.extend_from_slice(&bytes[..len]);
}

/// Writes a number, unless it is zero, which is the default.
#[inline]
pub(super) fn write_number(out: &mut Vec<u8>, tag: u8, value: u64) {
    if value != 0 {
        out.push(tag);
        write_varint(out, value);
    }
}

/// Writes bytes with their length.
#[inline]
pub(super) fn write_bytes(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    if bytes.len() < 0x80 {
        out.extend_from_slice(&[tag, bytes.len() as u8]);
    } else {
        out.push(tag);
        write_varint(out, bytes.len() as u64);
    }
    out.extend_from_slice(bytes);
}

/// Writes a string, unless it is empty, which is the default.
#[inline]
pub(super) fn write_string(out: &mut Vec<u8>, tag: u8, text: &str) {
    if !text.is_empty() {
        write_bytes(out, tag, text.as_bytes());
    }
}

/// Writes a message. `width` is the number of bytes that its length will probably need.
#[inline]
pub(super) fn write_message(out: &mut Vec<u8>, tag: u8, width: usize, body: impl FnOnce(&mut Vec<u8>)) {
    out.push(tag);
    let start = out.len();
    out.extend_from_slice(&[0; 10][..width]);
    body(out);
    close_message(out, start, width);
}

/// Fills in the length of a message in the `width` bytes that are reserved for it at `start`.
#[inline]
pub(super) fn close_message(out: &mut Vec<u8>, start: usize, width: usize) {
    let len = out.len() - start - width;
    let needed = varint_len(len as u64);
    if needed != width {
        move_body(out, start, width, needed);
    }
    let mut rest = len;
    for byte in &mut out[start..start + needed - 1] {
        *byte = rest as u8 | 0x80;
        rest >>= 7;
    }
    out[start + needed - 1] = rest as u8;
}

#[cold]
fn move_body(out: &mut Vec<u8>, start: usize, width: usize, needed: usize) {
    let end = out.len();
    if needed > width {
        out.resize(end + needed - width, 0);
    }
    out.copy_within(start + width..end, start + needed);
    out.truncate(end + needed - width);
}

/// Writes the `scope` field that precedes the spans, metrics or logs of a scope.
pub(super) fn write_scope(out: &mut Vec<u8>, scope: &InstrumentationScope) {
    write_message(out, with_length(1), 1, |out| {
        write_string(out, with_length(1), scope.name());
        write_string(out, with_length(2), scope.version().unwrap_or_default());
        for attribute in scope.attributes() {
            write_attribute(out, with_length(3), attribute);
        }
    });
}

/// Writes a `KeyValue`.
#[inline]
pub(super) fn write_attribute(out: &mut Vec<u8>, tag: u8, attribute: &KeyValue) {
    let key = attribute.key.as_str().as_bytes();
    let value_len = value_len(&attribute.value);
    let len = 1 + varint_len(key.len() as u64) + key.len() + 1 + varint_len(value_len as u64) + value_len;
    if len < 0x80 {
        // In this case, every nested length takes one byte.
        out.extend_from_slice(&[tag, len as u8, with_length(1), key.len() as u8]);
        out.extend_from_slice(key);
        match &attribute.value {
            Value::Bool(value) => out.extend_from_slice(&[with_length(2), 2, number(2), u8::from(*value)]),
            Value::I64(value) if (0..0x80).contains(value) => {
                out.extend_from_slice(&[with_length(2), 2, number(3), *value as u8]);
            }
            Value::String(value) => {
                let value = value.as_str().as_bytes();
                out.extend_from_slice(&[with_length(2), value_len as u8, with_length(1), value.len() as u8]);
                out.extend_from_slice(value);
            }
            value => {
                out.extend_from_slice(&[with_length(2), value_len as u8]);
                write_value(out, value);
            }
        }
        return;
    }
    out.push(tag);
    write_varint(out, len as u64);
    write_bytes(out, with_length(1), key);
    out.push(with_length(2));
    write_varint(out, value_len as u64);
    write_value(out, &attribute.value);
}

/// Returns the length of an `AnyValue`.
#[inline]
fn value_len(value: &Value) -> usize {
    match value {
        Value::Bool(_) => 2,
        Value::I64(value) => 1 + varint_len(*value as u64),
        Value::F64(_) => 9,
        Value::String(value) => string_len(value.as_str()),
        Value::Array(array) => {
            let len = array_len(array);
            1 + varint_len(len as u64) + len
        }
        // The enum is non-exhaustive. Unknown values are sent as text.
        other => string_len(&other.as_str()),
    }
}

/// Returns the length of a string field. For an empty string, the result is an upper bound, because the field is omitted.
pub(super) fn string_len(text: &str) -> usize {
    1 + varint_len(text.len() as u64) + text.len()
}

/// Returns the length of an `ArrayValue`, whose elements are `AnyValue`s.
fn array_len(array: &Array) -> usize {
    let element = |len: usize| 1 + varint_len(len as u64) + len;
    match array {
        Array::Bool(values) => values.len() * element(2),
        Array::I64(values) => values.iter().map(|&value| element(1 + varint_len(value as u64))).sum(),
        Array::F64(values) => values.len() * element(9),
        Array::String(values) => values.iter().map(|value| element(string_len(value.as_str()))).sum(),
        other => element(string_len(&other.to_string())),
    }
}

/// Writes the body of an `AnyValue`. Writes default values as well, because they are members of a `oneof`.
fn write_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Bool(value) => write_bool(out, *value),
        Value::I64(value) => write_i64(out, *value),
        Value::F64(value) => write_f64(out, *value),
        Value::String(value) => write_bytes(out, with_length(1), value.as_str().as_bytes()),
        Value::Array(array) => {
            out.push(with_length(5));
            write_varint(out, array_len(array) as u64);
            write_elements(out, array);
        }
        other => write_bytes(out, with_length(1), other.as_str().as_bytes()),
    }
}

fn write_elements(out: &mut Vec<u8>, array: &Array) {
    const ELEMENT: u8 = with_length(1);
    match array {
        Array::Bool(values) => {
            for &value in values {
                out.extend_from_slice(&[ELEMENT, 2]);
                write_bool(out, value);
            }
        }
        Array::I64(values) => {
            for &value in values {
                out.extend_from_slice(&[ELEMENT, 1 + varint_len(value as u64) as u8]);
                write_i64(out, value);
            }
        }
        Array::F64(values) => {
            for &value in values {
                out.extend_from_slice(&[ELEMENT, 9]);
                write_f64(out, value);
            }
        }
        Array::String(values) => {
            for value in values {
                out.push(ELEMENT);
                write_varint(out, string_len(value.as_str()) as u64);
                write_bytes(out, with_length(1), value.as_str().as_bytes());
            }
        }
        other => {
            let text = other.to_string();
            out.push(ELEMENT);
            write_varint(out, string_len(&text) as u64);
            write_bytes(out, with_length(1), text.as_bytes());
        }
    }
}

fn write_bool(out: &mut Vec<u8>, value: bool) {
    out.extend_from_slice(&[number(2), u8::from(value)]);
}

fn write_i64(out: &mut Vec<u8>, value: i64) {
    out.push(number(3));
    write_varint(out, value as u64);
}

fn write_f64(out: &mut Vec<u8>, value: f64) {
    out.push(fixed64(4));
    out.extend_from_slice(&value.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_have_the_computed_length() {
        for value in (0..64).flat_map(|bit| [(1u64 << bit) - 1, 1 << bit]).chain([u64::MAX]) {
            let mut out = Vec::new();
            write_varint(&mut out, value);
            assert_eq!(out.len(), varint_len(value), "{value}");
            assert_eq!(prost::encoding::decode_varint(&mut &*out), Ok(value));
        }
    }

    proptest! {
        #[test]
        fn a_message_may_guess_any_width(len in 0usize..40_000, width in 1usize..5) {
            let mut out = vec![7];
            write_message(&mut out, 0x0a, width, |out| out.resize(out.len() + len, 5));
            let mut rest = &out[2..];
            prop_assert_eq!(prost::encoding::decode_varint(&mut rest), Ok(len as u64));
            prop_assert_eq!(rest, &vec![5; len]);
            prop_assert_eq!(&out[..2], &[7, 0x0a]);
        }
    }
}
