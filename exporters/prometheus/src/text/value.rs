//! Converts attribute values to text.
//!
//! spec: common/README.md#anyvalue-representation-for-non-otlp-protocols

use std::borrow::Cow;

use opentelemetry::{Array, Value};

use super::numbers::{float, signed};
use super::quoting::escaped;

/// Writes an attribute value as it appears between the quotes of a label.
#[inline]
pub(crate) fn write_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::String(text) => escaped(out, text.as_str()),
        Value::I64(number) => signed(out, *number),
        Value::Bool(bool) => out.extend_from_slice(bool_text(*bool)),
        Value::F64(number) => json_float(out, *number, ""),
        other => escaped(out, &value_text(other)),
    }
}

/// Returns an attribute value as text, without escaping.
pub(crate) fn value_text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text.as_str()),
        Value::Array(array) => Cow::Owned(json_array(array)),
        Value::I64(_) | Value::Bool(_) | Value::F64(_) => {
            let mut out = Vec::new();
            write_value(&mut out, value);
            Cow::Owned(String::from_utf8(out).unwrap_or_default())
        }
        // The enum is non-exhaustive. A future variant may provide its own text.
        other => other.as_str(),
    }
}

fn bool_text(bool: bool) -> &'static [u8] {
    if bool { b"true" } else { b"false" }
}

fn json_float(out: &mut Vec<u8>, number: f64, quote: &str) {
    if number.is_finite() {
        return float(out, number);
    }
    let name = if number.is_nan() {
        "NaN"
    } else if number > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    };
    [quote, name, quote].iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
}

fn json_array(array: &Array) -> String {
    fn list<T>(items: &[T], mut write: impl FnMut(&mut Vec<u8>, &T)) -> Vec<u8> {
        let mut json = vec![b'['];
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                json.push(b',');
            }
            write(&mut json, item);
        }
        json.push(b']');
        json
    }
    let json = match array {
        Array::Bool(items) => list(items, |out, item| out.extend_from_slice(bool_text(*item))),
        Array::I64(items) => list(items, |out, item| signed(out, *item)),
        Array::F64(items) => list(items, |out, item| json_float(out, *item, "\"")),
        Array::String(items) => list(items, |out, item| json_string(out, item.as_str())),
        other => return other.to_string(),
    };
    String::from_utf8(json).unwrap_or_default()
}

fn json_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend_from_slice(&[b'\\', c as u8]),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            '\0'..='\u{1f}' => out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes()),
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}
