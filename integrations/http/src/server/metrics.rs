//! The instruments of a server, and the choice of metrics.

use std::fmt;

use opentelemetry::InstrumentationScope;
use opentelemetry::metrics::{Counter, Histogram, Meter, UpDownCounter};
use telemark_kit::{AttributeSets, Instruments};

use super::request_key::RequestKey;

// spec: http/http-metrics.md: the advised boundaries of http.server.request.duration, in seconds
const DURATION_BOUNDARIES: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// The instruments of the HTTP server metrics. Cheap to clone; clones share one set of instruments.
///
/// [`ServerConfig`](crate::ServerConfig) selects the metrics to record.
#[derive(Clone)]
pub struct ServerMetrics(Instruments<ServerInstruments>);

pub(crate) struct ServerInstruments {
    pub(crate) duration: Histogram<f64>,
    pub(crate) active: UpDownCounter<i64>,
    pub(crate) request_size: Histogram<u64>,
    pub(crate) response_size: Histogram<u64>,
    pub(crate) orphans: Counter<u64>,
    pub(crate) sets: AttributeSets<RequestKey>,
}

impl ServerMetrics {
    /// Returns an empty set, which records nothing.
    pub fn off() -> Self {
        ServerMetrics(Instruments::off(ServerInstruments::new))
    }

    /// Returns instruments created by the given meter.
    pub fn new(meter: &Meter) -> Self {
        ServerMetrics(Instruments::new(meter, ServerInstruments::new))
    }

    /// Returns instruments from the API's global provider, which is looked up on the first request.
    ///
    /// May be called before the provider is installed: while the global provider is the API's no-op provider, or another
    /// provider without state, each request repeats the lookup. The first real provider is kept.
    pub fn global(scope: InstrumentationScope) -> Self {
        ServerMetrics(Instruments::global(scope, ServerInstruments::new))
    }

    /// Returns the instruments, or `None` if there is no meter.
    #[inline]
    pub(crate) fn instruments(&self) -> Option<&ServerInstruments> {
        self.0.get()
    }
}

impl fmt::Debug for ServerMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ServerMetrics").field(&self.0).finish()
    }
}

impl ServerInstruments {
    // spec: http/http-metrics.md#http-server
    fn new(meter: &Meter) -> Self {
        ServerInstruments {
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
            orphans: meter
                .u64_counter("telemark.http.server.request.orphans")
                .with_unit("{request}")
                .with_description("Number of HTTP server requests without a trace context.")
                .build(),
            sets: AttributeSets::new(),
        }
    }
}
