//! The instruments of a server, and what one request records with them.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use http::{HeaderMap, Version, header};
use opentelemetry::metrics::{BoundHistogram, BoundUpDownCounter, Histogram, Meter, UpDownCounter};
use opentelemetry::{InstrumentationScope, KeyValue, StringValue, global};

use crate::attribute_sets::{AttributeSets, SetKey};
use crate::bindings::{Binding, Bindings};
use crate::clock::Clock;
use crate::keys;
use crate::methods::MethodName;
use crate::names::RouteText;
use crate::settings::ServerSettings;
use crate::span::RequestOutcome;

// spec: http/http-metrics.md: the advised boundaries of http.server.request.duration, in seconds
const DURATION_BOUNDARIES: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// The instruments of the HTTP server metrics. Cheap to clone; the clones share one set of instruments.
///
/// Which of them record is said by [`ServerSettings`](crate::ServerSettings).
#[derive(Clone)]
pub struct ServerMetrics(Arc<Inner>);

struct Inner {
    source: Source,
    instruments: OnceLock<Instruments>,
}

enum Source {
    Off,
    Global(InstrumentationScope),
    Meter(Meter),
}

struct Instruments {
    duration: Histogram<f64>,
    active: UpDownCounter<i64>,
    request_size: Histogram<u64>,
    response_size: Histogram<u64>,
    sets: AttributeSets,
}

impl ServerMetrics {
    /// No metrics.
    pub fn off() -> Self {
        Self::from_source(Source::Off)
    }

    /// Instruments of this meter.
    pub fn of(meter: &Meter) -> Self {
        Self::from_source(Source::Meter(meter.clone()))
    }

    /// Instruments of whatever provider is the API's global one; looks nothing up yet.
    ///
    /// It may be made before the provider is installed: as long as that is the no-op provider of the API (or another one
    /// without any state), each request asks again. The first real one is kept for good.
    pub fn global(scope: InstrumentationScope) -> Self {
        Self::from_source(Source::Global(scope))
    }

    fn from_source(source: Source) -> Self {
        Self(Arc::new(Inner { source, instruments: OnceLock::new() }))
    }

    /// Whether there is anything to record with.
    #[inline]
    pub(crate) fn are_on(&self) -> bool {
        self.0.instruments.get().is_some() || self.look_up()
    }

    #[cold]
    fn look_up(&self) -> bool {
        let meter = match &self.0.source {
            Source::Off => return false,
            Source::Meter(meter) => meter.clone(),
            Source::Global(scope) => {
                let provider = global::meter_provider();
                // The API does not tell whether a provider is its no-op; what has no state can keep no measurement.
                if size_of_val(&*provider) == 0 {
                    return false;
                }
                provider.meter_with_scope(scope.clone())
            }
        };
        // Lost races are fine: it is the same provider's meter.
        let _kept = self.0.instruments.set(Instruments::new(&meter));
        true
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { metrics, choice, clock, .. } = self;
        f.debug_struct("Recorder").field("metrics", metrics).field("choice", choice).field("clock", clock).finish()
    }
}

impl fmt::Debug for ServerMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0.source {
            Source::Off => "ServerMetrics(off)",
            Source::Global(_) => "ServerMetrics(global)",
            Source::Meter(_) => "ServerMetrics(meter)",
        })
    }
}

impl Instruments {
    // spec: http/http-metrics.md#http-server
    fn new(meter: &Meter) -> Self {
        Self {
            duration: meter
                .f64_histogram("http.server.request.duration")
                .with_unit("s")
                .with_description("Duration of HTTP server requests.")
                .with_boundaries(DURATION_BOUNDARIES.to_vec())
                .build(),
            active: meter
                .i64_up_down_counter("http.server.active_requests")
                .with_unit("{request}")
                .with_description("Number of active HTTP server requests.")
                .build(),
            request_size: meter
                .u64_histogram("http.server.request.body.size")
                .with_unit("By")
                .with_description("Size of HTTP server request bodies.")
                .build(),
            response_size: meter
                .u64_histogram("http.server.response.body.size")
                .with_unit("By")
                .with_description("Size of HTTP server response bodies.")
                .build(),
            sets: AttributeSets::new(),
        }
    }
}

/// Methods and schemes that are in use at once.
const ACTIVE_PLACES: usize = 16;
/// Routes, methods and statuses that are in use at once. What does not find a place is recorded without.
const ENDED_PLACES: usize = 128;

