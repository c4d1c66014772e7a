//! The measurements of one request and their attributes.

use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::SystemTime;

use http::Version;
use opentelemetry::metrics::{BoundHistogram, BoundUpDownCounter};
use opentelemetry::{KeyValue, StringValue};

use crate::attribute_sets::SetKey;
use crate::bindings::{Binding, Bindings};
use crate::clock::Clock;
use crate::keys;
use crate::methods::MethodName;
use crate::metrics::{Instruments, MetricChoice, ServerMetrics};
use crate::names::RouteText;
use crate::settings::ServerSettings;
use crate::span::RequestOutcome;

/// Combinations of method and scheme that can be bound at once, for each thread.
const ACTIVE_PLACES: usize = 16;
/// Combinations of route, method and status that can be bound at once, for each thread. Others are recorded with
/// attributes.
const ENDED_PLACES: usize = 128;

/// Records the requests of one server.
pub(crate) struct Recorder {
    metrics: ServerMetrics,
    choice: MetricChoice,
    clock: Clock,
    active: Bindings<BoundUpDownCounter<i64>>,
    ended: Bindings<BoundEnded>,
}

/// Bound instruments for the end of a request; those that are not chosen are absent.
struct BoundEnded {
    active: Option<BoundUpDownCounter<i64>>,
    duration: Option<BoundHistogram<f64>>,
    /// Bound with the first size that is known: with opentelemetry_sdk, what is bound has a point.
    request_size: Option<BoundHistogram<u64>>,
    response_size: Option<BoundHistogram<u64>>,
}

impl Recorder {
    pub(crate) fn new(settings: &ServerSettings, metrics: ServerMetrics) -> Self {
        let (active, ended) = (Bindings::new(ACTIVE_PLACES), Bindings::new(ENDED_PLACES));
        Recorder { metrics, choice: settings.metrics, clock: settings.clock.clone().unwrap_or_default(), active, ended }
    }

    /// The time now, if there is anything to record.
    #[inline]
    pub(crate) fn start(&self) -> Option<SystemTime> {
        (self.choice.is_any() && self.metrics.are_on()).then(|| self.clock.now())
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Recorder { metrics, choice, clock, .. } = self;
        f.debug_struct("Recorder").field("metrics", metrics).field("choice", choice).field("clock", clock).finish()
    }
}

/// A request that is counted and timed.
#[derive(Debug)]
pub(crate) struct Measurement {
    pub(crate) started: SystemTime,
    pub(crate) scheme: &'static str,
    pub(crate) route: Option<RouteText>,
    /// Boxed, for hardly anyone asks for it.
    pub(crate) server: Option<Box<(StringValue, Option<u16>)>>,
    pub(crate) version: Version,
    /// True once the request has been added to the active ones.
    pub(crate) is_active: bool,
}

impl Measurement {
    /// The time now, which is never before the start.
    pub(crate) fn now(&self, recorder: &Recorder) -> SystemTime {
        recorder.clock.now().max(self.started)
    }

    /// Adds the request to the active ones.
    pub(crate) fn count(&mut self, recorder: &Recorder, method: &MethodName) {
        if recorder.choice.active_requests {
            self.is_active = true;
            self.add_active(1, recorder, method, self.started);
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
        let Some(instruments) = recorder.metrics.instruments() else { return };
        let now = ended.unwrap_or(self.started);
        let seconds = now.duration_since(self.started).unwrap_or_default().as_secs_f64();
        let described = Described { of: self, method, outcome: Some(outcome) };
        let (key, is_active) = (described.key(), Cell::new(self.is_active));
        let finish = Finish { recorder, instruments, described, outcome, now, seconds, is_active };
        // A meter may panic: one failure must neither skip nor repeat the recording of another instrument.
        let is_recorded = caught(|| finish.record_bound(key.as_ref())).unwrap_or(true);
        if finish.is_active.take() {
            caught(|| self.add_active(-1, recorder, method, now));
        }
        if !is_recorded {
            caught(|| finish.record(key));
        }
    }

    fn add_active(&self, number: i64, recorder: &Recorder, method: &MethodName, now: SystemTime) {
        let Some(instruments) = recorder.metrics.instruments() else { return };
        let described = Described { of: self, method, outcome: None };
        let key = described.key();
        let is_added = key.as_ref().is_some_and(|key| {
            let bind = || instruments.bind_active(&described);
            recorder.active.with(key, now, bind, |active| active.add(number))
        });
        if !is_added {
            let add = |attributes: &[KeyValue]| instruments.active.add(number, attributes);
            instruments.sets.with(key, || described.attributes(), add);
        }
    }
}

fn caught<R>(record: impl FnOnce() -> R) -> Option<R> {
    catch_unwind(AssertUnwindSafe(record)).ok()
}

/// A request that has come to its end.
struct Finish<'m> {
    recorder: &'m Recorder,
    instruments: &'m Instruments,
    described: Described<'m>,
    outcome: &'m RequestOutcome,
    now: SystemTime,
    seconds: f64,
    /// True while it is among the active ones.
    is_active: Cell<bool>,
}

