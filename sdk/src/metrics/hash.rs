//! The hash of a set of attributes, which does not depend on their order, and their comparison.

use std::sync::OnceLock;

use opentelemetry::{Array, KeyValue, Value};

use crate::id;

const K0: u64 = 0x9e37_79b9_7f4a_7c15;
const K1: u64 = 0xd6e8_feb8_6659_fd93;

/// The secret of this process, so that nobody who chooses values of attributes can make them collide.
pub(super) fn seed() -> u64 {
    static SEED: OnceLock<u64> = OnceLock::new();
    *SEED.get_or_init(id::random)
}

/// The hash of one attribute; that of a set is the wrapping sum over its members.
#[inline(always)]
pub(super) fn attribute(seed: u64, attribute: &KeyValue) -> u64 {
    let key = bytes(seed, attribute.key.as_str().as_bytes());
    mix(key ^ K1, value(seed, &attribute.value) ^ K0)
}

/// Two values of 64 bits to one: both halves of their product.
#[inline]
fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[inline(always)]
fn value(seed: u64, value: &Value) -> u64 {
    // Most values are texts: a branch that is foreseen instead of a jump through a table.
    if let Value::String(string) = value { bytes(seed, string.as_str().as_bytes()) } else { other_value(seed, value) }
}

#[inline(never)]
fn other_value(seed: u64, value: &Value) -> u64 {
    match value {
        Value::I64(number) => mix(*number as u64 ^ K0, seed ^ 1),
        Value::Bool(flag) => mix(u64::from(*flag) ^ K0, seed ^ 2),
        Value::F64(number) => mix(number.to_bits() ^ K0, seed ^ 3),
        Value::Array(array) => elements(seed, array),
        // A kind that the API may add: slow, but right.
        other => bytes(seed, other.as_str().as_bytes()),
    }
}

fn elements(seed: u64, array: &Array) -> u64 {
    let in_order = |hash: u64, element: u64| mix(hash ^ K1, element ^ K0);
    match array {
        Array::Bool(list) => list.iter().fold(seed, |hash, element| in_order(hash, u64::from(*element))),
        Array::I64(list) => list.iter().fold(seed, |hash, element| in_order(hash, *element as u64)),
        Array::F64(list) => list.iter().fold(seed, |hash, element| in_order(hash, element.to_bits())),
        Array::String(list) => {
            list.iter().fold(seed, |hash, element| in_order(hash, bytes(seed, element.as_str().as_bytes())))
        }
        other => bytes(seed, other.to_string().as_bytes()),
    }
}

/// Both ends of a short text at once, a long one 16 bytes at a time.
#[inline(always)]
fn bytes(seed: u64, text: &[u8]) -> u64 {
    let length = text.len() as u64;
    let (a, b) = match text {
        [] => (0, 0),
        [first, .., last] if text.len() < 4 => (u64::from(*first) << 8 | u64::from(text[1]), u64::from(*last)),
        [only] => (u64::from(*only), 0),
        _ if text.len() < 8 => (four(text), four(&text[text.len() - 4..])),
        _ if text.len() <= 16 => (eight(text), eight(&text[text.len() - 8..])),
        _ => return long(seed, text),
    };
    // The secret in both: neither factor can be made zero from outside.
    mix(a ^ seed ^ K0, b ^ seed.rotate_left(32) ^ K1 ^ length)
}

fn long(seed: u64, text: &[u8]) -> u64 {
    let mut hash = seed;
    let mut rest = text;
    while rest.len() > 16 {
        hash = mix(eight(rest) ^ hash ^ K0, eight(&rest[8..]) ^ seed.rotate_left(32) ^ K1);
        rest = &rest[16..];
    }
    let end = &text[text.len() - 16..];
    mix(eight(end) ^ hash ^ K0, eight(&end[8..]) ^ seed.rotate_left(32) ^ K1 ^ text.len() as u64)
}

#[inline]
fn eight(text: &[u8]) -> u64 {
    text.first_chunk().map_or(0, |chunk| u64::from_le_bytes(*chunk))
}

#[inline]
fn four(text: &[u8]) -> u64 {
    text.first_chunk().map_or(0, |chunk| u64::from(u32::from_le_bytes(*chunk)))
}

