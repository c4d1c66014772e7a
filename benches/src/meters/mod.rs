//! The metrics libraries under test, all with the same workload: a counter and a histogram. Their series have three
//! labels: a string, a route that distinguishes the series, and an integer.
//!
//! Attributes, label sets and keys are created before the measurement.

mod api;
mod api_0_32;
mod metrics;
mod prometheus_client;

use std::hint::black_box;

pub(crate) use api::{Recorded, make_opentelemetry_sdk_global, make_telemark_global};
pub(crate) use api_0_32::make_opentelemetry_sdk_0_32_global;

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};

use crate::Failure;

pub(crate) const TELEMARK: &str = "telemark";
/// For the page scenario: only one measurement per series is made inside a span.
pub(crate) const TELEMARK_ONE: &str = "telemark, 1 exemplar a series";
pub(crate) const TELEMARK_PLAIN: &str = "telemark, exemplars off";
pub(crate) const SDK: &str = "opentelemetry_sdk";
pub(crate) const PROMETHEUS_CLIENT: &str = "prometheus-client";
pub(crate) const METRICS: &str = "metrics";

/// The upper bounds of the histogram buckets. One more bucket has no upper bound.
pub(crate) const BOUNDS: [f64; 13] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// A library with a counter and a histogram.
pub(crate) trait Meter: Send + Sync {
    /// Adds 1 to a series per call.
    fn add(&self, calls: Calls);

    /// Records one value into a series per call.
    fn record(&self, calls: Calls);

    /// Adds 1 to a series of a float counter per call. Returns false if the library has no float counters.
    fn add_float(&self, calls: Calls) -> bool;

    /// Adds 1 to the first series per call, through a handle shared by all threads.
    fn add_bound(&self, calls: Calls);

    /// Adds 1 to the first series of a float counter per call, through a shared handle. Returns false if the library has
    /// no float counters.
    fn add_float_bound(&self, calls: Calls) -> bool;

    /// Records one value into the first series per call, through a shared handle.
    fn record_bound(&self, calls: Calls);

    /// Does the periodic maintenance that the library requires in addition to recording.
    fn upkeep(&self) {}

    /// Returns the Prometheus page, or `None` if the library does not provide one.
    fn page(&self) -> Option<Vec<u8>>;

    /// Writes the page to a destination that discards it. Returns false if the library does not support this.
    fn write(&self, _to: &mut Thrown) -> bool {
        false
    }

    /// Collects without writing a page and returns the number of series, or `None` if the library cannot collect
    /// separately.
    fn collect(&self) -> Option<usize> {
        None
    }
}

/// Accepts a page in parts of any size and keeps only their total length.
#[derive(Debug, Default)]
pub(crate) struct Thrown {
    pub(crate) bytes: usize,
}

impl std::io::Write for Thrown {
    fn write(&mut self, part: &[u8]) -> std::io::Result<usize> {
        self.bytes += black_box(part).len();
        Ok(part.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl std::fmt::Write for Thrown {
    fn write_str(&mut self, part: &str) -> std::fmt::Result {
        self.bytes += black_box(part).len();
        Ok(())
    }
}

/// A sequence of calls that cycles through the first `series` series, beginning with `first`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Calls {
    pub(crate) count: u64,
    pub(crate) first: usize,
    pub(crate) series: usize,
}

/// At least one value per bucket, in an order that a branch predictor does not learn immediately.
const VALUES: [f64; 16] = [0.3, 0.004, 7.0, 0.06, 0.02, 20.0, 0.7, 0.009, 2.0, 0.2, 9.0, 0.03, 0.9, 4.0, 0.08, 0.6];

impl Calls {
    /// Calls `call` with each series number and a value.
    #[inline(always)]
    fn each(self, mut call: impl FnMut(usize, f64)) {
        let mut series = self.first;
        for number in 0..self.count as usize {
            call(series, VALUES[number % VALUES.len()]);
            series += 1;
            if series == self.series {
                series = 0;
            }
        }
    }
}

/// Installs a library and prepares labels for this number of series. The series themselves are created by their first
/// measurements.
pub(crate) fn install(name: &str, series: usize) -> Result<Box<dyn Meter>, Failure> {
    match name {
        TELEMARK | TELEMARK_ONE => Ok(api::telemark(telemark_sdk::metrics::ExemplarFilter::TraceBased, series)),
        TELEMARK_PLAIN => Ok(api::telemark(telemark_sdk::metrics::ExemplarFilter::AlwaysOff, series)),
        SDK => Ok(api::opentelemetry_sdk(series)),
        PROMETHEUS_CLIENT => Ok(prometheus_client::install(series)),
        METRICS => metrics::install(series),
        other => Err(format!("unknown subject {other:?}").into()),
    }
}

/// Returns a context with a sampled span, whose trace appears in the exemplars.
pub(crate) fn sampled_span() -> Context {
    let trace = TraceId::from(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128);
    let span = SpanId::from(0x00f0_67aa_0ba9_02b7_u64);
    let span = SpanContext::new(trace, span, TraceFlags::SAMPLED, false, TraceState::default());
    Context::new().with_remote_span_context(span)
}

const METHOD: &str = "GET";
const STATUS: i64 = 200;

fn route(series: usize) -> String {
    format!("/shop/{series}")
}
