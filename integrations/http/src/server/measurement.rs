//! The measurements of one request.

use std::time::SystemTime;

use http::Version;
use opentelemetry::StringValue;
use telemark_kit::{Clock, guarded};

use super::metric_attributes::MetricAttributes;
use super::metrics::{MetricChoice, ServerMetrics};
use super::outcome::RequestOutcome;
use super::settings::ServerSettings;
use crate::shared::methods::MethodName;
use crate::shared::names::RouteText;

/// Records the requests of one server.
#[derive(Debug)]
pub(crate) struct Recorder {
    metrics: ServerMetrics,
    choice: MetricChoice,
    clock: Clock,
}

impl Recorder {
    pub(crate) fn new(settings: &ServerSettings, metrics: ServerMetrics) -> Self {
        Recorder { metrics, choice: settings.metrics, clock: settings.clock.clone().unwrap_or_default() }
    }

    /// Returns the time now, if there is anything to record.
    #[inline]
    pub(crate) fn start(&self) -> Option<SystemTime> {
        (self.choice.is_any() && self.metrics.instruments().is_some()).then(|| self.clock.now())
    }
}

/// A request that is counted and timed.
#[derive(Debug)]
pub(crate) struct Measurement {
    pub(crate) started: SystemTime,
    pub(crate) scheme: &'static str,
    pub(crate) route: Option<RouteText>,
    /// Boxed, because it is rarely asked for.
    pub(crate) server: Option<Box<(StringValue, Option<u16>)>>,
    pub(crate) version: Version,
    /// True once the request has been added to the active ones.
    pub(crate) is_active: bool,
}

impl Measurement {
    /// Returns the time now, which is never before the start.
    pub(crate) fn now(&self, recorder: &Recorder) -> SystemTime {
        recorder.clock.now().max(self.started)
    }

    /// Adds the request to the active ones.
    pub(crate) fn count(&mut self, recorder: &Recorder, method: &MethodName) {
        if recorder.choice.active_requests {
            self.is_active = true;
            self.add_active(1, recorder, method);
        }
    }

    /// Removes the request from the active ones, and records duration and sizes. Without an end, because the clock
    /// panicked, the duration is zero.
    pub(crate) fn finish(
        &self,
        recorder: &Recorder,
        method: &MethodName,
        outcome: &RequestOutcome,
        ended: Option<SystemTime>,
    ) {
        // A meter may panic: the failure of one instrument must not keep another from recording.
        if self.is_active {
            guarded(|| self.add_active(-1, recorder, method));
        }
        let MetricChoice { duration, body_sizes, .. } = recorder.choice;
        let Some(instruments) = recorder.metrics.instruments().filter(|_| duration || body_sizes) else { return };
        let described = MetricAttributes { of: self, method, outcome: Some(outcome) };
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

    fn add_active(&self, number: i64, recorder: &Recorder, method: &MethodName) {
        let Some(instruments) = recorder.metrics.instruments() else { return };
        let described = MetricAttributes { of: self, method, outcome: None };
        let add = |attributes: &[_]| instruments.active.add(number, attributes);
        instruments.sets.with(described.key(), || described.list(), add);
    }
}
