//! Converts attribute values to text, as the specification defines for protocols other than OTLP.

use std::borrow::Cow;
use std::fmt::Write;

use opentelemetry::{Array, Value};

/// Returns a value as text. Stops after an element of a long array once the text is certain to exceed `limit`
/// characters.
///
/// spec: common/README.md#anyvalue-representation-for-non-otlp-protocols
pub(crate) fn text(value: &Value, limit: usize) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text.as_str()),
        Value::F64(number) => Cow::Owned(float(*number)),
        Value::Array(array) => Cow::Owned(json(array, limit)),
        other => other.as_str(),
    }
}

/// Formats a float as in JSON. Values that JSON does not support are written by name, such as `Infinity`.
pub(crate) fn float(number: f64) -> String {
    match number {
        f64::INFINITY => "Infinity".to_owned(),
        f64::NEG_INFINITY => "-Infinity".to_owned(),
        number => number.to_string(),
    }
}

fn json(array: &Array, limit: usize) -> String {
    match array {
        Array::Bool(items) => list(items, limit, |out, item| push(out, item)),
        Array::I64(items) => list(items, limit, |out, item| push(out, item)),
        Array::F64(items) => list(items, limit, |out, item| match item.is_finite() {
            true => push(out, item),
            false => quoted(out, &float(*item), limit),
        }),
        Array::String(items) => list(items, limit, |out, item| quoted(out, item.as_str(), limit)),
        other => other.to_string(),
    }
}

fn list<T>(items: &[T], limit: usize, mut write: impl FnMut(&mut String, &T)) -> String {
    let mut out = "[".to_owned();
    for (index, item) in items.iter().enumerate() {
        if out.len() > limit.saturating_mul(4) {
            // The caller truncates the text anyway.
            return out;
        }
        if index > 0 {
            out.push(',');
        }
        write(&mut out, item);
    }
    out.push(']');
    out
}

fn push(out: &mut String, item: impl std::fmt::Display) {
    // Writing to a string cannot fail.
    let _ = write!(out, "{item}");
}

fn quoted(out: &mut String, text: &str, limit: usize) {
    out.push('"');
    for character in text.chars().take(limit) {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..='\u{1f}' => push(out, format_args!("\\u{:04x}", u32::from(character))),
            _ => out.push(character),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        let check = |value: Value, expected: &str| assert_eq!(text(&value, 100), expected);
        check("a \"b\"\n".into(), "a \"b\"\n");
        check(true.into(), "true");
        check((-7).into(), "-7");
        check(0.5.into(), "0.5");
        for (number, expected) in [(f64::NAN, "NaN"), (f64::INFINITY, "Infinity"), (f64::NEG_INFINITY, "-Infinity")] {
            check(number.into(), expected);
        }
        check(Value::Array(Array::F64(vec![1.5, f64::INFINITY])), r#"[1.5,"Infinity"]"#);
        check(Value::Array(Array::String(vec!["a\"b".into(), "c\\\n\u{1}".into()])), r#"["a\"b","c\\\n\u0001"]"#);
        check(Value::Array(Array::I64(vec![-1, 2])), "[-1,2]");
        check(Value::Array(Array::Bool(vec![true, false])), "[true,false]");
        check(Value::Array(Array::Bool(vec![])), "[]");
    }

    #[test]
    fn a_long_array_is_not_written_out() {
        let long = Value::Array(Array::String(vec!["x".repeat(1 << 20).into(); 1000]));
        assert!(text(&long, 100).len() < 1000);
    }
}
