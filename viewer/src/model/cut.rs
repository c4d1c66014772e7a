//! Cuts items that are too large, so that one of them cannot take the place of many.

use std::borrow::Cow;

use super::{Attribute, Event, Interner, Link, Metric, Record, Size, Span, Status, Text, Value};

/// The maximum size of a value in bytes. A value that was cut is longer than this, because its mark is added.
const MAX_VALUE: usize = 16 << 10;
/// The maximum length of a name or a key in bytes.
const MAX_NAME: usize = 1 << 10;
/// The maximum depth of a value.
const MAX_DEPTH: usize = 16;
/// The maximum number of attributes, events, links or exemplars of an item.
const MAX_ITEMS: usize = 4_096;
/// The maximum size of all attributes, events and links of an item in bytes.
const MAX_BYTES: usize = 1 << 20;
/// The maximum number of attributes of a resource or a scope.
const MAX_SHARED: usize = 256;
/// The maximum size of all attributes of a resource or a scope in bytes.
const MAX_SHARED_BYTES: usize = 64 << 10;
/// The maximum size of a value of a resource or a scope in bytes.
const MAX_SHARED_VALUE: usize = 2 << 10;
/// The end of a value that was cut, and the key of an attribute that names those left out.
const MARK: &str = "\u{2026} cut";

/// Returns true if the value, or a part of it, was cut.
pub(crate) fn is_cut(value: &Value) -> bool {
    match value {
        Value::String(text) => text.ends_with(MARK),
        Value::Bytes(bytes) => bytes.ends_with(MARK.as_bytes()),
        Value::Array(values) => values.iter().any(is_cut),
        Value::Map(entries) => entries.iter().any(|entry| &*entry.key == MARK || is_cut(&entry.value)),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Double(_) => false,
    }
}

/// Cuts the parts of a span.
pub(crate) fn span(interner: &Interner, span: &mut Span) {
    name(interner, &mut span.name);
    name(interner, &mut span.trace_state);
    if let Status::Error(message) = &mut span.status {
        name(interner, message);
    }
    let dropped = &mut span.dropped;
    attributes(interner, &mut span.attributes, &mut dropped.attributes);
    items(&mut span.events, &mut dropped.events);
    items(&mut span.links, &mut dropped.links);
    for event in &mut span.events {
        name(interner, &mut event.name);
        attributes(interner, &mut event.attributes, &mut event.dropped_attributes);
    }
    for link in &mut span.links {
        attributes(interner, &mut link.attributes, &mut 0);
    }
    let mut room = MAX_BYTES;
    let list = |attributes: &[Attribute]| attributes.iter().map(size).sum::<usize>();
    fit(&mut span.attributes, &mut dropped.attributes, &mut room, size);
    fit(&mut span.events, &mut dropped.events, &mut room, |event| {
        size_of::<Event>() + event.name.len() + list(&event.attributes)
    });
    fit(&mut span.links, &mut dropped.links, &mut room, |link| size_of::<Link>() + list(&link.attributes));
}

/// Cuts the parts of a log record.
pub(crate) fn record(interner: &Interner, record: &mut Record) {
    name(interner, &mut record.severity_text);
    name(interner, &mut record.event_name);
    value(&mut record.body);
    attributes(interner, &mut record.attributes, &mut record.dropped_attributes);
    fit(&mut record.attributes, &mut record.dropped_attributes, &mut { MAX_BYTES }, size);
}

/// Cuts the parts of a metric.
pub(crate) fn metric(interner: &Interner, metric: &mut Metric) {
    for text in [&mut metric.name, &mut metric.unit, &mut metric.description] {
        name(interner, text);
    }
    for point in &mut metric.points {
        attributes(interner, &mut point.attributes, &mut 0);
        items(&mut point.exemplars, &mut 0);
        for exemplar in &mut point.exemplars {
            attributes(interner, &mut exemplar.attributes, &mut 0);
        }
    }
}

/// Returns a name, cut if it is too long.
pub(crate) fn short(name: &str) -> Cow<'_, str> {
    if uncut(name).len() > MAX_NAME { Cow::Owned(shortened(name, MAX_NAME)) } else { Cow::Borrowed(name) }
}

fn name(interner: &Interner, text: &mut Text) {
    if text.len() > MAX_NAME {
        *text = interner.text(text);
    }
}