/// Whether `stored`, whose keys are distinct, is what `kept` of the `given` attributes are, in any order.
///
/// The stored ones are looked for among the given, not the other way round: as there are as many of both, a key that is
/// given twice cannot pass for another.
#[inline]
pub(super) fn is_same_set(stored: &[KeyValue], given: &[KeyValue], kept: usize) -> bool {
    stored.len() == kept
        && stored.iter().enumerate().all(|(index, attribute)| {
            // Where the order is the same, the first look finds it.
            given.get(index).is_some_and(|same_place| is_same(attribute, same_place))
                || given.iter().any(|other| is_same(attribute, other))
        })
}

#[inline(always)]
fn is_same(a: &KeyValue, b: &KeyValue) -> bool {
    is_same_text(a.key.as_str(), b.key.as_str()) && is_same_value(&a.value, &b.value)
}

/// Numbers are compared by their bits, as they are hashed.
#[inline(always)]
pub(super) fn is_same_value(a: &Value, b: &Value) -> bool {
    if let (Value::String(a), Value::String(b)) = (a, b) {
        is_same_text(a.as_str(), b.as_str())
    } else {
        is_same_other(a, b)
    }
}

#[inline(never)]
fn is_same_other(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::I64(a), Value::I64(b)) => a == b,
        (Value::F64(a), Value::F64(b)) => a.to_bits() == b.to_bits(),
        (Value::Array(Array::F64(a)), Value::Array(Array::F64(b))) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
        }
        _ => a == b,
    }
}

/// Texts of the program itself are the same memory.
#[inline]
fn is_same_text(a: &str, b: &str) -> bool {
    a.len() == b.len() && (std::ptr::eq(a, b) || a == b)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn set(attributes: &[KeyValue]) -> u64 {
        attributes.iter().fold(0u64, |sum, one| sum.wrapping_add(attribute(7, one)))
    }

    #[test]
    fn short_texts_do_not_collide() {
        let mut seen = HashSet::new();
        let letters = [b'a', b'b', b'z', 0];
        for length in 0..6u32 {
            for number in 0..4u32.pow(length) {
                let text: Vec<u8> = (0..length).map(|at| letters[(number >> (2 * at) & 3) as usize]).collect();
                assert!(seen.insert(bytes(7, &text)), "{text:?}");
            }
        }
    }

    #[test]
    fn every_byte_of_a_text_counts() {
        for length in 1..70 {
            let text = vec![b'x'; length];
            for at in 0..length {
                let mut other = text.clone();
                other[at] = b'y';
                assert_ne!(bytes(7, &text), bytes(7, &other), "byte {at} of {length}");
            }
        }
    }

    #[test]
    fn values_of_different_types_differ() {
        let values: [Value; 6] = [
            1i64.into(),
            1.0.into(),
            true.into(),
            "1".into(),
            Value::Array(Array::I64(vec![1])),
            Value::Array(Array::F64(vec![1.0])),
        ];
        let hashes: HashSet<_> = values.iter().map(|one| value(7, one)).collect();
        assert_eq!(hashes.len(), values.len());
    }

    #[test]
    fn a_key_that_is_given_twice_does_not_pass_for_another() {
        let stored = [KeyValue::new("a", 1), KeyValue::new("b", 2)];
        let twice = [KeyValue::new("a", 1), KeyValue::new("a", 1)];
        assert!(!is_same_set(&stored, &twice, 2));
        assert!(is_same_set(&stored, &[KeyValue::new("b", 2), KeyValue::new("a", 1)], 2));
    }

    proptest! {
        #[test]
        fn the_order_does_not_matter(
            mut given in prop::collection::vec(("[a-d]{0,20}", "[a-d]{0,40}"), 0..6), swap in any::<prop::sample::Index>()
        ) {
            let attributes = |list: &[(String, String)]| -> Vec<_> {
                list.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone())).collect()
            };
            let before = set(&attributes(&given));
            if !given.is_empty() {
                let at = swap.index(given.len());
                given.rotate_left(at);
            }
            prop_assert_eq!(set(&attributes(&given)), before);
        }
    }
}
