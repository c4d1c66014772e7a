//! `metrics` with the recorder of `metrics-exporter-prometheus`, as its macros call it with a key that is ready, or with a
//! held handle.
//!
//! Its histograms keep every value until `run_upkeep`, which is not in the time of recording.

use metrics::{Key, Label, Level, Metadata, with_recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use super::{BOUNDS, Calls, METHOD, Meter, STATUS, Thrown, route};
use crate::Failure;

pub(super) fn install(series: usize) -> Result<Box<dyn Meter>, Failure> {
    let recorder = PrometheusBuilder::new().set_buckets(&BOUNDS)?.build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder)?;
    let keys = |name: &'static str| {
        let key = |series| {
            let labels = vec![
                Label::from_static_parts("http_request_method", METHOD),
                Label::new("http_route", route(series)),
                Label::new("http_response_status_code", STATUS.to_string()),
            ];
            Key::from_parts(name, labels)
        };
        (0..series).map(key).collect()
    };
    let (counters, histograms) = (keys("http_server_requests"), keys("http_server_request_duration_seconds"));
    Ok(Box::new(Recorder { handle, counters, histograms }))
}

static METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

struct Recorder {
    handle: PrometheusHandle,
    counters: Vec<Key>,
    histograms: Vec<Key>,
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

    fn add_bound(&self, calls: Calls) {
        let counter = with_recorder(|recorder| recorder.register_counter(&self.counters[0], &METADATA));
        calls.each(|_, _| counter.increment(1));
    }

    fn record_bound(&self, calls: Calls) {
        let histogram = with_recorder(|recorder| recorder.register_histogram(&self.histograms[0], &METADATA));
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
