//! Limits on the values of a record, which nest: the length of strings and bytes, and the depth.

use opentelemetry::logs::AnyValue;

use crate::attributes::truncate_string;
use crate::limits::LogRecordLimits;

/// Truncates strings to `length` characters and bytes to `length` bytes, at any depth, and empties lists and maps that are
/// nested deeper than `depth`, which is at most [`LogRecordLimits::MAX_DEPTH`]. The outermost list or map has the depth 1.
///
/// spec: common/README.md#attribute-limits. The API has no empty value, so an emptied list stays a list.
#[inline]
pub(super) fn limit(value: &mut AnyValue, length: Option<usize>, depth: usize) {
    match value {
        AnyValue::Int(_) | AnyValue::Double(_) | AnyValue::Boolean(_) => {}
        AnyValue::String(_) if length.is_none() => {}
        _ => shorten(value, length, depth.min(LogRecordLimits::MAX_DEPTH)),
    }
}

/// Limits a value that may be too large.
fn shorten(value: &mut AnyValue, length: Option<usize>, depth: usize) {
    match value {
        AnyValue::String(text) => {
            if let Some(length) = length {
                truncate_string(text, length);
            }
        }
        AnyValue::Bytes(bytes) => bytes.truncate(length.unwrap_or(usize::MAX)),
        AnyValue::ListAny(list) if depth == 0 => dismantle(std::mem::take(&mut **list)),
        AnyValue::Map(map) if depth == 0 => dismantle(std::mem::take(&mut **map).into_values().collect()),
        AnyValue::ListAny(list) => list.iter_mut().for_each(|value| shorten(value, length, depth - 1)),
        AnyValue::Map(map) => map.values_mut().for_each(|value| shorten(value, length, depth - 1)),
        _ => {}
    }
}

/// Drops nested values one after another. Dropped by recursion, a value that is nested very deeply would overflow the stack.
fn dismantle(mut values: Vec<AnyValue>) {
    while let Some(value) = values.pop() {
        match value {
            AnyValue::ListAny(list) => values.extend(*list),
            AnyValue::Map(map) => values.extend(map.into_values()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares a value within limits, as `Debug` output without the names of variants, with `expected`.
    fn check(mut value: AnyValue, length: Option<usize>, depth: usize, expected: &str) {
        limit(&mut value, length, depth);
        assert_eq!(text(&value), expected);
    }

    fn text(value: &AnyValue) -> String {
        match value {
            AnyValue::Int(number) => number.to_string(),
            AnyValue::String(text) => format!("{:?}", text.as_str()),
            AnyValue::Bytes(bytes) => format!("{bytes:x?}"),
            AnyValue::ListAny(list) => format!("[{}]", list.iter().map(text).collect::<Vec<_>>().join(",")),
            AnyValue::Map(map) => {
                let fields: Vec<_> = map.iter().map(|(key, value)| format!("{key}:{}", text(value))).collect();
                format!("{{{}}}", fields.join(","))
            }
            other => format!("{other:?}"),
        }
    }

    fn list(value: impl Into<AnyValue>) -> AnyValue {
        AnyValue::from_iter([value.into()])
    }

    fn map(key: &'static str, value: impl Into<AnyValue>) -> AnyValue {
        AnyValue::from_iter([(key, value.into())])
    }

    #[test]
    fn what_nests_deeper_than_the_limit_is_emptied() {
        check(list(1), None, 2, "[1]");
        check(list(list(1)), None, 2, "[[1]]");
        check(list(list(list(1))), None, 2, "[[[]]]");
        check(map("a", map("b", map("c", 1))), None, 2, "{a:{b:{}}}");
        check(map("a", list("b")), None, 1, "{a:[]}");
        check(AnyValue::from(7), None, 1, "7");
    }

    #[test]
    fn strings_are_cut_at_characters_and_bytes_at_bytes_however_deep() {
        check(AnyValue::from("größe"), Some(3), 64, "\"grö\"");
        check(AnyValue::from(&b"\x01\x02\x03"[..]), Some(2), 64, "[1, 2]");
        check(map("key", list("größe")), Some(3), 64, "{key:[\"grö\"]}");
        check(AnyValue::from("größe"), None, 64, "\"größe\"");
    }

    #[test]
    fn a_value_nested_a_million_times_is_cut_and_overflows_no_stack() {
        let mut value = AnyValue::from(1);
        for _ in 0..1_000_000 {
            value = list(value);
        }
        check(value, None, 3, "[[[[]]]]");
    }
}
