//! The cache key for the attribute sets of a request's metrics.

use http::{StatusCode, Version};
use telemark_kit::SetKey;

/// Identifies the attribute set of a request's metrics. Strings are compared by address, so equal ones may have different keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestKey {
    pub(crate) method: &'static str,
    pub(crate) scheme: &'static str,
    pub(crate) route: Option<&'static str>,
    /// The version, status and `error.type`, or `None` while the request is active.
    pub(crate) ended: Option<(Version, Option<StatusCode>, Option<&'static str>)>,
}

impl SetKey for RequestKey {
    #[inline]
    fn hash(&self) -> usize {
        let address = |text: Option<&'static str>| text.map_or(0, |text| text.as_ptr().addr() as u64);
        let status = match self.ended {
            None => 0,
            Some((_, status, _)) => 1 + status.map_or(0, |status| u64::from(status.as_u16())),
        };
        let mixed = address(self.route) ^ address(Some(self.method)).rotate_left(24) ^ (status << 48);
        // All input bits affect the upper half of the product.
        let product = u128::from(mixed) * 0x9e37_79b9_7f4a_7c15;
        (((product >> 64) as u64 ^ product as u64) >> 20) as usize
    }
}

impl PartialEq for RequestKey {
    #[inline]
    fn eq(&self, other: &RequestKey) -> bool {
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
    use opentelemetry::KeyValue;
    use telemark_kit::AttributeSets;

    const KEY: RequestKey = RequestKey { method: "GET", scheme: "http", route: None, ended: None };

    #[test]
    fn every_part_of_a_key_counts() {
        let status = StatusCode::from_u16(200).ok();
        let ended = |version, status, error| Some((version, status, error));
        let keys = [
            KEY,
            RequestKey { method: "PUT", ..KEY },
            RequestKey { scheme: "https", ..KEY },
            RequestKey { route: Some("/a"), ..KEY },
            RequestKey { route: Some("/b"), ..KEY },
            RequestKey { ended: ended(Version::HTTP_11, None, None), ..KEY },
            RequestKey { ended: ended(Version::HTTP_2, None, None), ..KEY },
            RequestKey { ended: ended(Version::HTTP_11, status, None), ..KEY },
            RequestKey { ended: ended(Version::HTTP_11, status, Some("io")), ..KEY },
            RequestKey { ended: ended(Version::HTTP_11, None, Some("io")), ..KEY },
        ];
        let sets = AttributeSets::new();
        for turn in 0..2 {
            for (index, key) in keys.into_iter().enumerate() {
                // A key's bucket may be full, but a key never gets another key's attributes.
                let make = || vec![KeyValue::new("key", index as i64 + 100 * turn)];
                let value = |attributes: &[KeyValue]| attributes[0].value.to_string();
                sets.with(Some(key), make, |attributes| {
                    let value: i64 = value(attributes).parse().unwrap();
                    assert_eq!(value % 100, index as i64);
                });
            }
        }
        assert_eq!((KEY, KEY.hash()), (KEY, KEY.hash()));
    }

    #[test]
    fn the_keys_of_many_routes_spread_over_the_buckets() {
        static ROUTES: [u8; 256] = [b'x'; 256];
        let routes = std::str::from_utf8(&ROUTES).unwrap();
        let bucket = |index: usize| RequestKey { route: Some(&routes[index..=index]), ..KEY }.hash() % 256;
        let buckets: std::collections::HashSet<_> = (0..256).map(bucket).collect();
        assert!(buckets.len() > 128, "{}", buckets.len());
    }
}
