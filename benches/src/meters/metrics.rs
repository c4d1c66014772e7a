//! `metrics` with the recorder from `metrics-exporter-prometheus`. It is called either like the macros do with a prepared
//! key, or through a stored handle.
//!
//! Its histograms keep every value until `run_upkeep`, which is not included in the recording time.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use metrics::{Counter, Histogram, Key, Label, Level, Metadata, with_recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use super::{BOUNDS, Calls, METHOD, Meter, STATUS, Thrown, route};
use crate::Failure;

pub(super) fn install(series: usize) -> Result<Box<dyn Meter>, Failure> {
    let handle = recorder()?;
    // A process has only one recorder, so each installation gets its own metrics.
    static INSTALLED: AtomicUsize = AtomicUsize::new(0);
    let suffix = match INSTALLED.fetch_add(1, Ordering::Relaxed) {
        0 => String::new(),
        before => format!("_{before}"),
    };
    let keys = |name: &str| {
        let key = |series| {
            let labels = vec![
                Label::from_static_parts("http_request_method", METHOD),
                Label::new("http_route", route(series)),
                Label::new("http_response_status_code", STATUS.to_string()),
            ];
            Key::from_parts(format!("{name}{suffix}"), labels)
        };
        (0..series).map(key).collect()
    };
    let (counters, histograms) = (keys("http_server_requests"), keys("http_server_request_duration_seconds"));
    let (bound_counter, bound_histogram) = (OnceLock::new(), OnceLock::new());
    Ok(Box::new(Recorder { handle, counters, histograms, bound_counter, bound_histogram }))
}

fn recorder() -> Result<PrometheusHandle, Failure> {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    if let Some(handle) = HANDLE.get() {
        return Ok(handle.clone());
    }
    let recorder = PrometheusBuilder::new().set_buckets(&BOUNDS)?.build_recorder();
    let handle = HANDLE.get_or_init(|| recorder.handle()).clone();
    metrics::set_global_recorder(recorder)?;
    Ok(handle)
}

static METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

struct Recorder {
    handle: PrometheusHandle,
    counters: Vec<Key>,
    histograms: Vec<Key>,
    /// The counter for the first series, registered by the first thread that needs it.
    bound_counter: OnceLock<Counter>,
    bound_histogram: OnceLock<Histogram>,
}

impl Meter for Recorder {
    fn add(&self, calls: Calls) {
        calls.each(|series, _| {
            with_recorder(|recorder| recorder.register_counter(&self.counters[series], &METADATA)).increment(1);
        });
    }

    fn record(&self, calls: Calls) {
        calls.each(|series, value| {
            with_recorder(|recorder| recorder.register_histogram(&self.histograms[series], &METADATA)).record(value);
        });
    }

    fn add_float(&self, _: Calls) -> bool {
        false
    }

    fn add_bound(&self, calls: Calls) {
        let register = || with_recorder(|recorder| recorder.register_counter(&self.counters[0], &METADATA));
        let counter = self.bound_counter.get_or_init(register);
        calls.each(|_, _| counter.increment(1));
    }

    fn add_float_bound(&self, _: Calls) -> bool {
        false
    }

    fn record_bound(&self, calls: Calls) {
        let register = || with_recorder(|recorder| recorder.register_histogram(&self.histograms[0], &METADATA));
        let histogram = self.bound_histogram.get_or_init(register);
        calls.each(|_, value| histogram.record(value));
    }

    fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    fn page(&self) -> Option<Vec<u8>> {
        Some(self.handle.render().into_bytes())
    }

    fn write(&self, to: &mut Thrown) -> bool {
        self.handle.render_to_write(to).expect("nothing fails here");
        true
    }
}
