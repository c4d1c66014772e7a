//! The metrics libraries under measurement, each behind the same workload: a counter and a histogram whose series have
//! three labels, a string, a route that tells the series apart, and an integer.
//!
//! Attributes, label sets and keys are ready before anything is measured.

mod api;
mod metrics;
mod prometheus_client;

use std::hint::black_box;

pub(crate) use api::{Recorded, make_opentelemetry_sdk_global, make_telemark_global};

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};

use crate::Failure;

pub(crate) const TELEMARK: &str = "telemark";
/// For the page: only one measurement of each series is made in a span.
pub(crate) const TELEMARK_ONE: &str = "telemark, 1 exemplar a series";
pub(crate) const TELEMARK_PLAIN: &str = "telemark, exemplars off";
pub(crate) const SDK: &str = "opentelemetry_sdk";
pub(crate) const PROMETHEUS_CLIENT: &str = "prometheus-client";
pub(crate) const METRICS: &str = "metrics";

/// The upper bounds of the histograms' buckets, of which there is one more.
pub(crate) const BOUNDS: [f64; 13] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// One library with a counter and a histogram.
pub(crate) trait Meter: Send + Sync {
    /// Adds 1 to a series with each call.
    fn add(&self, calls: Calls);

    /// Records a value into a series with each call.
    fn record(&self, calls: Calls);

    /// Adds 1 to a series of a counter of floats with each call; false from a library without one.
    fn add_float(&self, calls: Calls) -> bool;

    /// Adds 1 to the first series with each call, through a handle that all threads share.
    fn add_bound(&self, calls: Calls);

    /// Adds 1 to the first series of a counter of floats with each call, likewise; false from a library without one.
    fn add_float_bound(&self, calls: Calls) -> bool;

    /// Records into the first series with each call, likewise.
    fn record_bound(&self, calls: Calls);

    /// What a program has to do now and then besides recording.
    fn upkeep(&self) {}

    /// The page for Prometheus; `None` from a library without one.
    fn page(&self) -> Option<Vec<u8>>;

    /// Writes the page where it is not kept; false from a library that cannot.
    fn write(&self, _to: &mut Thrown) -> bool {
        false
    }

    /// Collects only, and says how many series there are; `None` from a library that cannot do one without the other.
    fn collect(&self) -> Option<usize> {
        None
    }
}

/// Takes a page in parts, as small as they come, and keeps nothing but their length.
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

/// Which calls are made: one after the other, each to the next of the first `series` series, beginning with `first`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Calls {
    pub(crate) count: u64,
    pub(crate) first: usize,
    pub(crate) series: usize,
}

/// A value in each bucket, in an order that a branch predictor does not know at once, and a few again.
const VALUES: [f64; 16] = [0.3, 0.004, 7.0, 0.06, 0.02, 20.0, 0.7, 0.009, 2.0, 0.2, 9.0, 0.03, 0.9, 4.0, 0.08, 0.6];

impl Calls {
    /// Calls `call` with the number of the series and a value.
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

/// Installs a library that knows the labels of so many series; the series themselves begin with their first measurement.
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

/// A context with a span that is sampled and whose trace the exemplars name.
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