impl Instruments {
    fn bind_active(&self, described: &Described<'_>) -> Binding<BoundUpDownCounter<i64>> {
        let mut trial = Trial::of(described);
        let bound = trial.bind(|attributes| self.active.bind(attributes));
        trial.result(bound)
    }

    fn bind_ended(&self, choice: MetricChoice, described: &Described<'_>) -> Binding<BoundEnded> {
        let mut trial = Trial::of(described);
        let duration = choice.duration.then(|| trial.bind(|attributes| self.duration.bind(attributes)));
        let sizes = choice.body_sizes.then(|| {
            let request_size = trial.bind(|attributes| self.request_size.bind(attributes));
            (request_size, trial.bind(|attributes| self.response_size.bind(attributes)))
        });
        trial.result(BoundEnded { duration, sizes })
    }
}

/// Finds out whether what is bound records anything. A provider need not have bound instruments: those of the API record
/// nothing, and tell nobody. But whatever does record must know its attributes, and who keeps these shares their texts.
struct Trial {
    attributes: Vec<KeyValue>,
    witness: Arc<str>,
    all_kept: bool,
}

impl Trial {
    fn of(described: &Described<'_>) -> Self {
        let witness: Arc<str> = described.method.attribute().as_str().into();
        let attributes = described.attributes_with(Arc::clone(&witness).into());
        Self { attributes, witness, all_kept: true }
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

/// Which metrics are recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MetricChoice {
    pub(crate) duration: bool,
    pub(crate) active_requests: bool,
    pub(crate) body_sizes: bool,
    /// Whether they tell `server.address` and `server.port`.
    pub(crate) server_address: bool,
}

impl MetricChoice {
    pub(crate) const NONE: Self =
        Self { duration: false, active_requests: false, body_sizes: false, server_address: false };
    // spec: http/http-metrics.md: the others are opt-in
    pub(crate) const DEFAULT: Self = Self { duration: true, ..Self::NONE };

    #[inline]
    pub(crate) fn is_any(self) -> bool {
        self.duration || self.active_requests || self.body_sizes
    }
}

/// Records the requests of one server.
pub(crate) struct Recorder {
    metrics: ServerMetrics,
    choice: MetricChoice,
    clock: Clock,
    active: Bindings<BoundUpDownCounter<i64>>,
    ended: Bindings<BoundEnded>,
}

/// What is recorded at the end of a request, of the instruments that are chosen.
struct BoundEnded {
    duration: Option<BoundHistogram<f64>>,
    /// Of the request and of the response.
    sizes: Option<(BoundHistogram<u64>, BoundHistogram<u64>)>,
}

impl Recorder {
    pub(crate) fn new(settings: &ServerSettings, metrics: ServerMetrics) -> Self {
        let (active, ended) = (Bindings::new(ACTIVE_PLACES), Bindings::new(ENDED_PLACES));
        Self { metrics, choice: settings.metrics, clock: settings.clock.clone(), active, ended }
    }

    /// The time now, if there is anything to record.
    #[inline]
    pub(crate) fn start(&self) -> Option<SystemTime> {
        (self.choice.is_any() && self.metrics.are_on()).then(|| self.clock.now())
    }
}

/// What is known of a request that is counted and timed.
#[derive(Debug)]
pub(crate) struct Measurement {
    recorder: Arc<Recorder>,
    started: SystemTime,
    scheme: &'static str,
    pub(crate) route: Option<RouteText>,
    /// Boxed, for hardly anyone asks for it.
    server: Option<Box<(StringValue, Option<u16>)>>,
    request_bytes: Option<u64>,
    response_bytes: u64,
    version: Version,
    /// Whether the request has been added to the active ones.
    is_active: bool,
}

impl Measurement {
    pub(crate) fn new(
        recorder: &Arc<Recorder>,
        started: SystemTime,
        (version, headers): (Version, &HeaderMap),
        scheme: &'static str,
    ) -> Self {
        Self {
            recorder: Arc::clone(recorder),
            version,
            is_active: false,
            started,
            scheme,
            route: None,
            server: None,
            request_bytes: if recorder.choice.body_sizes { body_length(version, headers) } else { None },
            response_bytes: 0,
        }
    }

    pub(crate) fn with_route(mut self, route: Option<RouteText>) -> Self {
        self.route = route;
        self
    }

    pub(crate) fn with_server(mut self, server: Option<(StringValue, Option<u16>)>) -> Self {
        self.server = server.map(Box::new);
        self
    }

    /// The time now, which is never before the start.
    pub(crate) fn now(&self) -> SystemTime {
        self.recorder.clock.now().max(self.started)
    }

