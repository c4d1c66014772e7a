//! The instruments of a server, and what one request records with them.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use http::{HeaderMap, Version, header};
use opentelemetry::metrics::{Histogram, Meter, UpDownCounter};
use opentelemetry::{InstrumentationScope, KeyValue, StringValue, Value, global};

use crate::keys;
use crate::methods::MethodName;
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
        }
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

/// What is known of a request that is counted and timed.
pub(crate) struct Measurement {
    metrics: ServerMetrics,
    choice: MetricChoice,
    pub(crate) version: Version,
    /// Whether the request has been added to the active ones.
    is_active: bool,
    pub(crate) started: SystemTime,
    pub(crate) scheme: &'static str,
    pub(crate) route: Option<StringValue>,
    /// Boxed, for hardly anyone asks for it.
    server: Option<Box<(StringValue, Option<u16>)>>,
    request_bytes: Option<u64>,
    response_bytes: u64,
}

impl Measurement {
    pub(crate) fn new(
        metrics: &ServerMetrics,
        choice: MetricChoice,
        started: SystemTime,
        (version, headers): (Version, &HeaderMap),
        scheme: &'static str,
    ) -> Self {
        Self {
            metrics: metrics.clone(),
            choice,
            version,
            is_active: false,
            started,
            scheme,
            route: None,
            server: None,
            request_bytes: if choice.body_sizes { body_length(version, headers) } else { None },
            response_bytes: 0,
        }
    }

    pub(crate) fn with_route(mut self, route: Option<StringValue>) -> Self {
        self.route = route;
        self
    }

    pub(crate) fn with_server(mut self, server: Option<(StringValue, Option<u16>)>) -> Self {
        self.server = server.map(Box::new);
        self
    }

    /// Adds the request to the active ones.
    pub(crate) fn begin(&mut self, method: &MethodName) {
        if self.choice.active_requests {
            self.is_active = true;
            self.add_active(1, method);
        }
    }

    /// Takes the request from the active ones. Only the first call has an effect.
    pub(crate) fn leave(&mut self, method: &MethodName) {
        if std::mem::take(&mut self.is_active) {
            self.add_active(-1, method);
        }
    }

    #[inline]
    pub(crate) fn add_response_bytes(&mut self, bytes: u64) {
        self.response_bytes = self.response_bytes.saturating_add(bytes);
    }

    /// Records duration and sizes.
    // spec: http/http-metrics.md: the attributes are the same for all three
    pub(crate) fn record(&self, method: &MethodName, outcome: &RequestOutcome, ended: SystemTime) {
        let Some(instruments) = self.metrics.0.instruments.get() else { return };
        // In the order of the keys, in which a series is found soonest.
        let mut attributes = Attributes::<8>::new();
        if let Some(error) = outcome.error_type() {
            attributes.push(keys::ERROR_TYPE, error);
        }
        attributes.push(keys::METHOD, method.attribute());
        if let Some(status) = outcome.status {
            attributes.push(keys::STATUS_CODE, i64::from(status.as_u16()));
        }
        if let Some(route) = &self.route {
            attributes.push(keys::ROUTE, route.clone());
        }
        if let Some(version) = keys::version(self.version) {
            attributes.push(keys::PROTOCOL_VERSION, version);
        }
        self.push_server(&mut attributes);
        attributes.push(keys::URL_SCHEME, self.scheme);
        let attributes = attributes.as_slice();
        if self.choice.duration {
            let duration = ended.duration_since(self.started).unwrap_or_default();
            instruments.duration.record(duration.as_secs_f64(), attributes);
        }
        if self.choice.body_sizes {
            if let Some(bytes) = self.request_bytes {
                instruments.request_size.record(bytes, attributes);
            }
            instruments.response_size.record(self.response_bytes, attributes);
        }
    }

    fn add_active(&self, number: i64, method: &MethodName) {
        let Some(instruments) = self.metrics.0.instruments.get() else { return };
        let mut attributes = Attributes::<4>::new();
        attributes.push(keys::METHOD, method.attribute());
        self.push_server(&mut attributes);
        attributes.push(keys::URL_SCHEME, self.scheme);
        instruments.active.add(number, attributes.as_slice());
    }

    fn push_server<const N: usize>(&self, attributes: &mut Attributes<N>) {
        let Some((host, port)) = self.server.as_deref() else { return };
        attributes.push(keys::SERVER_ADDRESS, host.clone());
        if let Some(port) = port {
            attributes.push(keys::SERVER_PORT, i64::from(*port));
        }
    }
}

impl fmt::Debug for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Measurement").field("choice", &self.choice).finish_non_exhaustive()
    }
}

/// Attributes on the stack.
struct Attributes<const N: usize> {
    list: [KeyValue; N],
    len: usize,
}

impl<const N: usize> Attributes<N> {
    #[inline]
    fn new() -> Self {
        Self { list: std::array::from_fn(|_| KeyValue::new("", false)), len: 0 }
    }

    #[inline]
    fn push(&mut self, key: &'static str, value: impl Into<Value>) {
        if let Some(place) = self.list.get_mut(self.len) {
            *place = KeyValue::new(key, value);
            self.len += 1;
        }
    }

    #[inline]
    fn as_slice(&self) -> &[KeyValue] {
        self.list.get(..self.len).unwrap_or_default()
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

    #[test]
    fn a_full_list_takes_no_more() {
        let mut attributes = Attributes::<2>::new();
        for value in 0..3 {
            attributes.push("key", value);
        }
        assert_eq!(attributes.as_slice(), [KeyValue::new("key", 0), KeyValue::new("key", 1)]);
    }
}
