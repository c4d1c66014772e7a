//! Labels: from attributes to `name="value"`, without a look at a name that the last series had as well.

use std::borrow::Cow;
use std::collections::HashMap;
use std::mem::{Discriminant, discriminant};

use opentelemetry::{Array, Key, KeyValue, Value};

use crate::format::Escaping;
use crate::names::{Kind, TranslationStrategy};
use crate::text::numbers::{float, unsigned};

/// The labels of attribute keys, for one family.
pub(crate) struct Labels {
    strategy: TranslationStrategy,
    escaping: Escaping,
    /// A label that attributes cannot have here.
    reserved: &'static str,
    by_key: HashMap<Key, usize>,
    names: Vec<Name>,
    /// How many keys have each label.
    keys_of: HashMap<String, usize>,
    /// The keys of the last series: the next one mostly has the same.
    last: Vec<(Key, usize)>,
    /// Whether different attributes may have the same text, such as `1` and `"1"`.
    ambiguous: bool,
}

struct Name {
    label: String,
    /// `name="`, where the name may be quoted; empty when the key has no label.
    opening: Vec<u8>,
    /// The type of its first value.
    kind: Discriminant<Value>,
}

impl Labels {
    pub(crate) fn new(strategy: TranslationStrategy, escaping: Escaping) -> Self {
        Labels {
            strategy,
            escaping,
            reserved: "",
            by_key: HashMap::new(),
            names: Vec::new(),
            keys_of: HashMap::new(),
            last: Vec::new(),
            ambiguous: false,
        }
    }

    /// Calls an attribute with this label `exported_…`, as Prometheus itself does with labels that are not free.
    pub(crate) fn reserving(mut self, label: &'static str) -> Self {
        self.reserved = label;
        self
    }

    /// Learns the keys of a series. Whether two keys have the same label must be known before the first line is written.
    #[inline]
    pub(crate) fn learn(&mut self, attributes: &[KeyValue]) {
        for (position, attribute) in attributes.iter().enumerate() {
            let name = match self.last.get(position) {
                Some((key, name)) if is_same(key.as_str(), attribute.key.as_str()) => *name,
                _ => self.find(position, attribute),
            };
            self.ambiguous |= discriminant(&attribute.value) != self.names[name].kind
                || match &attribute.value {
                    // An empty label is none.
                    Value::String(text) => text.as_str().is_empty(),
                    Value::F64(number) => number.is_nan(),
                    _ => false,
                };
        }
    }

    fn find(&mut self, position: usize, attribute: &KeyValue) -> usize {
        let name = match self.by_key.get(&attribute.key) {
            Some(&name) => name,
            None => self.add(&attribute.key, &attribute.value),
        };
        self.last.truncate(position);
        self.last.push((attribute.key.clone(), name));
        name
    }

    fn add(&mut self, key: &Key, value: &Value) -> usize {
        let mut label = self.strategy.label(key.as_str(), self.escaping);
        if label == self.reserved && !label.is_empty() {
            label.insert_str(0, "exported_");
        }
        let mut opening = Vec::new();
        self.ambiguous |= label.is_empty();
        if !label.is_empty() {
            opening_of(&mut opening, &label);
            *self.keys_of.entry(label.clone()).or_default() += 1;
        }
        let name = self.names.len();
        self.names.push(Name { label, opening, kind: discriminant(value) });
        self.by_key.insert(key.clone(), name);
        name
    }

    /// How many keys were learnt.
    pub(crate) fn keys(&self) -> usize {
        self.names.len()
    }

    /// Whether some label stands for several keys that were learnt.
    pub(crate) fn collide(&self) -> bool {
        self.keys_of.values().any(|&keys| keys > 1)
    }

    /// Whether different series that were learnt may have the same labels.
    pub(crate) fn are_ambiguous(&self) -> bool {
        self.ambiguous || self.collide()
    }

    /// Whether a key with this label was learnt.
    pub(crate) fn has(&self, label: &str) -> bool {
        self.keys_of.contains_key(label)
    }

    /// Writes the labels of a series, each with a comma after it. Only for keys that were learnt and do not collide. A
    /// label without a value is as good as none and left out.
    #[inline]
    pub(crate) fn write(&mut self, out: &mut Vec<u8>, attributes: &[KeyValue]) {
        self.learn(attributes);
        self.write_learnt(out, attributes);
    }

    /// The same for what was learnt last.
    #[inline]
    pub(crate) fn write_learnt(&self, out: &mut Vec<u8>, attributes: &[KeyValue]) {
        for (attribute, &(_, name)) in attributes.iter().zip(&self.last) {
            let opening = &self.names[name].opening;
            if opening.is_empty() {
                continue;
            }
            let before = out.len();
            out.extend_from_slice(opening);
            value(out, &attribute.value);
            if out.len() == before + opening.len() {
                out.truncate(before);
            } else {
                out.extend_from_slice(b"\",");
            }
        }
    }

