//! Attribute collections: keys are unique and non-empty, the last value wins, the number and length of attributes are
//! limited, and drops are counted. Also computes the memory that attributes occupy.

use opentelemetry::{Array, InstrumentationScope, KeyValue, StringValue, Value};

use crate::limits::AttributeLimits;

/// Sets `attribute`, replacing an earlier value of the same key.
///
/// Drops the attribute if its key is empty, or if its key is new and the limit has been reached, and counts the drop in
/// `dropped`. Replacing a value is always possible.
///
/// spec: common/README.md#attribute, #attribute-collections, #attribute-limits
#[inline]
pub fn set(attributes: &mut Vec<KeyValue>, dropped: &mut u32, mut attribute: KeyValue, limits: AttributeLimits) {
    if !has_key(&attribute) {
        *dropped = dropped.saturating_add(1);
        return;
    }
    truncate(&mut attribute.value, limits.value_length);
    let full = attributes.len() >= limits.count;
    match attributes.iter_mut().find(|existing| same_key(existing, &attribute)) {
        Some(existing) => existing.value = attribute.value,
        None if !full => attributes.push(attribute),
        None => *dropped = dropped.saturating_add(1),
    }
}

/// Applies the rules of [`set`] to a whole list of attributes, in place.
#[inline]
pub fn normalize(attributes: &mut Vec<KeyValue>, dropped: &mut u32, limits: AttributeLimits) {
    if limits.value_length.is_some() {
        attributes.iter_mut().for_each(|attribute| truncate(&mut attribute.value, limits.value_length));
    }
    let within = attributes.len() <= limits.count;
    if within && all_valid(attributes) {
        return;
    }
    rebuild(attributes, dropped, limits);
}

/// Handles the rare cases of [`normalize`]: empty keys, duplicate keys, or too many attributes.
#[cold]
fn rebuild(attributes: &mut Vec<KeyValue>, dropped: &mut u32, limits: AttributeLimits) {
    let mut kept = 0;
    for next in 0..attributes.len() {
        let (head, tail) = attributes.split_at_mut(next);
        let Some(attribute) = tail.first_mut() else { break };
        match head[..kept].iter_mut().find(|existing| same_key(existing, attribute)) {
            _ if !has_key(attribute) => *dropped = dropped.saturating_add(1),
            Some(existing) => std::mem::swap(&mut existing.value, &mut attribute.value),
            None if kept < limits.count => {
                attributes.swap(kept, next);
                kept += 1;
            }
            None => *dropped = dropped.saturating_add(1),
        }
    }
    attributes.truncate(kept);
}

/// Returns the scope with only its valid attributes: no empty keys, no duplicates. Drops are not counted, because a scope has
/// no field for them.
pub(crate) fn valid_scope(scope: InstrumentationScope) -> InstrumentationScope {
    let mut attributes: Vec<_> = scope.attributes().cloned().collect();
    if all_valid(&attributes) {
        return scope;
    }
    rebuild(&mut attributes, &mut 0, AttributeLimits::new(usize::MAX, None));
    with_attributes(&scope, attributes)
}

/// Returns the scope with other attributes.
pub(crate) fn with_attributes(scope: &InstrumentationScope, attributes: Vec<KeyValue>) -> InstrumentationScope {
    let builder = InstrumentationScope::builder(scope.name().to_owned()).with_attributes(attributes);
    let builder = match scope.version() {
        Some(version) => builder.with_version(version.to_owned()),
        None => builder,
    };
    match scope.schema_url() {
        Some(url) => builder.with_schema_url(url.to_owned()).build(),
        None => builder.build(),
    }
}

/// spec: common/README.md#attribute — a key must not be empty.
#[inline]
pub(crate) fn has_key(attribute: &KeyValue) -> bool {
    !attribute.key.as_str().is_empty()
}

/// Returns true if all keys are non-empty and distinct.
#[inline]
fn all_valid(attributes: &[KeyValue]) -> bool {
    differ_at_a_glance(attributes) || differ(attributes)
}

