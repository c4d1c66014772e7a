//! JSON as the specification defines it: 64-bit integers as strings, enum values as numbers, lowerCamelCase.
//!
//! The writers keep no state: the last byte written determines whether a comma is needed.

use std::io::Write;

use opentelemetry::{Array, InstrumentationScope, KeyValue, Value};

/// Begins an object field. Like other functions here, not inlined because it has dozens of callers.
#[inline(never)]
pub(super) fn key(out: &mut Vec<u8>, name: &str) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// Begins an array element.
pub(super) fn element(out: &mut Vec<u8>) {
    if out.last() != Some(&b'[') {
        out.push(b',');
    }
}

/// Writes a string field, unless the string is empty, which is the default.
pub(super) fn string_field(out: &mut Vec<u8>, name: &str, text: &str) {
    if !text.is_empty() {
        key(out, name);
        string(out, text);
    }
}

/// Returns the maximum length of the field `schemaUrl`. An escape can turn one byte into six.
pub(super) fn schema_url_len(url: &str) -> usize {
    ",\"schemaUrl\":\"\"".len() + 6 * url.len()
}

/// Writes a 32-bit field, unless the number is zero, which is the default.
#[inline(never)]
pub(super) fn u32_field(out: &mut Vec<u8>, name: &str, value: u32) {
    if value != 0 {
        key(out, name);
        display(out, value);
    }
}

/// Writes a 64-bit field, which is a string in JSON, even if it is zero.
#[inline(never)]
pub(super) fn u64_field(out: &mut Vec<u8>, name: &str, value: u64) {
    key(out, name);
    quoted(out, value);
}

/// Writes a floating-point field, even if it is zero.
pub(super) fn f64_field(out: &mut Vec<u8>, name: &str, value: f64) {
    key(out, name);
    float(out, value);
}

/// Writes a signed 32-bit field, unless the number is zero, which is the default.
pub(super) fn i32_field(out: &mut Vec<u8>, name: &str, value: i32) {
    if value != 0 {
        key(out, name);
        display(out, value);
    }
}

/// Writes a 64-bit number, which is a string in JSON.
pub(super) fn quoted(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    out.push(b'"');
    display(out, value);
    out.push(b'"');
}

/// Writes an id field in hexadecimal, not in base64 as in protobuf's JSON mapping.
#[inline(never)]
pub(super) fn hex_field(out: &mut Vec<u8>, name: &str, bytes: &[u8]) {
    key(out, name);
    out.push(b'"');
    for byte in bytes {
        out.extend_from_slice(&[hex_digit(byte >> 4), hex_digit(byte & 15)]);
    }
    out.push(b'"');
}

/// Writes an array field, unless the array is empty.
pub(super) fn array_field<T>(
    out: &mut Vec<u8>,
    name: &str,
    items: impl IntoIterator<Item = T>,
    write: impl Fn(&mut Vec<u8>, T),
) {
    let mut items = items.into_iter().peekable();
    if items.peek().is_none() {
        return;
    }
    key(out, name);
    array(out, items, write);
}

/// Writes the `scope` field that precedes the spans, metrics or logs of a scope.
pub(super) fn scope_field(out: &mut Vec<u8>, scope: &InstrumentationScope) {
    key(out, "scope");
    out.push(b'{');
    string_field(out, "name", scope.name());
    string_field(out, "version", scope.version().unwrap_or_default());
    attributes(out, scope.attributes());
    out.push(b'}');
}

/// Writes the field `attributes`, unless it is empty.
pub(super) fn attributes<'a>(out: &mut Vec<u8>, attributes: impl IntoIterator<Item = &'a KeyValue>) {
    attributes_field(out, "attributes", attributes);
}

/// Writes an attributes field, unless it is empty.
pub(super) fn attributes_field<'a>(out: &mut Vec<u8>, name: &str, attributes: impl IntoIterator<Item = &'a KeyValue>) {
    array_field(out, name, attributes, |out, attribute| {
        out.extend_from_slice(b"{\"key\":");
        string(out, attribute.key.as_str());
        out.extend_from_slice(b",\"value\":");
        value(out, &attribute.value);
        out.push(b'}');
    });
}

/// Writes a string with quotes and escapes.
#[inline(never)]
pub(super) fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    escaped(out, text);
    out.push(b'"');
}

