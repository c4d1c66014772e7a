//! The attributes of a series: sorted by key, with unique and non-empty keys, and shared instead of copied.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use opentelemetry::KeyValue;

use crate::attributes::{has_key, list, owned_bytes};

/// The attributes that identify a series, sorted by key and without duplicate keys. Cheap to clone; an empty set
/// does not allocate.
///
/// The limits on attribute count and length do not apply to them.
///
/// spec: common/README.md#exempt-entities
#[derive(Clone, Debug, Default)]
pub struct Attributes(Option<Arc<[KeyValue]>>);

impl Attributes {
    /// Returns the empty set.
    pub const fn empty() -> Self {
        Attributes(None)
    }

    /// Returns the attributes of the overflow series.
    ///
    /// spec: metrics/sdk.md#overflow-attribute
    pub(crate) fn overflow() -> Self {
        static OVERFLOW: OnceLock<Attributes> = OnceLock::new();
        OVERFLOW.get_or_init(|| Attributes::new([KeyValue::new("otel.metric.overflow", true)])).clone()
    }

    /// Creates a set. If a key occurs more than once, its last value wins. Drops attributes with an empty key
    /// and logs a warning.
    ///
    /// spec: common/README.md#attribute
    pub fn new(attributes: impl IntoIterator<Item = KeyValue>) -> Self {
        let mut attributes: Vec<_> = attributes.into_iter().collect();
        let given = attributes.len();
        attributes.retain(has_key);
        if attributes.len() < given {
            crate::__warn!("metrics.attribute", "an attribute of a measurement was dropped: its key is empty");
        }
        if attributes.is_empty() {
            return Attributes::empty();
        }
        // Sorting is stable. The list is reversed beforehand, so the last value of each key comes first and survives.
        attributes.reverse();
        attributes.sort_by(|a, b| a.key.cmp(&b.key));
        attributes.dedup_by(|a, b| a.key == b.key);
        Attributes(Some(attributes.into()))
    }
}

/// Returns the number of bytes that a list of attributes occupies.
pub(crate) fn bytes(attributes: &[KeyValue]) -> usize {
    list::<KeyValue>(attributes.len()) + owned_bytes(attributes)
}

impl Deref for Attributes {
    type Target = [KeyValue];

    #[inline]
    fn deref(&self) -> &[KeyValue] {
        self.0.as_deref().unwrap_or_default()
    }
}

impl PartialEq for Attributes {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(own), Some(other)) => Arc::ptr_eq(own, other) || own == other,
            (own, other) => own.is_none() == other.is_none(),
        }
    }
}

impl FromIterator<KeyValue> for Attributes {
    fn from_iter<T: IntoIterator<Item = KeyValue>>(attributes: T) -> Self {
        Attributes::new(attributes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_without_a_key_is_dropped() {
        let attributes = Attributes::new([KeyValue::new("", 1), KeyValue::new("a", 2)]);
        assert_eq!(*attributes, [KeyValue::new("a", 2)]);
        assert_eq!(Attributes::new([KeyValue::new("", 1)]), Attributes::empty());
    }

    #[test]
    fn attributes_are_sorted_and_the_last_value_of_a_key_wins() {
        let attributes = Attributes::new([KeyValue::new("b", 1), KeyValue::new("a", 2), KeyValue::new("b", 3)]);
        assert_eq!(*attributes, [KeyValue::new("a", 2), KeyValue::new("b", 3)]);
        assert_eq!(attributes, Attributes::new([KeyValue::new("a", 2), KeyValue::new("b", 3)]));
    }
}
