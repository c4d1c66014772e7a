//! Collects the attributes of an operation for its span.

use opentelemetry::{Array, Key, KeyValue, StringValue, Value};

use crate::keys;
use crate::text::BoundedText;

/// Collects attributes, and the names of truncated ones.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Attributes {
    /// The attributes so far.
    pub list: Vec<KeyValue>,
    /// The names of truncated attributes.
    pub cut: Cut,
}

/// The names of truncated attributes, without duplicates.
#[derive(Debug, Default)]
pub struct Cut(Vec<StringValue>);

impl Attributes {
    /// Returns an empty collection with room for `capacity` attributes.
    #[inline]
    pub fn with_capacity(capacity: usize) -> Self {
        Attributes { list: Vec::with_capacity(capacity), cut: Cut::default() }
    }

    /// Adds an attribute.
    #[inline]
    pub fn add(&mut self, key: &'static str, value: impl Into<Value>) {
        self.list.push(KeyValue::new(key, value));
    }

    /// Adds an attribute with text from a peer, and records its name if the text was truncated.
    #[inline]
    pub fn add_text(&mut self, key: &'static str, value: BoundedText) {
        if value.is_cut {
            self.cut.add(&Key::from_static_str(key));
        }
        self.add(key, value.text);
    }
}

impl Cut {
    /// Adds the name of a truncated attribute.
    #[cold]
    pub fn add(&mut self, key: &Key) {
        if !self.0.iter().any(|name| name.as_str() == key.as_str()) {
            self.0.push(key.as_str().to_owned().into());
        }
    }

    /// Returns `telemark.truncated` with the names; `None` if nothing was truncated.
    #[inline]
    pub fn attribute(&self) -> Option<KeyValue> {
        let names = || Value::Array(Array::String(self.0.clone()));
        (!self.0.is_empty()).then(|| KeyValue::new(keys::TELEMARK_TRUNCATED, names()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::MAX_TEXT_BYTES;

    #[test]
    fn each_cut_attribute_is_named_once() {
        let mut attributes = Attributes::with_capacity(4);
        attributes.add_text("short", BoundedText::new("a"));
        assert_eq!(attributes.cut.attribute(), None);
        let long = "x".repeat(MAX_TEXT_BYTES + 1);
        for key in ["a", "b", "a"] {
            attributes.add_text(key, BoundedText::new(&long));
        }
        let named = attributes.cut.attribute().unwrap();
        assert_eq!((named.key.as_str(), named.value.to_string()), ("telemark.truncated", "[\"a\",\"b\"]".to_owned()));
    }
}
