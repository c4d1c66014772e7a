//! The measurements of one request, and their attributes.

use std::time::SystemTime;

use http::Version;
use opentelemetry::{KeyValue, StringValue};
use telemark_kit::{Clock, guarded, keys};

use super::config::ServerConfig;
use super::metrics::ServerMetrics;
use super::outcome::RequestOutcome;
use super::request_key::RequestKey;
use crate::shared::methods::MethodName;
use crate::shared::names::RouteText;
use crate::shared::settings::MetricChoice;
use crate::shared::version;

/// Records the metrics of one server.
#[derive(Debug)]
pub(crate) struct Recorder {
    metrics: ServerMetrics,
    choice: MetricChoice,
    clock: Clock,
}

impl Recorder {
    pub(crate) fn new(config: &ServerConfig, metrics: ServerMetrics) -> Self {
        Recorder { metrics, choice: config.metrics, clock: config.clock.clone().unwrap_or_default() }
    }

    /// Returns the current time, or `None` if no metric is recorded.
    #[inline]
    pub(crate) fn start(&self) -> Option<SystemTime> {
        (self.choice.is_any() && self.metrics.instruments().is_some()).then(|| self.clock.now())
    }
}

/// The measurement of one request.
#[derive(Debug)]
pub(crate) struct Measurement {
    pub(crate) started: SystemTime,
    pub(crate) scheme: &'static str,
    pub(crate) route: Option<RouteText>,
    /// Boxed because it is rarely enabled.
    pub(crate) server: Option<Box<(StringValue, Option<u16>)>>,
    pub(crate) version: Version,
    /// True while the request is counted as active.
    pub(crate) is_active: bool,
    /// True if the request has no trace context.
    pub(crate) is_orphan: bool,
}

impl Measurement {
    /// Returns the current time, but never a time before the start.
    pub(crate) fn now(&self, recorder: &Recorder) -> SystemTime {
        recorder.clock.now().max(self.started)
    }

    /// Increments the number of active requests.
    pub(crate) fn count(&mut self, recorder: &Recorder, method: &MethodName) {
        if recorder.choice.active_requests {
            self.is_active = true;
            self.add_active(1, recorder, method);
        }
    }

    /// Decrements the number of active requests, and records the duration and sizes. If the clock panicked, there is no end
    /// time and the duration is zero.
    pub(crate) fn finish(
        &self,
        recorder: &Recorder,
        method: &MethodName,
        outcome: &RequestOutcome,
        ended: Option<SystemTime>,
    ) {
        // A meter may panic. Isolate each instrument, so that one failure does not keep the others from recording.
        if self.is_active {
            guarded(|| self.add_active(-1, recorder, method));
        }
        let MetricChoice { duration, body_sizes, orphans, .. } = recorder.choice;
        if orphans && self.is_orphan {
            guarded(|| self.count_orphan(recorder, method));
        }
        let Some(instruments) = recorder.metrics.instruments().filter(|_| duration || body_sizes) else { return };
        let described = MetricAttributes { of: self, method, outcome: Some(outcome), has_route: true };
        instruments.sets.with(
            described.key(),
            || described.list(),
            |attributes| {
                if duration {
                    let passed = ended.unwrap_or(self.started).duration_since(self.started).unwrap_or_default();
                    guarded(|| instruments.duration.record(passed.as_secs_f64(), attributes));
                }
                if body_sizes {
                    let request_bytes = outcome.request_bytes;
                    guarded(|| request_bytes.map(|bytes| instruments.request_size.record(bytes, attributes)));
                    guarded(|| instruments.response_size.record(outcome.response_bytes, attributes));
                }
            },
        );
    }

    fn count_orphan(&self, recorder: &Recorder, method: &MethodName) {
        let Some(instruments) = recorder.metrics.instruments() else { return };
        let described = MetricAttributes { of: self, method, outcome: None, has_route: true };
        instruments.sets.with(
            described.key(),
            || described.list(),
            |attributes| instruments.orphans.add(1, attributes),
        );
    }

    fn add_active(&self, number: i64, recorder: &Recorder, method: &MethodName) {
        let Some(instruments) = recorder.metrics.instruments() else { return };
        let described = MetricAttributes { of: self, method, outcome: None, has_route: false };
        let add = |attributes: &[_]| instruments.active.add(number, attributes);
        instruments.sets.with(described.key(), || described.list(), add);
    }
}

/// Builds the attributes for a request's metrics: without an outcome and a route for active requests, without an outcome for
/// orphans, and with both for the other metrics.
struct MetricAttributes<'m> {
    of: &'m Measurement,
    method: &'m MethodName,
    outcome: Option<&'m RequestOutcome>,
    has_route: bool,
}

impl MetricAttributes<'_> {
    // spec: http/http-metrics.md: duration and sizes have the same attributes; active requests have only the first few
    fn list(&self) -> Vec<KeyValue> {
        let Measurement { scheme, route, server, version, .. } = self.of;
        let method = self.method.attribute();
        let mut list = Vec::with_capacity(8);
        list.push(KeyValue::new(keys::HTTP_REQUEST_METHOD, method));
        list.push(KeyValue::new(keys::URL_SCHEME, *scheme));
        if let Some((host, port)) = server.as_deref() {
            list.push(KeyValue::new(keys::SERVER_ADDRESS, host.clone()));
            list.extend(port.map(|port| KeyValue::new(keys::SERVER_PORT, i64::from(port))));
        }
        if let Some(outcome) = self.outcome {
            list.extend(outcome.error_type().map(|error| KeyValue::new(keys::ERROR_TYPE, error)));
            let status = outcome.status.map(|status| i64::from(status.as_u16()));
            list.extend(status.map(|status| KeyValue::new(keys::HTTP_RESPONSE_STATUS_CODE, status)));
            let version = version::attribute(*version);
            list.extend(version.map(|version| KeyValue::new(keys::NETWORK_PROTOCOL_VERSION, version)));
        }
        if self.has_route {
            list.extend(route.clone().map(|route| KeyValue::new(keys::HTTP_ROUTE, route)));
        }
        // Finding a series is fastest with sorted attributes.
        list.sort_by(|a, b| a.key.cmp(&b.key));
        list
    }

    /// Returns the key of these attributes; `None` if one of their strings is not `'static`.
    fn key(&self) -> Option<RequestKey> {
        let Measurement { scheme, route, server, version, .. } = self.of;
        let method = match self.method {
            MethodName::Standard(name) => *name,
            MethodName::Other => "",
            MethodName::Custom(_) => return None,
        };
        let route = match (self.has_route, route) {
            (false, _) | (_, None) => None,
            (_, Some(RouteText::Kept(route))) => Some(route.text),
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
