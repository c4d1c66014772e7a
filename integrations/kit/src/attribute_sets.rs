//! Sets of attributes that live as long as their instruments, so that a request does not build them again.

use std::sync::OnceLock;

use http::{StatusCode, Version};
use opentelemetry::KeyValue;

/// Bounds the memory. A program has fewer combinations of routes, methods and statuses, and odd requests cannot add more.
const PLACES: usize = 1024;

/// At most [`PLACES`] sets, each in the slot that its key selects. The first set in a slot stays; the attributes of another
/// key with the same slot are built for each request.
pub(crate) struct AttributeSets(Box<[OnceLock<Box<Set>>]>);

struct Set {
    key: SetKey,
    attributes: Vec<KeyValue>,
}

/// The identity of a set. Texts are compared by address, so one text may have several keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SetKey {
    pub(crate) method: &'static str,
    pub(crate) scheme: &'static str,
    pub(crate) route: Option<&'static str>,
    /// Version, status and `error.type`; absent while a request is served.
    pub(crate) ended: Option<(Version, Option<StatusCode>, Option<&'static str>)>,
}

impl AttributeSets {
    pub(crate) fn new() -> Self {
        AttributeSets((0..PLACES).map(|_| OnceLock::new()).collect())
    }

    /// Calls `then` with the attributes of the key. `make` builds them if the slot is free, taken by another key, or if there
    /// is no key.
    #[inline]
    pub(crate) fn with(
        &self,
        key: Option<SetKey>,
        make: impl FnOnce() -> Vec<KeyValue>,
        then: impl FnOnce(&[KeyValue]),
    ) {
        let Some(key) = key else { return then(&make()) };
        let Some(place) = self.0.get(key.place() % PLACES) else { return then(&make()) };
        match place.get() {
            Some(set) if set.key.is(&key) => then(&set.attributes),
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

impl SetKey {
    /// Returns a hash of the key.
    #[inline]
    pub(crate) fn place(&self) -> usize {
        let address = |text: Option<&'static str>| text.map_or(0, |text| text.as_ptr().addr() as u64);
        let status = match self.ended {
            None => 0,
            Some((_, status, _)) => 1 + status.map_or(0, |status| u64::from(status.as_u16())),
        };
        let mixed = address(self.route) ^ address(Some(self.method)).rotate_left(24) ^ (status << 48);
        // The upper half of the product depends on all of its bits.
        let product = u128::from(mixed) * 0x9e37_79b9_7f4a_7c15;
        (((product >> 64) as u64 ^ product as u64) >> 20) as usize
    }

    #[inline]
    pub(crate) fn is(&self, other: &SetKey) -> bool {
        let same = |a: Option<&'static str>, b: Option<&'static str>| match (a, b) {
            (Some(a), Some(b)) => std::ptr::eq(a, b),
            (a, b) => a.is_none() && b.is_none(),
        };
        same(Some(self.method), Some(other.method))
            && same(Some(self.scheme), Some(other.scheme))
            && same(self.route, other.route)
            && match (self.ended, other.ended) {
                (Some((a_version, a_status, a_error)), Some((b_version, b_status, b_error))) => {
                    a_version == b_version && a_status == b_status && same(a_error, b_error)
                }
                (a, b) => a.is_none() && b.is_none(),
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: SetKey = SetKey { method: "GET", scheme: "http", route: None, ended: None };

    fn attributes(sets: &AttributeSets, key: Option<SetKey>, value: i64) -> i64 {
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
    fn every_part_of_a_key_counts() {
        let status = StatusCode::from_u16(200).ok();
        let ended = |version, status, error| Some((version, status, error));
        let keys = [
            KEY,
            SetKey { method: "PUT", ..KEY },
            SetKey { scheme: "https", ..KEY },
            SetKey { route: Some("/a"), ..KEY },
            SetKey { route: Some("/b"), ..KEY },
            SetKey { ended: ended(Version::HTTP_11, None, None), ..KEY },
            SetKey { ended: ended(Version::HTTP_2, None, None), ..KEY },
            SetKey { ended: ended(Version::HTTP_11, status, None), ..KEY },
            SetKey { ended: ended(Version::HTTP_11, status, Some("io")), ..KEY },
            SetKey { ended: ended(Version::HTTP_11, None, Some("io")), ..KEY },
        ];
        let sets = AttributeSets::new();
        for turn in 0..2 {
            for (index, key) in keys.into_iter().enumerate() {
                // Where two keys share a slot, the later one is built each time; it never gets the other's.
                let seen = attributes(&sets, Some(key), index as i64 + 100 * turn);
                assert_eq!(seen % 100, index as i64);
            }
        }
        assert_eq!(attributes(&sets, Some(KEY), 7), 0, "kept");
        assert_eq!(attributes(&sets, None, 7), 7);
        assert_eq!(attributes(&sets, None, 8), 8);
    }

    #[test]
    fn keys_beyond_the_slots_are_served_too() {
        let sets = AttributeSets::new();
        let routes: String = "x".repeat(10 * PLACES);
        let routes: &'static str = Box::leak(routes.into_boxed_str());
        for index in 0..10 * PLACES {
            let key = SetKey { route: Some(&routes[index..=index]), ..KEY };
            assert_eq!(attributes(&sets, Some(key), index as i64), index as i64);
        }
        let taken = sets.0.iter().filter(|place| place.get().is_some()).count();
        assert!(taken > PLACES / 2, "{taken}");
    }
}
