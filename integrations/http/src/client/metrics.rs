//! The instruments of a client, the choice of metrics, and the key under which their attributes are cached.

use std::fmt;

use http::{StatusCode, Version};
use opentelemetry::InstrumentationScope;
use opentelemetry::metrics::{Histogram, Meter, UpDownCounter};
use telemark_kit::{AttributeSets, Instruments, SetKey};

// spec: http/http-metrics.md: the advised boundaries of http.client.request.duration, in seconds
const DURATION_BOUNDARIES: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

// spec: http/http-metrics.md: the advised boundaries of http.client.connection.duration, in seconds
const CONNECTION_BOUNDARIES: [f64; 14] =
    [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];

/// The instruments of the HTTP client metrics. Cheap to clone; clones share one set of instruments.
///
/// [`ClientConfig`](crate::ClientConfig) selects the metrics to record.
#[derive(Clone)]
pub struct ClientMetrics(Instruments<ClientInstruments>);

pub(crate) struct ClientInstruments {
    pub(crate) open: UpDownCounter<i64>,
    pub(crate) connection_duration: Histogram<f64>,
    pub(crate) duration: Histogram<f64>,
    pub(crate) active: UpDownCounter<i64>,
    pub(crate) request_size: Histogram<u64>,
    pub(crate) response_size: Histogram<u64>,
    pub(crate) sets: AttributeSets<ClientKey>,
}

impl ClientMetrics {
    /// Returns an empty set, which records nothing.
    pub fn off() -> Self {
        ClientMetrics(Instruments::off(ClientInstruments::new))
    }

    /// Returns instruments created by the given meter.
    pub fn new(meter: &Meter) -> Self {
        ClientMetrics(Instruments::new(meter, ClientInstruments::new))
    }

    /// Returns instruments from the API's global provider, which is looked up on the first request.
    ///
    /// May be called before the provider is installed: while the global provider is the API's no-op provider, or another
    /// provider without state, each request repeats the lookup. The first real provider is kept.
    pub fn global(scope: InstrumentationScope) -> Self {
        ClientMetrics(Instruments::global(scope, ClientInstruments::new))
    }

    /// Returns the instruments, or `None` if there is no meter.
    #[inline]
    pub(crate) fn instruments(&self) -> Option<&ClientInstruments> {
        self.0.get()
    }
}

impl fmt::Debug for ClientMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClientMetrics").field(&self.0).finish()
    }
}

impl ClientInstruments {
    // spec: http/http-metrics.md#http-client
    fn new(meter: &Meter) -> Self {
        ClientInstruments {
            open: meter
                .i64_up_down_counter("http.client.open_connections")
                .with_unit("{connection}")
                .with_description(
                    "Number of outbound HTTP connections that are currently active or idle on the client.",
                )
                .build(),
            connection_duration: meter
                .f64_histogram("http.client.connection.duration")
                .with_unit("s")
                .with_description("The duration of the successfully established outbound HTTP connections.")
                .with_boundaries(CONNECTION_BOUNDARIES.to_vec())
                .build(),
            duration: meter
                .f64_histogram("http.client.request.duration")
                .with_unit("s")
                .with_description("Duration of HTTP client requests.")
                .with_boundaries(DURATION_BOUNDARIES.to_vec())
                .build(),
            active: meter
                .i64_up_down_counter("http.client.active_requests")
                .with_unit("{request}")
                .with_description("Number of active HTTP requests.")
                .build(),
            request_size: meter
                .u64_histogram("http.client.request.body.size")
                .with_unit("By")
                .with_description("Size of HTTP client request bodies.")
                .build(),
            response_size: meter
                .u64_histogram("http.client.response.body.size")
                .with_unit("By")
                .with_description("Size of HTTP client response bodies.")
                .build(),
            sets: AttributeSets::new(),
        }
    }
}

/// The metrics that share a list of attribute names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    Active,
    Duration,
    Sizes,
}