impl Finish<'_> {
    /// Records with bound instruments; true if that has been done, or if there was nothing to record.
    fn record_bound(&self, key: Option<&SetKey>) -> bool {
        let Recorder { choice, ended, .. } = self.recorder;
        if !(choice.duration || choice.body_sizes) {
            return true;
        }
        let Some(key) = key else { return false };
        let bind = || self.instruments.bind_ended(*choice, &self.described);
        ended.with(key, self.now, bind, |bound| {
            if let Some(active) = bound.active.as_ref().filter(|_| self.is_active.take()) {
                caught(|| active.add(-1));
            }
            if let Some(duration) = &bound.duration {
                duration.record(self.seconds);
            }
            if let Some(response_size) = &bound.response_size {
                let RequestOutcome { request_bytes, response_bytes, .. } = *self.outcome;
                response_size.record(response_bytes);
                if let Some(bytes) = request_bytes {
                    // The instrument of the response has been tried, and this one is of the same kind.
                    let bind = || self.instruments.request_size.bind(&self.described.attributes());
                    bound.request_size.get_or_insert_with(bind).record(bytes);
                }
            }
        })
    }

    fn record(&self, key: Option<SetKey>) {
        let (choice, instruments) = (&self.recorder.choice, self.instruments);
        let RequestOutcome { request_bytes, response_bytes, .. } = *self.outcome;
        instruments.sets.with(
            key,
            || self.described.attributes(),
            |attributes| {
                if choice.duration {
                    instruments.duration.record(self.seconds, attributes);
                }
                if choice.body_sizes {
                    if let Some(bytes) = request_bytes {
                        instruments.request_size.record(bytes, attributes);
                    }
                    instruments.response_size.record(response_bytes, attributes);
                }
            },
        );
    }
}

impl Instruments {
    fn bind_active(&self, described: &Described<'_>) -> Binding<BoundUpDownCounter<i64>> {
        let mut trial = Trial::of(described);
        let bound = trial.bind(|attributes| self.active.bind(attributes));
        trial.result(bound)
    }

    fn bind_ended(&self, choice: MetricChoice, described: &Described<'_>) -> Binding<BoundEnded> {
        let mut trial = Trial::of(described);
        let duration = choice.duration.then(|| trial.bind(|attributes| self.duration.bind(attributes)));
        let response_size = choice.body_sizes.then(|| trial.bind(|attributes| self.response_size.bind(attributes)));
        let active = choice.active_requests.then(|| self.bind_active(&Described { outcome: None, ..*described }));
        let active = match active {
            Some(Binding::Kept(active)) => Some(active),
            _ => None,
        };
        trial.result(BoundEnded { active, duration, request_size: None, response_size })
    }
}

/// Checks that a bound instrument records anything. A provider may not support them, and the API's default silently drops
/// what is recorded. An instrument that does record keeps its attributes, and with them a reference to their texts.
struct Trial {
    attributes: Vec<KeyValue>,
    witness: Arc<str>,
    all_kept: bool,
}

impl Trial {
    fn of(described: &Described<'_>) -> Self {
        let witness: Arc<str> = described.method.attribute().as_str().into();
        let attributes = described.attributes_with(Arc::clone(&witness).into());
        Trial { attributes, witness, all_kept: true }
    }

    fn bind<B>(&mut self, bind: impl FnOnce(&[KeyValue]) -> B) -> B {
        let before = Arc::strong_count(&self.witness);
        let bound = bind(&self.attributes);
        self.all_kept &= Arc::strong_count(&self.witness) > before;
        bound
    }

    fn result<B>(self, bound: B) -> Binding<B> {
        if self.all_kept { Binding::Kept(bound) } else { Binding::Unknown(bound) }
    }
}

/// A request whose attributes are needed: without an outcome those of the active requests, with one those of the others.
struct Described<'m> {
    of: &'m Measurement,
    method: &'m MethodName,
    outcome: Option<&'m RequestOutcome>,
}

impl Described<'_> {
    // spec: http/http-metrics.md: duration and sizes have the same attributes, active requests the first of them
    fn attributes(&self) -> Vec<KeyValue> {
        self.attributes_with(self.method.attribute())
    }

    fn attributes_with(&self, method: StringValue) -> Vec<KeyValue> {
        let Measurement { scheme, route, server, version, .. } = self.of;
        let mut attributes = vec![KeyValue::new(keys::METHOD, method), KeyValue::new(keys::URL_SCHEME, *scheme)];
        if let Some((host, port)) = server.as_deref() {
            attributes.push(KeyValue::new(keys::SERVER_ADDRESS, host.clone()));
            attributes.extend(port.map(|port| KeyValue::new(keys::SERVER_PORT, i64::from(port))));
        }
        if let Some(outcome) = self.outcome {
            attributes.extend(outcome.error_type().map(|error| KeyValue::new(keys::ERROR_TYPE, error)));
            let status = outcome.status.map(|status| i64::from(status.as_u16()));
            attributes.extend(status.map(|status| KeyValue::new(keys::STATUS_CODE, status)));
            attributes.extend(route.clone().map(|route| KeyValue::new(keys::ROUTE, route)));
            attributes.extend(keys::version(*version).map(|version| KeyValue::new(keys::PROTOCOL_VERSION, version)));
        }
        // Sorted, a series is found fastest.
        attributes.sort_by(|a, b| a.key.cmp(&b.key));
        attributes
    }

    /// Returns the key of these attributes; `None` if they hold a text that does not live as long as the program.
    fn key(&self) -> Option<SetKey> {
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
        server.is_none().then(|| SetKey {
            method,
            scheme,
            route,
            ended: self.outcome.map(|outcome| (*version, outcome.status, outcome.error_type())),
        })
    }
}
