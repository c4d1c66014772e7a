//! The libraries that implement the OpenTelemetry API, Telemark's engine and `opentelemetry_sdk`, measured with the
//! same code.

use std::hint::black_box;
use std::sync::{Arc, OnceLock};

use opentelemetry::metrics::{BoundCounter, BoundHistogram, Counter, Histogram, MeterProvider};
use opentelemetry::{KeyValue, global};
use opentelemetry_sdk::metrics as sdk;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, ResourceMetrics};
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{Instrument, ManualReader, Pipeline, Stream, Temporality};
use telemark_prometheus::{Escaping, Format, PrometheusExporter, Protocol};
use telemark_sdk::metrics::{ExemplarFilter, Metric, MetricData, PullReader, ReaderConfig, SdkMeterProvider};
use telemark_sdk::time::Deadline;

use super::{BOUNDS, Calls, METHOD, Meter, STATUS, Thrown, route};

/// A cardinality limit above any number of series used here.
const LIMIT: usize = 20_000;

/// Returns Telemark with the Prometheus exporter as its reader.
pub(super) fn telemark(exemplars: ExemplarFilter, series: usize) -> Box<dyn Meter> {
    let reader = ReaderConfig::new().with_cardinality_limit(|_| LIMIT);
    let prometheus = PrometheusExporter::builder().with_reader_config(reader).build();
    let provider = SdkMeterProvider::builder().with_reader(prometheus.reader()).with_exemplar_filter(exemplars).build();
    let format = Format::new(Protocol::OpenMetrics1_0_0, Escaping::Underscores);
    let reader = prometheus.reader();
    let collect = move || {
        let scopes = black_box(reader.collect(Deadline::NEVER)).expect("the provider has the reader");
        let points = |metric: &Metric| match &metric.data {
            MetricData::Histogram { points, .. } => points.len(),
            _ => 0,
        };
        scopes.iter().flat_map(|scope| &scope.metrics).map(points).sum()
    };
    let page = Box::new(move |to: To<'_>| match to {
        To::Memory(page) => prometheus.render(format, page).expect("the provider has the reader"),
        To::Nowhere(thrown) => prometheus.write(format, thrown).expect("the provider has the reader"),
    });
    Box::new(Api::new(provider, series, Some(page), Box::new(collect)))
}

/// Returns `opentelemetry_sdk` with a reader that collects only on request.
pub(super) fn opentelemetry_sdk(series: usize) -> Box<dyn Meter> {
    let reader = Shared(Arc::new(ManualReader::builder().build()));
    let limit = |_: &Instrument| Stream::builder().with_cardinality_limit(LIMIT).build().ok();
    let provider = sdk::SdkMeterProvider::builder().with_reader(reader.clone()).with_view(limit).build();
    let collect = move || {
        let mut collected = ResourceMetrics::default();
        reader.collect(&mut collected).expect("the provider has the reader");
        let collected = black_box(collected);
        let points = |metric: &sdk::data::Metric| match metric.data() {
            AggregatedMetrics::F64(sdk::data::MetricData::Histogram(histogram)) => histogram.data_points().count(),
            _ => 0,
        };
        collected.scope_metrics().flat_map(|scope| scope.metrics()).map(points).sum()
    };
    Box::new(Api::new(provider, series, None, Box::new(collect)))
}

/// Returns the number of metrics for which a provider has points.
pub(crate) type Recorded = Box<dyn Fn() -> usize>;

/// Installs Telemark as the global meter provider, with a reader that collects only on request.
pub(crate) fn make_telemark_global() -> Recorded {
    let reader = PullReader::default();
    global::set_meter_provider(SdkMeterProvider::builder().with_reader(reader.clone()).build());
    Box::new(move || {
        let scopes = reader.collect(Deadline::NEVER).expect("the provider has the reader");
        scopes.iter().map(|scope| scope.metrics.len()).sum()
    })
}

/// Installs `opentelemetry_sdk` as the global meter provider, with a reader that collects only on request.
pub(crate) fn make_opentelemetry_sdk_global() -> Recorded {
    let reader = Shared(Arc::new(ManualReader::builder().build()));
    global::set_meter_provider(sdk::SdkMeterProvider::builder().with_reader(reader.clone()).build());
    Box::new(move || {
        let mut collected = ResourceMetrics::default();
        reader.collect(&mut collected).expect("the provider has the reader");
        let is_of_program = |scope: &&sdk::data::ScopeMetrics| !scope.scope().name().starts_with("otel.sdk");
        collected.scope_metrics().filter(is_of_program).map(|scope| scope.metrics().count()).sum()
    })
}