    /// Writes the labels of a series that are `kept`, together with others that have their labels already, sorted.
    ///
    /// spec: the values of keys with one label are joined with `;` in the order of the keys
    pub(crate) fn write_joined(
        &mut self,
        out: &mut Vec<u8>,
        attributes: &[KeyValue],
        others: &[(String, Cow<'_, str>)],
        kept: impl Fn(&str) -> bool,
    ) {
        let mut all: Vec<(String, String, Vec<u8>)> = Vec::with_capacity(attributes.len() + others.len());
        for (label, text) in others {
            let mut written = Vec::new();
            escaped(&mut written, text);
            all.push((label.clone(), label.clone(), written));
        }
        self.learn(attributes);
        for (attribute, &(_, name)) in attributes.iter().zip(&self.last) {
            let label = &self.names[name].label;
            if !label.is_empty() && kept(label) {
                let mut written = Vec::new();
                value(&mut written, &attribute.value);
                if !written.is_empty() {
                    all.push((label.clone(), attribute.key.as_str().to_owned(), written));
                }
            }
        }
        all.sort();
        let mut last: Option<&str> = None;
        for (label, _, written) in &all {
            if last == Some(label) {
                out.push(b';');
            } else {
                if last.is_some() {
                    out.extend_from_slice(b"\",");
                }
                opening_of(out, label);
            }
            out.extend_from_slice(written);
            last = Some(label);
        }
        if last.is_some() {
            out.extend_from_slice(b"\",");
        }
    }
}

/// Keys are mostly constants of the program, whose bytes need no look.
#[inline]
fn is_same(one: &str, other: &str) -> bool {
    std::ptr::eq(one, other) || one == other
}

/// Writes `name="`, with the name in quotes where it needs them.
pub(crate) fn opening_of(out: &mut Vec<u8>, label: &str) {
    if Kind::Label.is_classic(label) {
        out.extend_from_slice(label.as_bytes());
    } else {
        quoted(out, label);
    }
    out.extend_from_slice(b"=\"");
}

/// Writes a name in quotes.
pub(crate) fn quoted(out: &mut Vec<u8>, name: &str) {
    out.push(b'"');
    escaped(out, name);
    out.push(b'"');
}

/// Writes a text as it stands between quotes.
#[inline]
pub(crate) fn escaped(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let mut written = 0;
    for (index, &byte) in bytes.iter().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            _ => continue,
        };
        out.extend_from_slice(&bytes[written..index]);
        out.extend_from_slice(escape);
        written = index + 1;
    }
    out.extend_from_slice(&bytes[written..]);
}

/// Writes an attribute's value as it stands between the quotes of a label.
///
/// spec: common/README.md#anyvalue-representation-for-non-otlp-protocols
#[inline]
pub(crate) fn value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::String(text) => escaped(out, text.as_str()),
        Value::I64(number) => integer(out, *number),
        Value::Bool(bool) => out.extend_from_slice(if *bool { b"true" } else { b"false" }),
        Value::F64(number) => json_float(out, *number, ""),
        other => escaped(out, &text(other)),
    }
}

/// An attribute's value as text without escapes.
pub(crate) fn text(of: &Value) -> Cow<'_, str> {
    match of {
        Value::String(text) => Cow::Borrowed(text.as_str()),
        Value::Array(array) => Cow::Owned(json_array(array)),
        Value::I64(_) | Value::Bool(_) | Value::F64(_) => {
            let mut out = Vec::new();
            value(&mut out, of);
            Cow::Owned(String::from_utf8(out).unwrap_or_default())
        }
        // The enum may grow: what it grows by has a text.
        other => other.as_str(),
    }
}

fn integer(out: &mut Vec<u8>, number: i64) {
    if number < 0 {
        out.push(b'-');
    }
    unsigned(out, number.unsigned_abs());
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
        Array::Bool(items) => list(items, |out, item| out.extend_from_slice(if *item { b"true" } else { b"false" })),
        Array::I64(items) => list(items, |out, item| integer(out, *item)),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(attributes: &[(&'static str, Value)], expected: &str) {
        let attributes: Vec<_> = attributes.iter().map(|(key, value)| KeyValue::new(*key, value.clone())).collect();
        let mut labels = Labels::new(TranslationStrategy::default(), Escaping::default());
        labels.learn(&attributes);
        let mut out = Vec::new();
        if labels.collide() {
            labels.write_joined(&mut out, &attributes, &[], |_| true);
        } else {
            labels.write(&mut out, &attributes);
        }
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn values() {
        check(&[("a", "x".into()), ("b", 1.into()), ("c", true.into())], r#"a="x",b="1",c="true","#);
        check(&[("a", "\\ \" \n".into())], r#"a="\\ \" \n","#);
        check(
            &[("a", f64::NAN.into()), ("b", f64::NEG_INFINITY.into()), ("c", 0.5.into())],
            r#"a="NaN",b="-Infinity",c="0.5","#,
        );
        let strings = Value::Array(Array::String(vec!["a\"b".into(), "c\n\u{1}".into()]));
        check(&[("a", strings)], r#"a="[\"a\\\"b\",\"c\\n\\u0001\"]","#);
        check(&[("a", Value::Array(Array::F64(vec![1.5, f64::NAN])))], r#"a="[1.5,\"NaN\"]","#);
        check(&[("a", Value::Array(Array::I64(vec![-1, 2])))], r#"a="[-1,2]","#);
        check(&[("a", Value::Array(Array::Bool(vec![])))], r#"a="[]","#);
    }

    #[test]
    fn keys_with_one_label_are_joined_in_the_order_of_the_keys() {
        check(
            &[("a.b", "2".into()), ("a_b", "3".into()), ("a-b", "1".into()), ("c", "4".into())],
            r#"a_b="1;2;3",c="4","#,
        );
    }

    #[test]
    fn an_empty_value_is_no_label() {
        check(&[("a", "".into()), ("b", "y".into())], r#"b="y","#);
        check(&[("a.b", "".into()), ("a_b", "y".into())], r#"a_b="y","#);
    }

    #[test]
    fn a_key_without_characters_is_no_label() {
        check(&[("", "x".into()), ("a", "y".into())], r#"a="y","#);
    }
}