/// Returns true if the keys differ in a number computed from their lengths and last bytes, which is often enough to tell
/// that they are distinct.
#[inline]
fn differ_at_a_glance(attributes: &[KeyValue]) -> bool {
    let mut seen = 0u64;
    attributes.iter().all(|attribute| {
        let key = attribute.key.as_str().as_bytes();
        let Some(&last) = key.last() else { return false };
        let bit = 1 << ((key.len() + 11 * usize::from(last)) % 64);
        let is_new = seen & bit == 0;
        seen |= bit;
        is_new
    })
}

/// Compares each key with all others.
#[cold]
fn differ(attributes: &[KeyValue]) -> bool {
    let is_new = |i: usize, attribute| !attributes[..i].iter().any(|other| same_key(other, attribute));
    attributes.iter().enumerate().all(|(i, attribute)| has_key(attribute) && is_new(i, attribute))
}

#[inline]
pub(crate) fn same_key(a: &KeyValue, b: &KeyValue) -> bool {
    a.key.as_str() == b.key.as_str()
}

/// Truncates the values of all attributes to `limit` characters.
#[inline]
pub(crate) fn truncate_all(attributes: &mut [KeyValue], limit: Option<usize>) {
    if limit.is_some() {
        attributes.iter_mut().for_each(|attribute| truncate(&mut attribute.value, limit));
    }
}

/// Truncates a string, or each string of an array, to `limit` characters. Other values are left unchanged.
#[inline]
fn truncate(value: &mut Value, limit: Option<usize>) {
    let Some(limit) = limit else { return };
    match value {
        Value::String(string) => truncate_string(string, limit),
        Value::Array(Array::String(strings)) => {
            strings.iter_mut().for_each(|string| truncate_string(string, limit));
        }
        _ => {}
    }
}

/// Truncates a string to `limit` characters.
pub(crate) fn truncate_string(string: &mut StringValue, limit: usize) {
    if string.as_str().len() <= limit {
        return;
    }
    if let Some((end, _)) = string.as_str().char_indices().nth(limit) {
        *string = StringValue::from(string.as_str()[..end].to_owned());
    }
}

/// Returns the number of bytes that an allocation of `len` bytes occupies, including the allocator's overhead for
/// headers, rounding and the minimum block size.
#[inline]
pub(crate) fn heap(len: usize) -> usize {
    len.saturating_add(32)
}

/// Returns the number of bytes that a list with this `capacity` occupies. A list without capacity allocates nothing.
#[inline]
pub(crate) fn list<T>(capacity: usize) -> usize {
    if capacity == 0 { 0 } else { heap(capacity.saturating_mul(size_of::<T>())) }
}

/// Returns the number of bytes that attributes own in addition to their list. A key or a value does not reveal whether its string is
/// static, so every string counts as a separate allocation.
#[inline]
pub(crate) fn owned_bytes(attributes: &[KeyValue]) -> usize {
    attributes.iter().map(|attribute| heap(attribute.key.as_str().len()) + owned_by(&attribute.value)).sum()
}

#[inline]
fn owned_by(value: &Value) -> usize {
    match value {
        Value::Bool(_) | Value::I64(_) | Value::F64(_) => 0,
        Value::String(text) => heap(text.as_str().len()),
        other => owned_by_array(other),
    }
}

