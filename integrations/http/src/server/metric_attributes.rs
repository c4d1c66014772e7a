//! The attributes of one request's metrics, and the key under which they are kept.

use http::{StatusCode, Version};
use opentelemetry::KeyValue;
use telemark_kit::{SetKey, keys};

use super::measurement::Measurement;
use super::outcome::RequestOutcome;
use crate::shared::methods::MethodName;
use crate::shared::names::RouteText;
use crate::shared::version;

/// A request whose attributes are needed: without an outcome those of the active requests, with one those of the other
/// metrics.
pub(crate) struct MetricAttributes<'m> {
    pub(crate) of: &'m Measurement,
    pub(crate) method: &'m MethodName,
    pub(crate) outcome: Option<&'m RequestOutcome>,
}

impl MetricAttributes<'_> {
    // spec: http/http-metrics.md: duration and sizes have the same attributes, active requests the first of them
    pub(crate) fn list(&self) -> Vec<KeyValue> {
        let Measurement { scheme, route, server, version, .. } = self.of;
        let method = self.method.attribute();
        let mut list = vec![KeyValue::new(keys::HTTP_REQUEST_METHOD, method), KeyValue::new(keys::URL_SCHEME, *scheme)];
        if let Some((host, port)) = server.as_deref() {
            list.push(KeyValue::new(keys::SERVER_ADDRESS, host.clone()));
            list.extend(port.map(|port| KeyValue::new(keys::SERVER_PORT, i64::from(port))));
        }
        if let Some(outcome) = self.outcome {
            list.extend(outcome.error_type().map(|error| KeyValue::new(keys::ERROR_TYPE, error)));
            let status = outcome.status.map(|status| i64::from(status.as_u16()));
            list.extend(status.map(|status| KeyValue::new(keys::HTTP_RESPONSE_STATUS_CODE, status)));
            list.extend(route.clone().map(|route| KeyValue::new(keys::HTTP_ROUTE, route)));
            let version = version::attribute(*version);
            list.extend(version.map(|version| KeyValue::new(keys::NETWORK_PROTOCOL_VERSION, version)));
        }
        // Sorted, a series is found fastest.
        list.sort_by(|a, b| a.key.cmp(&b.key));
        list
    }

    /// Returns the key of these attributes; `None` if they hold a text that does not live as long as the program.
    pub(crate) fn key(&self) -> Option<RequestKey> {
        let Measurement { scheme, route, server, version, .. } = self.of;
        let method = match self.method {
            MethodName::Standard(name) => *name,
            MethodName::Other => "",
            MethodName::Custom(_) => return None,
        };
        let route = match (self.outcome, route) {
            (None, _) | (_, None) => None,
            (_, Some(RouteText::Kept(route))) => Some(*route),
            (_, Some(RouteText::Own(_))) => return None,
        };
        server.is_none().then(|| RequestKey {
            method,
            scheme,
            route,
            ended: self.outcome.map(|outcome| (*version, outcome.status, outcome.error_type())),
        })
    }
}

/// Texts are compared by address, so one text may have several keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestKey {
    method: &'static str,
    scheme: &'static str,
    route: Option<&'static str>,
    /// Version, status and `error.type`; absent while a request is served.
    ended: Option<(Version, Option<StatusCode>, Option<&'static str>)>,
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
        // The upper half of the product depends on all of its bits.
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
                // A key may find its bucket full; it never gets the attributes of another.
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
