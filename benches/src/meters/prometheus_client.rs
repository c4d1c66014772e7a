//! `prometheus-client`, either through a `Family` with its own label set type and a lookup per call, or through a
//! stored handle.

use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::{BOUNDS, Calls, METHOD, Meter, STATUS, Thrown, route};

pub(super) fn install(series: usize) -> Box<dyn Meter> {
    let counter = Family::default();
    let float_counter = Family::default();
    let histogram = Durations::new_with_constructor(durations);
    let mut registry = Registry::default();
    registry.register("http_server_requests", "Requests", counter.clone());
    registry.register("http_server_request_cost", "Costs", float_counter.clone());
    registry.register_with_unit("http_server_request_duration", "Durations", Unit::Seconds, histogram.clone());
    let labels = (0..series).map(|series| Labels {
        http_request_method: METHOD,
        http_route: route(series),
        http_response_status_code: STATUS,
    });
    Box::new(Client {
        registry,
        counter,
        float_counter,
        histogram,
        bound_counter: OnceLock::new(),
        bound_float_counter: OnceLock::new(),
        bound_histogram: OnceLock::new(),
        labels: labels.collect(),
    })
}

type FloatCounter = Counter<f64, AtomicU64>;
type Durations = Family<Labels, Histogram, fn() -> Histogram>;

fn durations() -> Histogram {
    Histogram::new(BOUNDS)
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Labels {
    http_request_method: &'static str,
    http_route: String,
    http_response_status_code: i64,
}

struct Client {
    registry: Registry,
    counter: Family<Labels, Counter>,
    float_counter: Family<Labels, FloatCounter>,
    histogram: Durations,
    /// The counter for the first series, looked up by the first thread that needs it.
    bound_counter: OnceLock<Counter>,
    bound_float_counter: OnceLock<FloatCounter>,
    bound_histogram: OnceLock<Histogram>,
    labels: Vec<Labels>,
}

impl Meter for Client {
    fn add(&self, calls: Calls) {
        calls.each(|series, _| {
            self.counter.get_or_create(&self.labels[series]).inc();
        });
    }

    fn record(&self, calls: Calls) {
        calls.each(|series, value| self.histogram.get_or_create(&self.labels[series]).observe(value));
    }

    fn add_float(&self, calls: Calls) -> bool {
        calls.each(|series, _| {
            self.float_counter.get_or_create(&self.labels[series]).inc();
        });
        true
    }

    fn add_bound(&self, calls: Calls) {
        let counter = self.bound_counter.get_or_init(|| self.counter.get_or_create_owned(&self.labels[0]));
        calls.each(|_, _| {
            counter.inc();
        });
    }

    fn add_float_bound(&self, calls: Calls) -> bool {
        let counter = self.bound_float_counter.get_or_init(|| self.float_counter.get_or_create_owned(&self.labels[0]));
        calls.each(|_, _| {
            counter.inc();
        });
        true
    }

    fn record_bound(&self, calls: Calls) {
        let histogram = self.bound_histogram.get_or_init(|| self.histogram.get_or_create_owned(&self.labels[0]));
        calls.each(|_, value| histogram.observe(value));
    }

    fn page(&self) -> Option<Vec<u8>> {
        let mut page = String::new();
        text::encode(&mut page, &self.registry).expect("a String takes everything");
        Some(page.into_bytes())
    }

    fn write(&self, to: &mut Thrown) -> bool {
        text::encode(to, &self.registry).expect("nothing fails here");
        true
    }
}
