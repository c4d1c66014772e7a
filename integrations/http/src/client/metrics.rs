//! The instruments of a client, and the choice of metrics.

use std::fmt;

use opentelemetry::InstrumentationScope;
use opentelemetry::metrics::{Histogram, Meter, UpDownCounter};
use telemark_kit::{AttributeSets, Instruments};

use super::measurement::ClientKey;

// spec: http/http-metrics.md: the advised boundaries of http.client.request.duration, in seconds
const DURATION_BOUNDARIES: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// The instruments of the HTTP client metrics. Cheap to clone; clones share one set of instruments.
///
/// [`ClientConfig`](crate::ClientConfig) selects the metrics to record.
#[derive(Clone)]
pub struct ClientMetrics(Instruments<ClientInstruments>);

pub(crate) struct ClientInstruments {
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

/// The metrics to record, and their opt-in attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClientMetricChoice {
    /// Disables all metrics, regardless of the other fields.
    pub(crate) is_off: bool,
    pub(crate) duration: bool,
    pub(crate) active_requests: bool,
    pub(crate) body_sizes: bool,
    /// Adds `url.scheme`.
    pub(crate) scheme: bool,
    /// Adds `url.template` to the duration. The other metrics have it if it is known.
    pub(crate) template: bool,
}

impl ClientMetricChoice {
    pub(crate) const NONE: Self = ClientMetricChoice {
        is_off: false,
        duration: false,
        active_requests: false,
        body_sizes: false,
        scheme: false,
        template: false,
    };
    // spec: http/http-metrics.md: the others are opt-in
    pub(crate) const DEFAULT: Self = ClientMetricChoice { duration: true, ..ClientMetricChoice::NONE };

    #[inline]
    pub(crate) fn is_any(self) -> bool {
        !self.is_off && (self.duration || self.active_requests || self.body_sizes)
    }
}