/// Writes the contents of a string, without the quotes.
pub(super) fn escaped(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let mut written = 0;
    for (index, &byte) in bytes.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[written..index]);
        written = index + 1;
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[hex_digit(control >> 4), hex_digit(control & 15)]);
            }
        }
    }
    out.extend_from_slice(&bytes[written..]);
}

fn hex_digit(nibble: u8) -> u8 {
    b"0123456789abcdef"[usize::from(nibble & 15)]
}

fn display(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    // Writing to memory cannot fail.
    let _ = write!(out, "{value}");
}

pub(super) fn array<T>(out: &mut Vec<u8>, items: impl IntoIterator<Item = T>, write: impl Fn(&mut Vec<u8>, T)) {
    out.push(b'[');
    for item in items {
        element(out);
        write(out, item);
    }
    out.push(b']');
}

fn value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Bool(value) => bool_value(out, *value),
        Value::I64(value) => i64_value(out, *value),
        Value::F64(value) => f64_value(out, *value),
        Value::String(value) => string_value(out, value.as_str()),
        Value::Array(values) => array_value(out, values),
        // The enum is non-exhaustive. Unknown values are sent as text.
        other => string_value(out, &other.as_str()),
    }
}

pub(super) fn bool_value(out: &mut Vec<u8>, value: bool) {
    out.extend_from_slice(b"{\"boolValue\":");
    display(out, value);
    out.push(b'}');
}

pub(super) fn i64_value(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(b"{\"intValue\":\"");
    display(out, value);
    out.extend_from_slice(b"\"}");
}

pub(super) fn f64_value(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(b"{\"doubleValue\":");
    float(out, value);
    out.push(b'}');
}

/// Writes a floating-point number.
pub(super) fn float(out: &mut Vec<u8>, value: f64) {
    // JSON does not support these numbers, so protobuf's JSON mapping writes them as strings.
    if value.is_nan() {
        out.extend_from_slice(b"\"NaN\"");
    } else if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"\"Infinity\"" } else { b"\"-Infinity\"" });
    } else {
        // `Debug` uses an exponent for numbers that `Display` would write with three hundred digits.
        let _ = write!(out, "{value:?}");
    }
}

pub(super) fn string_value(out: &mut Vec<u8>, value: &str) {
    out.extend_from_slice(b"{\"stringValue\":");
    string(out, value);
    out.push(b'}');
}

fn array_value(out: &mut Vec<u8>, values: &Array) {
    out.extend_from_slice(b"{\"arrayValue\":{\"values\":");
    match values {
        Array::Bool(values) => array(out, values, |out, &value| bool_value(out, value)),
        Array::I64(values) => array(out, values, |out, &value| i64_value(out, value)),
        Array::F64(values) => array(out, values, |out, &value| f64_value(out, value)),
        Array::String(values) => array(out, values, |out, value| string_value(out, value.as_str())),
        other => array(out, [other.to_string()], |out, value| string_value(out, &value)),
    }
    out.extend_from_slice(b"}}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(given: impl Into<Value>, expected: &str) {
        let mut out = Vec::new();
        value(&mut out, &given.into());
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn values() {
        check(true, r#"{"boolValue":true}"#);
        check(i64::MIN, r#"{"intValue":"-9223372036854775808"}"#);
        check(1.5, r#"{"doubleValue":1.5}"#);
        check(f64::NAN, r#"{"doubleValue":"NaN"}"#);
        check(f64::NEG_INFINITY, r#"{"doubleValue":"-Infinity"}"#);
        check(1e300, r#"{"doubleValue":1e300}"#);
        check("a\"b\\c\n\u{1}ü", r#"{"stringValue":"a\"b\\c\n\u0001ü"}"#);
        check(
            Value::Array(Array::I64(vec![1, -2])),
            r#"{"arrayValue":{"values":[{"intValue":"1"},{"intValue":"-2"}]}}"#,
        );
        check(Value::Array(Array::Bool(vec![])), r#"{"arrayValue":{"values":[]}}"#);
    }

    proptest! {
        #[test]
        fn strings_read_back(text: String) {
            let mut out = Vec::new();
            string(&mut out, &text);
            prop_assert!(!out.contains(&b'\n'));
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }
}
