//! Order-independent fingerprints of attribute sets, and a comparison of two sets.
//!
//! The hot path treats two sets with the same fingerprint as equal. Fingerprints therefore have 128 bits and
//! are keyed by secrets: among a million sets, the probability of a collision is below 2^-88, and an attacker
//! who chooses attribute values cannot cause one.

use std::sync::OnceLock;

use opentelemetry::{Array, KeyValue, Value};

use crate::id;

/// The fingerprint of an attribute set, which is the sum of the fingerprints of its attributes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Fingerprint {
    /// The half that determines the position in a table.
    pub(crate) place: u64,
    /// The half that is compared with the stored series.
    pub(crate) check: u64,
}

/// The secrets with which this process's fingerprints are keyed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Secrets([u64; 6]);

impl Secrets {
    pub(crate) fn of_process() -> &'static Secrets {
        static SECRETS: OnceLock<Secrets> = OnceLock::new();
        SECRETS.get_or_init(|| Secrets(std::array::from_fn(|_| id::random())))
    }

    #[cfg(test)]
    pub(crate) const fn fixed() -> &'static Secrets {
        &Secrets([
            0x9e37_79b9_7f4a_7c15,
            0xd6e8_feb8_6659_fd93,
            0xa076_1d64_78bd_642f,
            0xe703_7ed1_a0b4_28db,
            0x8ebc_6af0_9c88_c6e3,
            0x5899_65cc_7537_4cc3,
        ])
    }

    #[cfg(all(test, not(loom)))]
    pub(crate) fn from_seed(seed: u64) -> Secrets {
        Secrets(std::array::from_fn(|at| mix(seed ^ 0x9e37_79b9_7f4a_7c15, (at as u64 + 1) ^ 0xd6e8_feb8_6659_fd93)))
    }

    /// Returns the fingerprint of an attribute set.
    #[inline(always)]
    pub(crate) fn fingerprint<'a>(&self, attributes: impl IntoIterator<Item = &'a KeyValue>) -> Fingerprint {
        let mut sum = Fingerprint::default();
        for attribute in attributes {
            let one = self.attribute(attribute);
            sum.place = sum.place.wrapping_add(one.place);
            sum.check = sum.check.wrapping_add(one.check);
        }
        sum
    }

    #[inline(always)]
    fn attribute(&self, attribute: &KeyValue) -> Fingerprint {
        let [a, b, c, d, e, f] = self.0;
        let key = attribute.key.as_str().as_bytes();
        let (k0, k1) = self.text(key);
        // Most values are strings, so a predictable branch is faster than a jump table.
        let (v0, v1, shape) = match &attribute.value {
            Value::String(string) => {
                let text = string.as_str().as_bytes();
                let (v0, v1) = self.text(text);
                (v0, v1, text.len() as u64)
            }
            other => self.other(other),
        };
        // The lengths and the type are multiplied by a secret, so that no choice of text can compensate for a
        // different length.
        let shape = (shape << 24 ^ key.len() as u64).wrapping_mul(c | 1);
        let key = mix(k0 ^ a, k1 ^ b ^ shape);
        Fingerprint {
            place: mix(v0 ^ key ^ d, v1 ^ e),
            check: mix(v0 ^ key.rotate_left(32) ^ f, v1 ^ e.rotate_left(32) ^ c),
        }
    }

    /// Reads a string as two words. Short strings are read directly from both ends, and long ones in blocks of
    /// 16 bytes. The caller mixes in the length.
    #[inline(always)]
    fn text(&self, text: &[u8]) -> (u64, u64) {
        if text.len() > 16 {
            self.long(text)
        } else if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
            (u64::from_le_bytes(*first), u64::from_le_bytes(*last))
        } else if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
            (u64::from(u32::from_le_bytes(*first)), u64::from(u32::from_le_bytes(*last)))
        } else {
            let byte = |at: usize| text.get(at).map_or(0, |byte| u64::from(*byte));
            (byte(0) | byte(1) << 8 | byte(2) << 16, 0)
        }
    }

    #[inline(never)]
    fn long(&self, text: &[u8]) -> (u64, u64) {
        let mut words = text.first_chunk().map_or((0, 0), halves);
        let mut rest = text.get(16..).unwrap_or_default();
        while rest.len() > 16 {
            words = self.more(words, rest.first_chunk().map_or((0, 0), halves));
            rest = &rest[16..];
        }
        // This block may overlap bytes that were already read.
        self.more(words, text.last_chunk().map_or((0, 0), halves))
    }

    /// Mixes two more words into the state.
    #[inline]
    fn more(&self, words: (u64, u64), next: (u64, u64)) -> (u64, u64) {
        let [a, b, c, d, ..] = self.0;
        (mix(words.0 ^ next.0 ^ a, next.1 ^ b), mix(words.1 ^ next.1 ^ c, next.0 ^ d))
    }

    /// Returns the words for a value that is not a string, and a type tag that no length can equal.
    #[inline(never)]
    fn other(&self, value: &Value) -> (u64, u64, u64) {
        const TYPES: u64 = 1 << 39;
        match value {
            Value::I64(number) => (*number as u64, 0, TYPES),
            Value::Bool(flag) => (u64::from(*flag), 0, TYPES + 1),
            Value::F64(number) => (number.to_bits(), 0, TYPES + 2),
            Value::Array(Array::Bool(list)) => self.list(TYPES + 3, list.iter().map(|one| (u64::from(*one), 0, 0))),
            Value::Array(Array::I64(list)) => self.list(TYPES + 4, list.iter().map(|one| (*one as u64, 0, 0))),
            Value::Array(Array::F64(list)) => self.list(TYPES + 5, list.iter().map(|one| (one.to_bits(), 0, 0))),
            Value::Array(Array::String(list)) => {
                let element = |text: &[u8]| {
                    let words = self.text(text);
                    (words.0, words.1, text.len() as u64)
                };
                self.list(TYPES + 6, list.iter().map(|one| element(one.as_str().as_bytes())))
            }
            // A type that a later version of the API may add. The code is slow but correct.
            other => {
                let text = other.to_string();
                let words = self.text(text.as_bytes());
                (words.0, words.1, TYPES + 7 + text.len() as u64)
            }
        }
    }

    fn list(&self, shape: u64, elements: impl Iterator<Item = (u64, u64, u64)>) -> (u64, u64, u64) {
        let words = elements.fold((0, 0), |words, (v0, v1, length)| {
            let words = self.more(words, (v0, v1));
            self.more(words, (length, 1))
        });
        (words.0, words.1, shape)
    }
}

