//! The measurements of one request, their attributes, and the key under which these are cached.

use std::time::SystemTime;

use http::{StatusCode, Version};
use opentelemetry::KeyValue;
use telemark_kit::{Clock, SetKey, guarded, keys};

use super::config::ClientConfig;
use super::metrics::{ClientMetricChoice, ClientMetrics};
use crate::shared::methods::MethodName;
use crate::shared::names::RouteText;
use crate::shared::target::Server;
use crate::shared::version;

/// Records the metrics of one client.
#[derive(Debug)]
pub(crate) struct Recorder {
    metrics: ClientMetrics,
    choice: ClientMetricChoice,
    clock: Clock,
}

impl Recorder {
    pub(crate) fn new(config: &ClientConfig, metrics: ClientMetrics) -> Self {
        Recorder { metrics, choice: config.metrics, clock: config.clock.clone().unwrap_or_default() }
    }

    pub(crate) fn with_config(&self, config: &ClientConfig) -> Self {
        Recorder::new(config, self.metrics.clone())
    }

    /// Returns the current time, or `None` if no metric is recorded.
    #[inline]
    pub(crate) fn start(&self) -> Option<SystemTime> {
        (self.choice.is_any() && self.metrics.instruments().is_some()).then(|| self.clock.now())
    }
}

/// The measurement of one request.
#[derive(Clone, Debug)]
pub(crate) struct Measurement {
    pub(crate) started: SystemTime,
    pub(crate) method: MethodName,
    pub(crate) server: Option<Server>,
    pub(crate) scheme: Option<&'static str>,
    pub(crate) template: Option<RouteText>,
    pub(crate) request_bytes: Option<u64>,
    /// True while the request is counted as active.
    pub(crate) is_active: bool,
}

/// The facts about the end of a request that its metrics contain.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) status: Option<StatusCode>,
    pub(crate) version: Option<Version>,
    pub(crate) error: Option<&'static str>,
}

impl Measurement {
    /// Returns the current time, but never a time before the start.
    pub(crate) fn now(&self, recorder: &Recorder) -> SystemTime {
        recorder.clock.now().max(self.started)
    }

    /// Increments the number of active requests.
    pub(crate) fn count(&mut self, recorder: &Recorder) {
        if recorder.choice.active_requests {
            self.is_active = true;
            self.add_active(1, recorder);
        }
    }

    /// Decrements the number of active requests, and records the duration and the size of the request. If the clock
    /// panicked, there is no end time and the duration is zero.
    pub(crate) fn finish(&self, recorder: &Recorder, outcome: &Outcome, ended: Option<SystemTime>) {
        // A meter may panic. Isolate each instrument, so that one failure does not keep the others from recording.
        if self.is_active {
            guarded(|| self.add_active(-1, recorder));
        }
        let Some(instruments) = recorder.metrics.instruments() else { return };
        if recorder.choice.duration {
            let passed = ended.unwrap_or(self.started).duration_since(self.started).unwrap_or_default();
            let record = |attributes: &[_]| instruments.duration.record(passed.as_secs_f64(), attributes);
            guarded(|| self.described(recorder, Of::Duration, outcome, record));
        }
        if let (true, Some(bytes)) = (recorder.choice.body_sizes, self.request_bytes) {
            let record = |attributes: &[_]| instruments.request_size.record(bytes, attributes);
            guarded(|| self.described(recorder, Of::Sizes, outcome, record));
        }
    }

    /// Records the size of the response, once its body has ended.
    pub(crate) fn finish_body(&self, recorder: &Recorder, outcome: &Outcome, bytes: u64) {
        let Some(instruments) = recorder.metrics.instruments() else { return };
        let record = |attributes: &[_]| instruments.response_size.record(bytes, attributes);
        guarded(|| self.described(recorder, Of::Sizes, outcome, record));
    }

    /// Returns true if the body of the response must be counted.
    pub(crate) fn counts_body(recorder: &Recorder) -> bool {
        recorder.choice.body_sizes && !recorder.choice.is_off
    }

    fn add_active(&self, number: i64, recorder: &Recorder) {
        let Some(instruments) = recorder.metrics.instruments() else { return };
        self.described(recorder, Of::Active, &Outcome::default(), |attributes| {
            instruments.active.add(number, attributes)
        });
    }

    /// Calls `then` with the attributes of these metrics, from the cache if possible.
    #[inline]
    fn described(&self, recorder: &Recorder, of: Of, outcome: &Outcome, then: impl FnOnce(&[KeyValue])) {
        let Some(instruments) = recorder.metrics.instruments() else { return };
        let choice = &recorder.choice;
        let scheme = self.scheme.filter(|_| choice.scheme);
        // spec: http/http-metrics.md: url.template is opt-in for the duration, and recorded if available for the others
        let template = self.template.as_ref().filter(|_| of != Of::Duration || choice.template);
        let key = self.key(of, outcome, scheme, template);
        instruments.sets.with(key, || self.list(of, outcome, scheme, template), then);
    }

    fn list(
        &self,
        of: Of,
        outcome: &Outcome,
        scheme: Option<&'static str>,
        template: Option<&RouteText>,
    ) -> Vec<KeyValue> {
        let mut list = Vec::with_capacity(8);
        list.push(KeyValue::new(keys::HTTP_REQUEST_METHOD, self.method.attribute()));
        if let Some(Server { address, port, .. }) = &self.server {
            list.push(KeyValue::new(keys::SERVER_ADDRESS, address.clone()));
            list.extend(port.map(|port| KeyValue::new(keys::SERVER_PORT, i64::from(port))));
        }
        list.extend(scheme.map(|scheme| KeyValue::new(keys::URL_SCHEME, scheme)));
        list.extend(template.map(|template| KeyValue::new(keys::URL_TEMPLATE, template.clone())));
        if of != Of::Active {
            list.extend(outcome.error.map(|error| KeyValue::new(keys::ERROR_TYPE, error)));
            let status = outcome.status.map(|status| i64::from(status.as_u16()));
            list.extend(status.map(|status| KeyValue::new(keys::HTTP_RESPONSE_STATUS_CODE, status)));
            let version = outcome.version.and_then(version::attribute);
            list.extend(version.map(|version| KeyValue::new(keys::NETWORK_PROTOCOL_VERSION, version)));
        }
        // Finding a series is fastest with sorted attributes.
        list.sort_by(|a, b| a.key.cmp(&b.key));
        list
    }

    /// Returns the key of these attributes; `None` if one of their strings is not `'static`.
    fn key(
        &self,
        of: Of,
        outcome: &Outcome,
        scheme: Option<&'static str>,
        template: Option<&RouteText>,
    ) -> Option<ClientKey> {
        let method = match &self.method {
            MethodName::Standard(name) => *name,
            MethodName::Other => "",
            MethodName::Custom(_) => return None,
        };
        let template = match template {
            None => None,
            Some(RouteText::Kept(template)) => Some(*template),
            Some(RouteText::Own(_)) => return None,
        };
        let (host, port) = match &self.server {
            None => ("", None),
            Some(server) => (server.kept?, server.port),
        };
        let Outcome { status, version, error } = *outcome;
        Some(ClientKey { of, method, host, port, scheme, template, version, status, error })
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