/// Cuts the attributes of a resource or a scope, which all of its items share. If they are too many or too large together, the last
/// attribute names those that are left out.
pub(super) fn shared_attributes(interner: &Interner, list: &mut Box<[Attribute]>) {
    for attribute in list.iter_mut().take(MAX_SHARED) {
        name(interner, &mut attribute.key);
        limit(&mut attribute.value, &mut { MAX_SHARED_VALUE }, 0);
    }
    if list.len() <= MAX_SHARED && list.iter().map(size).sum::<usize>() <= MAX_SHARED_BYTES {
        return;
    }
    // Whoever cuts the result again finds that it fits, with the mark.
    let mut room = MAX_SHARED_BYTES.saturating_sub(size_of::<Attribute>() + MAX_SHARED_VALUE + 64);
    let (mut kept, mut keys, mut omitted) = (Vec::new(), String::new(), 0usize);
    for (at, attribute) in std::mem::take(list).into_iter().enumerate() {
        let size = size(&attribute);
        if at < MAX_SHARED && kept.len() < MAX_SHARED - 1 && size <= room {
            room -= size;
            kept.push(attribute);
        } else {
            omitted += 1;
            if keys.len() < MAX_SHARED_VALUE {
                keys.push_str(if omitted == 1 { ": " } else { ", " });
                keys.push_str(&short(&attribute.key));
            }
        }
    }
    let mut value = Value::String(format!("{omitted} attributes{keys}").into());
    limit(&mut value, &mut { MAX_SHARED_VALUE }, 0);
    kept.push(Attribute { key: interner.text(MARK), value });
    *list = kept.into();
}

/// Returns the bytes of an attribute, with its key.
fn size(attribute: &Attribute) -> usize {
    size_of::<Attribute>() + attribute.key.len() + attribute.value.heap()
}

fn attributes(interner: &Interner, list: &mut Box<[Attribute]>, dropped: &mut u32) {
    items(list, dropped);
    for attribute in list {
        name(interner, &mut attribute.key);
        value(&mut attribute.value);
    }
}

fn items<T>(list: &mut Box<[T]>, dropped: &mut u32) {
    truncate(list, dropped, MAX_ITEMS);
}

/// Keeps as many items as fit into `room`, and subtracts what they take.
fn fit<T>(list: &mut Box<[T]>, dropped: &mut u32, room: &mut usize, size: impl Fn(&T) -> usize) {
    let fitting = list.iter().take_while(|item| {
        let left = room.checked_sub(size(item));
        *room = left.unwrap_or(*room);
        left.is_some()
    });
    let fitting = fitting.count();
    truncate(list, dropped, fitting);
}

/// Keeps the first items of a list, and counts the others as dropped.
fn truncate<T>(list: &mut Box<[T]>, dropped: &mut u32, kept: usize) {
    if list.len() > kept {
        let mut items = std::mem::take(list).into_vec();
        *dropped = dropped.saturating_add(u32::try_from(items.len() - kept).unwrap_or(u32::MAX));
        items.truncate(kept);
        *list = items.into_boxed_slice();
    }
}

fn value(value: &mut Value) {
    limit(value, &mut { MAX_VALUE }, 0);
}

/// Cuts a value to `budget` bytes, and subtracts what it takes. The caller limits the depth, so recursion is safe.
fn limit(value: &mut Value, budget: &mut usize, depth: usize) {
    match value {
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Double(_) => *budget = budget.saturating_sub(8),
        Value::String(text) => {
            if uncut(text).len() > *budget {
                *text = shortened(text, *budget).into();
            }
            *budget = budget.saturating_sub(text.len());
        }
        Value::Bytes(bytes) => {
            if bytes.strip_suffix(MARK.as_bytes()).unwrap_or(bytes).len() > *budget {
                *bytes = [bytes.get(..*budget).unwrap_or_default(), MARK.as_bytes()].concat().into();
            }
            *budget = budget.saturating_sub(bytes.len());
        }
        Value::Array(values) => {
            let kept = fitting(values, budget, depth, |value| (0, value));
            shorten(values, kept, || Value::String(MARK.into()));
        }
        Value::Map(entries) => {
            let kept = fitting(entries, budget, depth, |entry| (entry.key.len(), &mut entry.value));
            shorten(entries, kept, || Attribute { key: MARK.into(), value: Value::Null });
        }
    }
}

/// Limits the elements of a list, each the length of its key and its value, and returns how many of them may stay.
fn fitting<T>(
    list: &mut [T],
    budget: &mut usize,
    depth: usize,
    parts: impl Fn(&mut T) -> (usize, &mut Value),
) -> usize {
    if depth >= MAX_DEPTH {
        return 0;
    }
    let mut kept = 0;
    for item in list {
        let (key, value) = parts(item);
        let Some(left) = budget.checked_sub(size_of::<Value>() + key) else { break };
        *budget = left;
        limit(value, budget, depth + 1);
        kept += 1;
    }
    kept
}

fn shorten<T>(list: &mut Box<[T]>, kept: usize, mark: impl FnOnce() -> T) {
    if kept < list.len() {
        let mut items = std::mem::take(list).into_vec();
        items.truncate(kept);
        items.push(mark());
        *list = items.into_boxed_slice();
    }
}

/// Returns the text without the mark, so that what was cut before is not cut again.
fn uncut(text: &str) -> &str {
    text.strip_suffix(MARK).unwrap_or(text)
}