/// Folds two words into one by combining the halves of their product.
#[inline(always)]
fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[inline(always)]
fn halves(chunk: &[u8; 16]) -> (u64, u64) {
    let both = u128::from_le_bytes(*chunk);
    (both as u64, (both >> 64) as u64)
}

/// Returns true if `stored` equals those `given` attributes that a filter keeps, in any order. `kept` is the number of
/// attributes that the filter keeps, and the keys in `stored` are distinct.
///
/// Looks up each stored attribute among the given ones, rather than vice versa. Both lists have the same length, so
/// a duplicate key in `given` cannot stand in for another key.
pub(crate) fn is_same_set(stored: &[KeyValue], given: &[KeyValue], kept: usize) -> bool {
    stored.len() == kept
        && stored.iter().enumerate().all(|(index, attribute)| {
            // If the order is the same, the first comparison matches.
            given.get(index).is_some_and(|same_place| is_same(attribute, same_place))
                || given.iter().any(|other| is_same(attribute, other))
        })
}

fn is_same(a: &KeyValue, b: &KeyValue) -> bool {
    a.key == b.key && is_same_value(&a.value, &b.value)
}

/// Compares floats by their bits, because they are also hashed by their bits.
pub(crate) fn is_same_value(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::F64(a), Value::F64(b)) => a.to_bits() == b.to_bits(),
        (Value::Array(Array::F64(a)), Value::Array(Array::F64(b))) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
        }
        _ => a == b,
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn set(attributes: &[KeyValue]) -> Fingerprint {
        Secrets::fixed().fingerprint(attributes)
    }

    fn text(text: &[u8]) -> Fingerprint {
        set(&[KeyValue::new("key", String::from_utf8_lossy(text).into_owned())])
    }

    #[test]
    fn short_texts_do_not_collide() {
        let (mut places, mut checks) = (HashSet::new(), HashSet::new());
        let letters = [b'a', b'b', b'z', 0];
        for length in 0..6u32 {
            for number in 0..4u32.pow(length) {
                let one: Vec<u8> = (0..length).map(|at| letters[(number >> (2 * at) & 3) as usize]).collect();
                let Fingerprint { place, check } = text(&one);
                assert!(places.insert(place) && checks.insert(check), "{one:?}");
            }
        }
    }

    #[test]
    fn every_byte_and_the_length_of_a_text_count() {
        let differ = |a: Fingerprint, b: Fingerprint| a.place != b.place && a.check != b.check;
        for length in 1..70 {
            let same = vec![b'x'; length];
            assert!(differ(text(&same), text(&same[1..])), "length {length}");
            for at in 0..length {
                let mut other = same.clone();
                other[at] = b'y';
                assert!(differ(text(&same), text(&other)), "byte {at} of {length}");
            }
        }
    }

    #[test]
    fn a_key_is_not_its_value() {
        let sets = [("a", "b"), ("b", "a"), ("ab", ""), ("", "ab"), ("a", "a"), ("b", "b")];
        let fingerprints: HashSet<_> = sets.iter().map(|(key, value)| set(&[KeyValue::new(*key, *value)])).collect();
        assert_eq!(fingerprints.len(), sets.len());
        let swapped = |a: &'static str, b: &'static str| set(&[KeyValue::new("k", a), KeyValue::new("l", b)]);
        assert_ne!(swapped("1", "2"), swapped("2", "1"));
    }

    #[test]
    fn values_of_different_types_differ() {
        let values: [Value; 11] = [
            1i64.into(),
            1.0.into(),
            true.into(),
            "1".into(),
            "\u{1}\0\0\0\0\0\0\0".into(),
            Value::Array(Array::I64(vec![1])),
            Value::Array(Array::I64(vec![1, 0])),
            Value::Array(Array::F64(vec![1.0])),
            Value::Array(Array::Bool(vec![true])),
            Value::Array(Array::String(vec!["1".into()])),
            Value::Array(Array::String(vec!["1".into(), "".into()])),
        ];
        let fingerprints: HashSet<_> = values.iter().map(|one| set(&[KeyValue::new("key", one.clone())])).collect();
        assert_eq!(fingerprints.len(), values.len());
    }

    #[test]
    fn a_key_that_is_given_twice_does_not_pass_for_another() {
        let stored = [KeyValue::new("a", 1), KeyValue::new("b", 2)];
        let twice = [KeyValue::new("a", 1), KeyValue::new("a", 1)];
        assert!(!is_same_set(&stored, &twice, 2));
        assert!(is_same_set(&stored, &[KeyValue::new("b", 2), KeyValue::new("a", 1)], 2));
        assert_ne!(set(&twice), set(&twice[..1]));
    }

    fn attributes(list: &[(String, String)]) -> Vec<KeyValue> {
        list.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone())).collect()
    }

    proptest! {
        #[test]
        fn the_order_does_not_matter(
            mut given in prop::collection::vec(("[a-d]{0,20}", "[a-d]{0,40}"), 0..6), swap in any::<prop::sample::Index>()
        ) {
            let before = set(&attributes(&given));
            if !given.is_empty() {
                let at = swap.index(given.len());
                given.rotate_left(at);
            }
            prop_assert_eq!(set(&attributes(&given)), before);
        }

        /// Strings that consist of only a few different letters, so that lengths and endings often coincide.
        #[test]
        fn different_sets_differ(
            one in prop::collection::btree_map("[ab]{0,18}", "[ab]{0,34}", 0..4),
            other in prop::collection::btree_map("[ab]{0,18}", "[ab]{0,34}", 0..4),
        ) {
            let (one, other): (Vec<_>, Vec<_>) = (one.into_iter().collect(), other.into_iter().collect());
            let (a, b) = (set(&attributes(&one)), set(&attributes(&other)));
            prop_assert_eq!(a.place == b.place, one == other);
            prop_assert_eq!(a.check == b.check, one == other);
        }
    }
}