/// Writes a page, or `None` if the library does not provide pages.
type Page = Option<Box<dyn Fn(To<'_>) + Send + Sync>>;
type Collect = Box<dyn Fn() -> usize + Send + Sync>;

/// The destination of a page.
enum To<'a> {
    Memory(&'a mut Vec<u8>),
    Nowhere(&'a mut Thrown),
}

struct Api<P> {
    counter: Counter<u64>,
    float_counter: Counter<f64>,
    histogram: Histogram<f64>,
    /// A counter bound to the first series by the first thread that needs it.
    bound_counter: OnceLock<BoundCounter<u64>>,
    bound_float_counter: OnceLock<BoundCounter<f64>>,
    bound_histogram: OnceLock<BoundHistogram<f64>>,
    attributes: Vec<[KeyValue; 3]>,
    page: Page,
    collect: Collect,
    /// Kept alive while its instruments are used.
    _provider: P,
}

impl<P: MeterProvider> Api<P> {
    fn new(provider: P, series: usize, page: Page, collect: Collect) -> Self {
        let meter = provider.meter("benches");
        let attributes = (0..series).map(|series| {
            [
                KeyValue::new("http.request.method", METHOD),
                KeyValue::new("http.route", route(series)),
                KeyValue::new("http.response.status_code", STATUS),
            ]
        });
        Self {
            counter: meter.u64_counter("http.server.requests").build(),
            float_counter: meter.f64_counter("http.server.request.cost").build(),
            histogram: meter
                .f64_histogram("http.server.request.duration")
                .with_unit("s")
                .with_boundaries(BOUNDS.to_vec())
                .build(),
            bound_counter: OnceLock::new(),
            bound_float_counter: OnceLock::new(),
            bound_histogram: OnceLock::new(),
            attributes: attributes.collect(),
            page,
            collect,
            _provider: provider,
        }
    }
}

impl<P: Send + Sync> Meter for Api<P> {
    fn add(&self, calls: Calls) {
        calls.each(|series, _| self.counter.add(1, &self.attributes[series]));
    }

    fn record(&self, calls: Calls) {
        calls.each(|series, value| self.histogram.record(value, &self.attributes[series]));
    }

    fn add_float(&self, calls: Calls) -> bool {
        calls.each(|series, _| self.float_counter.add(1.0, &self.attributes[series]));
        true
    }

    fn add_bound(&self, calls: Calls) {
        let counter = self.bound_counter.get_or_init(|| self.counter.bind(&self.attributes[0]));
        calls.each(|_, _| counter.add(1));
    }

    fn add_float_bound(&self, calls: Calls) -> bool {
        let counter = self.bound_float_counter.get_or_init(|| self.float_counter.bind(&self.attributes[0]));
        calls.each(|_, _| counter.add(1.0));
        true
    }

    fn record_bound(&self, calls: Calls) {
        let histogram = self.bound_histogram.get_or_init(|| self.histogram.bind(&self.attributes[0]));
        calls.each(|_, value| histogram.record(value));
    }

    fn page(&self) -> Option<Vec<u8>> {
        let mut page = Vec::new();
        self.page.as_ref()?(To::Memory(&mut page));
        Some(page)
    }

    fn write(&self, to: &mut Thrown) -> bool {
        self.page.as_ref().map(|page| page(To::Nowhere(to))).is_some()
    }

    fn collect(&self) -> Option<usize> {
        Some((self.collect)())
    }
}

/// A reader for `opentelemetry_sdk`, shared by the provider and this benchmark.
#[derive(Clone, Debug)]
struct Shared(Arc<ManualReader>);

impl MetricReader for Shared {
    fn register_pipeline(&self, pipeline: std::sync::Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }

    fn collect(&self, into: &mut ResourceMetrics) -> opentelemetry_sdk::error::OTelSdkResult {
        self.0.collect(into)
    }

    fn force_flush(&self) -> opentelemetry_sdk::error::OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: std::time::Duration) -> opentelemetry_sdk::error::OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: sdk::InstrumentKind) -> Temporality {
        self.0.temporality(kind)
    }
}
