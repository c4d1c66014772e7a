//! The attributes of one request on their way to its span.

use opentelemetry::{Array, Key, KeyValue, StringValue, Value};

use crate::keys;
use crate::text::Bounded;

/// Collects attributes, and the names of those that hold less than the peer sent.
#[derive(Debug, Default)]
pub(crate) struct Attributes {
    pub(crate) list: Vec<KeyValue>,
    pub(crate) cut: Cut,
}

/// The names of attributes that were cut, each once.
#[derive(Debug, Default)]
pub(crate) struct Cut(Vec<StringValue>);

impl Attributes {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Attributes { list: Vec::with_capacity(capacity), cut: Cut::default() }
    }

    #[inline]
    pub(crate) fn add(&mut self, key: &'static str, value: impl Into<Value>) {
        self.list.push(KeyValue::new(key, value));
    }

    #[inline]
    pub(crate) fn add_text(&mut self, key: &'static str, value: Bounded) {
        if value.is_cut {
            self.cut.add(&Key::from_static_str(key));
        }
        self.add(key, value.text);
    }
}

impl Cut {
    #[cold]
    pub(crate) fn add(&mut self, key: &Key) {
        if !self.0.iter().any(|name| name.as_str() == key.as_str()) {
            self.0.push(key.as_str().to_owned().into());
        }
    }

    /// The attribute that names them; `None` if nothing was cut.
    pub(crate) fn attribute(&self) -> Option<KeyValue> {
        let names = || Value::Array(Array::String(self.0.clone()));
        (!self.0.is_empty()).then(|| KeyValue::new(keys::TRUNCATED, names()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text;

    #[test]
    fn what_is_cut_is_named_once() {
        let mut attributes = Attributes::with_capacity(4);
        attributes.add_text("short", text::bounded("a"));
        assert_eq!(attributes.cut.attribute(), None);
        let long = "x".repeat(text::MAX_TEXT_BYTES + 1);
        for key in ["a", "b", "a"] {
            attributes.add_text(key, text::bounded(&long));
        }
        let named = attributes.cut.attribute().unwrap();
        assert_eq!((named.key.as_str(), named.value.to_string()), ("telemark.truncated", "[\"a\",\"b\"]".to_owned()));
    }
}