    /// Adds the request to the active ones.
    pub(crate) fn begin(&mut self, method: &MethodName) {
        if self.recorder.choice.active_requests {
            self.is_active = true;
            self.add_active(1, method, self.started);
        }
    }

    /// Takes the request from the active ones. Only the first call has an effect.
    pub(crate) fn leave(&mut self, method: &MethodName, now: Option<SystemTime>) {
        if std::mem::take(&mut self.is_active) {
            self.add_active(-1, method, now.unwrap_or(self.started));
        }
    }

    #[inline]
    pub(crate) fn add_response_bytes(&mut self, bytes: u64) {
        self.response_bytes = self.response_bytes.saturating_add(bytes);
    }

    /// Records duration and sizes. Without an end, as the clock failed, the duration is zero.
    pub(crate) fn record(&self, method: &MethodName, outcome: &RequestOutcome, ended: Option<SystemTime>) {
        let Recorder { metrics, choice, ended: bindings, .. } = &*self.recorder;
        if !(choice.duration || choice.body_sizes) {
            return;
        }
        let Some(instruments) = metrics.0.instruments.get() else { return };
        let seconds = ended.and_then(|ended| ended.duration_since(self.started).ok()).unwrap_or_default().as_secs_f64();
        let described = Described { of: self, method, outcome: Some(outcome) };
        let key = described.key();
        let is_recorded = key.as_ref().is_some_and(|key| {
            let bind = || instruments.bind_ended(*choice, &described);
            bindings.with(key, ended.unwrap_or(self.started), bind, |bound| {
                if let Some(duration) = &bound.duration {
                    duration.record(seconds);
                }
                if let Some((request_size, response_size)) = &bound.sizes {
                    if let Some(bytes) = self.request_bytes {
                        request_size.record(bytes);
                    }
                    response_size.record(self.response_bytes);
                }
            })
        });
        if is_recorded {
            return;
        }
        instruments.sets.with(
            key,
            || described.attributes(),
            |attributes| {
                if choice.duration {
                    instruments.duration.record(seconds, attributes);
                }
                if choice.body_sizes {
                    if let Some(bytes) = self.request_bytes {
                        instruments.request_size.record(bytes, attributes);
                    }
                    instruments.response_size.record(self.response_bytes, attributes);
                }
            },
        );
    }

    fn add_active(&self, number: i64, method: &MethodName, now: SystemTime) {
        let Some(instruments) = self.recorder.metrics.0.instruments.get() else { return };
        let described = Described { of: self, method, outcome: None };
        let key = described.key();
        let is_added = key.as_ref().is_some_and(|key| {
            let bind = || instruments.bind_active(&described);
            self.recorder.active.with(key, now, bind, |active| active.add(number))
        });
        if !is_added {
            let add = |attributes: &[KeyValue]| instruments.active.add(number, attributes);
            instruments.sets.with(key, || described.attributes(), add);
        }
    }
}

/// A request whose attributes are asked for: those of the active requests, or with an outcome those of the others.
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
        // The order in which a series is found soonest.
        attributes.sort_by(|a, b| a.key.cmp(&b.key));
        attributes
    }

    /// By what the attributes are known again; `None` if they hold a text that does not live as long as the program.
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

/// The length of a request's body, where its head tells.
// spec: RFC 9112 section 6.3: over HTTP/1 a request without either header has no body
fn body_length(version: Version, headers: &HeaderMap) -> Option<u64> {
    match headers.get(header::CONTENT_LENGTH) {
        Some(length) => length.to_str().ok()?.trim().parse().ok(),
        None => (version < Version::HTTP_2 && !headers.contains_key(header::TRANSFER_ENCODING)).then_some(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;

    #[test]
    fn lengths_of_request_bodies() {
        fn check(version: Version, fields: &[(&'static str, &'static str)], expected: Option<u64>) {
            let fields = fields.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
            assert_eq!(body_length(version, &fields.collect()), expected);
        }
        let length = "content-length";
        check(Version::HTTP_11, &[(length, "12")], Some(12));
        check(Version::HTTP_2, &[(length, "0")], Some(0));
        check(Version::HTTP_11, &[(length, "-1")], None);
        check(Version::HTTP_11, &[(length, "99999999999999999999")], None);
        check(Version::HTTP_11, &[], Some(0));
        check(Version::HTTP_10, &[], Some(0));
        check(Version::HTTP_11, &[("transfer-encoding", "chunked")], None);
        check(Version::HTTP_2, &[], None);
    }
}