/// Returns the first `bytes` bytes of a text, or a few less so that no character is split, and the mark.
fn shortened(text: &str, bytes: usize) -> String {
    let end = (0..=bytes.min(text.len())).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    format!("{}{MARK}", text.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(mut input: Value) -> Value {
        value(&mut input);
        input
    }

    fn length(value: &Value) -> usize {
        match value {
            Value::String(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
            Value::Array(values) => values.iter().map(length).sum(),
            Value::Map(entries) => entries.iter().map(|entry| entry.key.len() + length(&entry.value)).sum(),
            _ => 8,
        }
    }

    #[test]
    fn long_values_are_cut_and_show_it() {
        let long = "\u{20ac}".repeat(1 << 20);
        for value in [
            Value::String(long.clone().into()),
            Value::Bytes(vec![0; 1 << 20].into()),
            Value::Array(vec![Value::Int(1); 1 << 20].into()),
            Value::Array(vec![Value::String(long.clone().into()), Value::Int(1)].into()),
            Value::Map(vec![Attribute { key: "a".into(), value: Value::Int(1) }; 1 << 20].into()),
            Value::Map(vec![Attribute { key: "k".repeat(1 << 10).into(), value: Value::Int(1) }; 1 << 10].into()),
        ] {
            let value = cut(value);
            assert!(is_cut(&value));
            assert!(length(&value) <= MAX_VALUE + 2 * MARK.len());
            assert!(is_cut(&Value::Array(vec![value, Value::Int(1)].into())), "a part is cut");
        }
    }

    #[test]
    fn other_values_stay() {
        for value in [
            Value::String("x".repeat(MAX_VALUE).into()),
            Value::Bytes(vec![0; MAX_VALUE].into()),
            Value::Array(vec![Value::Int(1); 100].into()),
            Value::Null,
        ] {
            assert!(!is_cut(&value));
            assert_eq!(cut(value.clone()), value);
        }
    }

    /// Returns the keys of a resource's attributes and the text of the last one.
    fn shared(attributes: Vec<Attribute>) -> (Vec<String>, String) {
        let interner = Interner::default();
        let mut list = attributes.into_boxed_slice();
        shared_attributes(&interner, &mut list);
        let (once, bytes) = (list.clone(), list.iter().map(size).sum::<usize>());
        shared_attributes(&interner, &mut list);
        assert_eq!(list, once, "what was cut fits");
        assert!(list.len() <= MAX_SHARED && bytes <= MAX_SHARED_BYTES, "{} attributes of {bytes} bytes", list.len());
        let last = match list.last() {
            Some(Attribute { value: Value::String(text), .. }) => text.to_string(),
            _ => String::new(),
        };
        (list.iter().map(|attribute| attribute.key.to_string()).collect(), last)
    }

    fn attribute(key: &str, length: usize) -> Attribute {
        Attribute { key: key.into(), value: Value::String("x".repeat(length).into()) }
    }

    #[test]
    fn a_large_attribute_of_a_resource_leaves_room_for_the_others() {
        let (keys, last) = shared(vec![attribute("large", 1 << 20), attribute("small", 9)]);
        assert_eq!((keys, &*last), (vec!["large".to_owned(), "small".to_owned()], "xxxxxxxxx"));
        let (_, last) = shared(vec![attribute("large", 1 << 20)]);
        assert_eq!(last.len(), MAX_SHARED_VALUE + MARK.len());
    }

    #[test]
    fn a_resource_names_the_attributes_that_it_leaves_out() {
        let many: Vec<_> = (0..MAX_SHARED + 2).map(|at| attribute(&format!("key {at}"), 1)).collect();
        let (keys, last) = shared(many);
        assert_eq!((keys.len(), &*last), (MAX_SHARED, "3 attributes: key 255, key 256, key 257"));
        // A small one still fits after many large ones.
        let mut large: Vec<_> = (0..200).map(|at| attribute(&format!("key {at}"), 2_000)).collect();
        large.push(attribute("small", 9));
        let (keys, last) = shared(large);
        assert_eq!(keys[keys.len() - 2..], ["small".to_owned(), MARK.to_owned()]);
        assert!(last.starts_with(&format!("{} attributes: key ", 202 - keys.len())), "{last}");
        let (keys, last) = shared((0..100_000).map(|_| attribute(&"k".repeat(2_000), 1)).collect());
        assert!(keys.len() > 20 && last.ends_with(MARK), "{} {last}", keys.len());
    }

    #[test]
    fn deep_values_are_cut() {
        let mut value = Value::Int(1);
        for _ in 0..100 {
            value = Value::Array(vec![value].into());
        }
        let mut value = &cut(value);
        let mut depth = 0;
        while let Value::Array(values) = value {
            value = &values[0];
            depth += 1;
        }
        assert_eq!(depth, MAX_DEPTH + 1);
        assert_eq!(*value, Value::String(MARK.into()));
    }

    #[test]
    fn long_names_are_cut_at_a_character() {
        let interner = Interner::default();
        let mut text: Text = "\u{20ac}".repeat(MAX_NAME).into();
        name(&interner, &mut text);
        assert!(text.ends_with(MARK) && text.len() <= MAX_NAME + MARK.len());
    }
}
