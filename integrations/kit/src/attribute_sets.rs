//! Sets of attributes that live as long as their instruments, so that a measurement does not build them again.

use std::fmt;
use std::sync::OnceLock;

use opentelemetry::KeyValue;

/// Bounds the memory. A program has fewer combinations of routes, methods and statuses, and odd requests cannot add more.
const PLACES: usize = 1024;

/// At most 1024 sets of attributes, each in the slot that its key selects. The first set in a slot stays; the attributes
/// of another key with the same slot are built each time.
pub struct AttributeSets<K>(Box<[OnceLock<Box<Set<K>>>]>);

struct Set<K> {
    key: K,
    attributes: Vec<KeyValue>,
}

/// The identity of a set: equal keys stand for equal attributes.
pub trait SetKey: PartialEq {
    /// Returns a hash of the key.
    fn hash(&self) -> usize;
}

impl<K: SetKey> AttributeSets<K> {
    /// Returns no sets.
    pub fn new() -> Self {
        AttributeSets((0..PLACES).map(|_| OnceLock::new()).collect())
    }

    /// Calls `then` with the attributes of the key. `make` builds them if the slot is free or taken by another key, or if there
    /// is no key.
    #[inline]
    pub fn with(&self, key: Option<K>, make: impl FnOnce() -> Vec<KeyValue>, then: impl FnOnce(&[KeyValue])) {
        let Some(key) = key else { return then(&make()) };
        let Some(place) = self.0.get(key.hash() % PLACES) else { return then(&make()) };
        match place.get() {
            Some(set) if set.key == key => then(&set.attributes),
            Some(_) => then(&make()),
            None => {
                let attributes = make();
                then(&attributes);
                // Losing a race is fine: the slot is taken either way.
                let _ = place.set(Box::new(Set { key, attributes }));
            }
        }
    }
}

impl<K: SetKey> Default for AttributeSets<K> {
    fn default() -> Self {
        AttributeSets::new()
    }
}

impl<K> fmt::Debug for AttributeSets<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AttributeSets({} of {PLACES})", self.0.iter().filter(|place| place.get().is_some()).count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, PartialEq)]
    struct Key {
        number: usize,
        hash: usize,
    }

    impl SetKey for Key {
        fn hash(&self) -> usize {
            self.hash
        }
    }

    fn attributes(sets: &AttributeSets<Key>, key: Option<Key>, value: i64) -> i64 {
        let mut seen = None;
        sets.with(
            key,
            || vec![KeyValue::new("key", value)],
            |attributes| {
                assert_eq!(attributes.len(), 1);
                seen = Some(attributes[0].value.clone());
            },
        );
        match seen {
            Some(opentelemetry::Value::I64(value)) => value,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_first_key_of_a_slot_keeps_its_set() {
        let sets = AttributeSets::new();
        let key = |number, hash| Some(Key { number, hash });
        for turn in 0..2 {
            assert_eq!(attributes(&sets, key(1, 3), 10 + turn), 10, "kept");
            assert_eq!(attributes(&sets, key(2, 3 + PLACES), 20 + turn), 20 + turn, "another key of the slot");
            assert_eq!(attributes(&sets, None, 30 + turn), 30 + turn, "no key");
        }
        assert_eq!(format!("{sets:?}"), "AttributeSets(1 of 1024)");
    }

    #[test]
    fn keys_beyond_the_slots_are_served_too() {
        let sets = AttributeSets::new();
        for number in 0..10 * PLACES {
            let key = Key { number, hash: number };
            assert_eq!(attributes(&sets, Some(key), number as i64), number as i64);
        }
        assert_eq!(format!("{sets:?}"), "AttributeSets(1024 of 1024)");
    }
}
