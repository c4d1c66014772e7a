//! The measurements of one request, and their attributes.

use std::time::SystemTime;

use http::{StatusCode, Version};
use opentelemetry::KeyValue;
use telemark_kit::{Clock, guarded, keys};

use super::config::ClientConfig;
use super::metrics::{ClientInstruments, ClientKey, ClientMetrics, Of};
use super::opt_in::OptInMetricAttributes;
use crate::shared::methods::MethodName;
use crate::shared::names::RouteText;
use crate::shared::settings::MetricChoice;
use crate::shared::url::target::Server;
use crate::shared::version;

/// Records the metrics of one client.
#[derive(Debug)]
pub(crate) struct Recorder {
    metrics: ClientMetrics,
    choice: MetricChoice,
    opt_in: OptInMetricAttributes,
    clock: Clock,
}

impl Recorder {
    pub(crate) fn new(config: &ClientConfig, metrics: ClientMetrics) -> Self {
        Recorder {
            metrics,
            choice: config.metrics,
            opt_in: config.opt_in_metric_attributes,
            clock: config.clock.clone().unwrap_or_default(),
        }
    }

    pub(crate) fn with_config(&self, config: &ClientConfig) -> Self {
        Recorder::new(config, self.metrics.clone())
    }

    /// Returns the instruments, or `None` if there is no meter.
    pub(crate) fn instruments(&self) -> Option<&ClientInstruments> {
        self.metrics.instruments()
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    /// Returns the current time, or `None` if no metric of requests is recorded.
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
        let opt_in = &recorder.opt_in;
        let scheme = self.scheme.filter(|_| opt_in.scheme);
        // spec: http/http-metrics.md: url.template is opt-in for the duration, and recorded if available for the others
        let template = self.template.as_ref().filter(|_| of != Of::Duration || opt_in.template);
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
            Some(RouteText::Kept(template)) => Some(template.text),
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
