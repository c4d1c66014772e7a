//! Converts attributes to labels of the form `name="value"`. Caches the names, since consecutive series usually
//! have the same keys.

use std::collections::HashMap;
use std::mem::{Discriminant, discriminant};

use opentelemetry::{Key, KeyValue, Value};

use crate::format::Escaping;
use crate::names::TranslationStrategy;
use crate::text::quoting::{escaped, label_start};
use crate::text::value::write_value;

/// The name and value of a label.
pub(super) type Label = (String, String);

/// The labels for the attribute keys of a family.
pub(super) struct Labels {
    strategy: TranslationStrategy,
    escaping: Escaping,
    /// A label that attributes must not use.
    reserved: &'static str,
    by_key: HashMap<Key, usize>,
    names: Vec<Name>,
    /// The number of keys that map to each label.
    key_counts: HashMap<String, usize>,
    /// The keys of the last series, each with the index of its name. The next series usually has the same keys.
    last: Vec<(Key, usize)>,
    /// True if different attributes may be rendered as the same text, such as `1` and `"1"`.
    ambiguous: bool,
}

struct Name {
    label: String,
    /// The text `name="`, where the name may be quoted. Empty if the key has no label.
    start: Vec<u8>,
    /// The type of the key's first value.
    value_type: Discriminant<Value>,
}

impl Labels {
    pub(super) fn new(strategy: TranslationStrategy, escaping: Escaping) -> Self {
        Labels {
            strategy,
            escaping,
            reserved: "",
            by_key: HashMap::new(),
            names: Vec::new(),
            key_counts: HashMap::new(),
            last: Vec::new(),
            ambiguous: false,
        }
    }

    /// Reserves `label`. Attributes with this label are renamed to `exported_…`, as Prometheus does for its
    /// reserved labels.
    pub(super) fn reserving(mut self, label: &'static str) -> Self {
        self.reserved = label;
        self
    }

    /// Learns the keys of a series. All series in a family must be learned before the first line is written, because
    /// keys may collide.
    #[inline]
    pub(super) fn learn(&mut self, attributes: &[KeyValue]) {
        for (position, attribute) in attributes.iter().enumerate() {
            let name = match self.last.get(position) {
                Some((key, name)) if is_same(key.as_str(), attribute.key.as_str()) => *name,
                _ => self.find(position, attribute),
            };
            self.ambiguous |= discriminant(&attribute.value) != self.names[name].value_type
                || match &attribute.value {
                    // Prometheus treats an empty label like an absent one.
                    Value::String(text) => text.as_str().is_empty(),
                    Value::F64(number) => number.is_nan(),
                    // `[1]` has the same text for integers and for floats.
                    Value::Array(_) => true,
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
        let mut start = Vec::new();
        self.ambiguous |= label.is_empty();
        if !label.is_empty() {
            label_start(&mut start, &label);
            *self.key_counts.entry(label.clone()).or_default() += 1;
        }
        let name = self.names.len();
        self.names.push(Name { label, start, value_type: discriminant(value) });
        self.by_key.insert(key.clone(), name);
        name
    }

    /// Returns the number of keys learned so far.
    pub(super) fn key_count(&self) -> usize {
        self.names.len()
    }

    /// Returns true if several learned keys map to the same label.
    pub(super) fn collide(&self) -> bool {
        self.key_counts.values().any(|&keys| keys > 1)
    }

    /// Returns true if different learned series may have the same labels.
    pub(super) fn are_ambiguous(&self) -> bool {
        self.ambiguous || self.collide()
    }

    /// Returns true if a learned key maps to this label.
    pub(super) fn has(&self, label: &str) -> bool {
        self.key_counts.contains_key(label)
    }

    /// Writes the labels of a series, each followed by a comma. Omits empty labels. The keys must have been
    /// learned and must not collide.
    #[inline]
    pub(super) fn write(&mut self, out: &mut Vec<u8>, attributes: &[KeyValue]) {
        self.learn(attributes);
        self.write_learned(out, attributes);
    }

    /// Like [`write`](Labels::write), but for the series that was learned last.
    #[inline]
    pub(super) fn write_learned(&self, out: &mut Vec<u8>, attributes: &[KeyValue]) {
        for (attribute, &(_, name)) in attributes.iter().zip(&self.last) {
            let start = &self.names[name].start;
            if start.is_empty() {
                continue;
            }
            let before = out.len();
            out.extend_from_slice(start);
            write_value(out, &attribute.value);
            if out.len() == before + start.len() {
                out.truncate(before);
            } else {
                out.extend_from_slice(b"\",");
            }
        }
    }

    /// Writes the labels of a series accepted by `kept`, together with `others`, sorted by label.
    ///
    /// spec: the values of keys that map to the same label are joined with `;`, ordered by key
    pub(super) fn write_joined(
        &mut self,
        out: &mut Vec<u8>,
        attributes: &[KeyValue],
        others: &[Label],
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
                write_value(&mut written, &attribute.value);
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
                label_start(out, label);
            }
            out.extend_from_slice(written);
            last = Some(label);
        }
        if last.is_some() {
            out.extend_from_slice(b"\",");
        }
    }
}

/// Compares addresses first, because most keys are constants in the program.
#[inline]
fn is_same(one: &str, other: &str) -> bool {
    std::ptr::eq(one, other) || one == other
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::Array;

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
    fn an_empty_value_gives_no_label() {
        check(&[("a", "".into()), ("b", "y".into())], r#"b="y","#);
        check(&[("a.b", "".into()), ("a_b", "y".into())], r#"a_b="y","#);
    }

    #[test]
    fn an_empty_key_gives_no_label() {
        check(&[("", "x".into()), ("a", "y".into())], r#"a="y","#);
    }
}
