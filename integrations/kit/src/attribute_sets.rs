//! Attribute sets that live as long as their instruments, so measurements need not rebuild them.

use std::fmt;
use std::sync::OnceLock;

use opentelemetry::KeyValue;

/// Bounds the memory, together with [`WAYS`]. Typical programs have fewer combinations of routes, methods and statuses, and
/// unusual requests cannot exceed the bound.
const BUCKETS: usize = 256;

/// The entries of a bucket, in one cache line. With a hundred keys, nearly every key finds a free entry.
const WAYS: usize = 4;

/// A cache of up to 1024 attribute sets, in buckets of four selected by the hash of the key. A bucket keeps its first
/// four sets; the attributes of further keys are rebuilt on every call.
pub struct AttributeSets<K>(Box<[Bucket<K>]>);

type Bucket<K> = [OnceLock<Box<Set<K>>>; WAYS];

struct Set<K> {
    key: K,
    attributes: Vec<KeyValue>,
}

/// The key of an attribute set: equal keys mean equal attributes.
pub trait SetKey: PartialEq {
    /// Returns a hash of the key.
    fn hash(&self) -> usize;
}

impl<K: SetKey> AttributeSets<K> {
    /// Returns an empty cache.
    pub fn new() -> Self {
        AttributeSets((0..BUCKETS).map(|_| Bucket::default()).collect())
    }

    /// Calls `then` with the attributes for the key. Calls `make` to build them if the key is new, if its bucket is full, or
    /// if there is no key.
    #[inline]
    pub fn with(&self, key: Option<K>, make: impl FnOnce() -> Vec<KeyValue>, then: impl FnOnce(&[KeyValue])) {
        let Some(key) = key else { return then(&make()) };
        let Some(bucket) = self.0.get(key.hash() % BUCKETS) else { return then(&make()) };
        for place in bucket {
            match place.get() {
                Some(set) if set.key == key => return then(&set.attributes),
                Some(_) => {}
                None => {
                    let attributes = make();
                    then(&attributes);
                    // Losing this race is harmless: the next call finds this key or another free entry.
                    let _ = place.set(Box::new(Set { key, attributes }));
                    return;
                }
            }
        }
        then(&make());
    }
}

impl<K: SetKey> Default for AttributeSets<K> {
    fn default() -> Self {
        AttributeSets::new()
    }
}

impl<K> fmt::Debug for AttributeSets<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let taken = self.0.as_flattened().iter().filter(|place| place.get().is_some()).count();
        write!(f, "AttributeSets({taken} of {})", BUCKETS * WAYS)
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
    fn the_first_keys_of_a_bucket_keep_their_sets() {
        let sets = AttributeSets::new();
        let key = |number| Some(Key { number, hash: 3 + BUCKETS * number });
        for turn in 0..2 {
            for number in 0..WAYS {
                assert_eq!(attributes(&sets, key(number), 10 * number as i64 + turn), 10 * number as i64, "kept");
            }
            assert_eq!(attributes(&sets, key(WAYS), 50 + turn), 50 + turn, "a key too many");
            assert_eq!(attributes(&sets, None, 60 + turn), 60 + turn, "no key");
        }
        assert_eq!(format!("{sets:?}"), "AttributeSets(4 of 1024)");
    }

    #[test]
    fn keys_beyond_the_places_are_served_too() {
        let sets = AttributeSets::new();
        for number in 0..10 * BUCKETS * WAYS {
            let key = Key { number, hash: number };
            assert_eq!(attributes(&sets, Some(key), number as i64), number as i64);
        }
        assert_eq!(format!("{sets:?}"), "AttributeSets(1024 of 1024)");
    }
}