/// Identifies the attribute set of a request's metrics. Strings are compared by address, so equal ones may have different keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientKey {
    pub(crate) of: Of,
    pub(crate) method: &'static str,
    pub(crate) host: &'static str,
    pub(crate) port: Option<u16>,
    pub(crate) scheme: Option<&'static str>,
    pub(crate) template: Option<&'static str>,
    pub(crate) version: Option<Version>,
    pub(crate) status: Option<StatusCode>,
    pub(crate) error: Option<&'static str>,
}

impl SetKey for ClientKey {
    #[inline]
    fn hash(&self) -> usize {
        let address = |text: Option<&'static str>| text.map_or(0, |text| text.as_ptr().addr() as u64);
        let status = self.status.map_or(1, |status| u64::from(status.as_u16())) * 4 + self.of as u64;
        let end = status | u64::from(self.port.unwrap_or_default()) << 16;
        let parts = [Some(self.method), self.template, self.error].map(address);
        let places = parts.into_iter().fold(address(Some(self.host)), |mixed, part| mixed.rotate_left(17) ^ part);
        // All input bits affect the upper half of a product.
        let product = u128::from(places ^ end.wrapping_mul(0xd6e8_feb8_6659_fd93)) * 0x9e37_79b9_7f4a_7c15;
        (((product >> 64) as u64 ^ product as u64) >> 20) as usize
    }
}

impl PartialEq for ClientKey {
    #[inline]
    fn eq(&self, other: &ClientKey) -> bool {
        let same = |a: Option<&'static str>, b: Option<&'static str>| match (a, b) {
            (Some(a), Some(b)) => std::ptr::eq(a, b),
            (a, b) => a.is_none() && b.is_none(),
        };
        (self.of, self.port, self.version, self.status) == (other.of, other.port, other.version, other.status)
            && same(Some(self.method), Some(other.method))
            && same(Some(self.host), Some(other.host))
            && same(self.scheme, other.scheme)
            && same(self.template, other.template)
            && same(self.error, other.error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::KeyValue;
    use telemark_kit::AttributeSets;

    const KEY: ClientKey = ClientKey {
        of: Of::Duration,
        method: "GET",
        host: "a.example",
        port: Some(80),
        scheme: None,
        template: None,
        version: None,
        status: None,
        error: None,
    };

    #[test]
    fn every_part_of_a_key_counts() {
        let status = StatusCode::from_u16(200).ok();
        let keys = [
            KEY,
            ClientKey { of: Of::Active, ..KEY },
            ClientKey { of: Of::Sizes, ..KEY },
            ClientKey { method: "PUT", ..KEY },
            ClientKey { host: "b.example", ..KEY },
            ClientKey { port: Some(81), ..KEY },
            ClientKey { port: None, ..KEY },
            ClientKey { scheme: Some("http"), ..KEY },
            ClientKey { template: Some("/a"), ..KEY },
            ClientKey { version: Some(Version::HTTP_11), ..KEY },
            ClientKey { status, ..KEY },
            ClientKey { error: Some("timeout"), ..KEY },
        ];
        let sets = AttributeSets::new();
        for turn in 0..2 {
            for (index, key) in keys.into_iter().enumerate() {
                // A key's bucket may be full, but a key never gets another key's attributes.
                let make = || vec![KeyValue::new("key", index as i64 + 100 * turn)];
                sets.with(Some(key), make, |attributes| {
                    let value: i64 = attributes[0].value.to_string().parse().unwrap();
                    assert_eq!(value % 100, index as i64);
                });
            }
        }
        assert_eq!((KEY, KEY.hash()), (KEY, KEY.hash()));
    }

    #[test]
    fn the_keys_of_many_hosts_and_statuses_spread_over_the_buckets() {
        static HOSTS: [u8; 64] = [b'x'; 64];
        let hosts = std::str::from_utf8(&HOSTS).unwrap();
        let mut buckets = std::collections::HashSet::new();
        for index in 0..64 {
            for status in [200, 404, 500, 503] {
                let status = StatusCode::from_u16(status).ok();
                buckets.insert(ClientKey { host: &hosts[index..=index], status, ..KEY }.hash() % 256);
            }
        }
        assert!(buckets.len() > 128, "{}", buckets.len());
    }
}