#[cold]
fn owned_by_array(value: &Value) -> usize {
    match value {
        Value::Array(Array::Bool(values)) => list::<bool>(values.capacity()),
        Value::Array(Array::I64(values)) => list::<i64>(values.capacity()),
        Value::Array(Array::F64(values)) => list::<f64>(values.capacity()),
        Value::Array(Array::String(values)) => {
            let texts: usize = values.iter().map(|text| heap(text.as_str().len())).sum();
            list::<StringValue>(values.capacity()) + texts
        }
        // The enum may get new variants; the length of a value's text is a good estimate of its size.
        other => heap(other.as_str().len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(given: &[(&'static str, i64)], limit: usize, expected: &str) {
        let limits = AttributeLimits::new(limit, None);
        let given: Vec<_> = given.iter().map(|&(key, value)| KeyValue::new(key, value)).collect();

        let (mut one_by_one, mut dropped) = (Vec::new(), 0);
        given.iter().cloned().for_each(|attribute| set(&mut one_by_one, &mut dropped, attribute, limits));
        assert_eq!(text(&one_by_one, dropped), expected, "set one by one");

        let (mut at_once, mut dropped) = (given, 0);
        normalize(&mut at_once, &mut dropped, limits);
        assert_eq!(text(&at_once, dropped), expected, "given at once");
    }

    fn text(attributes: &[KeyValue], dropped: u32) -> String {
        let list: Vec<_> = attributes.iter().map(|a| format!("{}={}", a.key, a.value)).collect();
        format!("{} dropped {dropped}", list.join(" "))
    }

    #[test]
    fn keys_are_unique_and_the_last_value_wins() {
        check(&[("a", 1), ("b", 2), ("a", 3)], 128, "a=3 b=2 dropped 0");
    }

    #[test]
    fn a_new_key_beyond_the_limit_is_dropped_but_an_overwrite_is_not() {
        check(&[("a", 1), ("b", 2), ("c", 3), ("b", 4), ("d", 5)], 2, "a=1 b=4 dropped 2");
    }

    #[test]
    fn an_attribute_without_a_key_is_dropped_and_counted() {
        check(&[("", 1), ("a", 2), ("", 3), ("b", 4)], 2, "a=2 b=4 dropped 2");
        check(&[("", 1)], 128, " dropped 1");
    }

    #[test]
    fn a_scope_keeps_everything_but_invalid_attributes() {
        let scope = |attributes: &[(&'static str, i64)]| {
            let attributes: Vec<_> = attributes.iter().map(|&(key, value)| KeyValue::new(key, value)).collect();
            let builder = InstrumentationScope::builder("lib").with_version("1.2").with_schema_url("https://s");
            builder.with_attributes(attributes).build()
        };
        assert_eq!(valid_scope(scope(&[("b", 1), ("", 2), ("a", 3), ("b", 4)])), scope(&[("b", 4), ("a", 3)]));
        assert_eq!(valid_scope(scope(&[("b", 1), ("a", 3)])), scope(&[("b", 1), ("a", 3)]));
        let bare = InstrumentationScope::builder("lib").with_attributes([KeyValue::new("", 1)]).build();
        assert_eq!(valid_scope(bare), InstrumentationScope::builder("lib").build());
    }

    #[test]
    fn a_limit_of_zero_keeps_nothing() {
        check(&[("a", 1)], 0, " dropped 1");
    }

    #[test]
    fn long_strings_are_cut_at_characters_not_bytes() {
        let mut attributes = vec![
            KeyValue::new("s", "größe"),
            KeyValue::new("list", Value::Array(Array::String(vec!["ab".into(), "äöüß".into()]))),
            KeyValue::new("number", 123_456),
        ];
        normalize(&mut attributes, &mut 0, AttributeLimits::new(128, Some(3)));
        // Three characters are four bytes in the first string and six in the second.
        assert_eq!(text(&attributes, 0), r#"s=grö list=["ab","äöü"] number=123456 dropped 0"#);
    }

    proptest! {
        #[test]
        fn giving_all_at_once_equals_setting_one_by_one(
            given in prop::collection::vec(("[a-f]{0,2}", any::<i64>()), 0..40), limit in 0usize..20
        ) {
            let limits = AttributeLimits::new(limit, None);
            let given: Vec<_> = given.into_iter().map(|(key, value)| KeyValue::new(key, value)).collect();
            let (mut one_by_one, mut dropped) = (Vec::new(), 0);
            given.iter().cloned().for_each(|attribute| set(&mut one_by_one, &mut dropped, attribute, limits));
            let (mut at_once, mut dropped_at_once) = (given, 0);
            normalize(&mut at_once, &mut dropped_at_once, limits);
            prop_assert_eq!(one_by_one, at_once);
            prop_assert_eq!(dropped, dropped_at_once);
        }
    }
}
