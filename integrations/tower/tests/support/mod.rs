//! Finished spans as text, and the providers under test.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of this module")]

pub mod client;
pub mod tables;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry::trace::{Link, SpanContext, SpanKind, TraceId, TraceState, Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue, global};
use opentelemetry_sdk::metrics::data::{
    AggregatedMetrics, HistogramDataPoint, MetricData, ResourceMetrics, ScopeMetrics,
};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, SdkMeterProvider};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{
    InMemorySpanExporter, Sampler, SamplingDecision, SamplingResult, SdkTracer, SdkTracerProvider, ShouldSample,
};
use telemark_sdk::sampling;
use telemark_sdk::testing::TestTelemetry;

/// A provider whose finished spans can be inspected. The sampler is `ParentBased(AlwaysOn)`.
pub trait Spans {
    /// The provider's concrete tracer.
    type Tracer: Tracer<Span: Send + Sync> + Clone + Send + Sync + 'static;
    /// Returns a provider for one test.
    fn new() -> Self;
    /// Returns a provider that records everything, even below unsampled parents, and logs the calls of its sampler.
    fn watched(log: &SamplerLog) -> Self;
    /// Returns a tracer of the provider.
    fn tracer(&self) -> Self::Tracer;
    /// Returns the finished spans, in order.
    fn finished(&self) -> Vec<Seen>;
    /// Returns a meter whose metrics can be inspected.
    fn meter(&self) -> Meter;
    /// Returns the metrics so far, one line per point as in `telemark_sdk::testing::metrics_text`, without exemplars.
    fn metrics(&self) -> String;
}

/// A finished span. Its `Display` is the text that tests expect: name, kind, status, then the attributes by name.
#[derive(Clone, Debug)]
pub struct Seen {
    pub name: String,
    pub kind: String,
    pub status: String,
    pub context: SpanContext,
    pub parent: String,
    pub duration: Duration,
    pub attributes: BTreeMap<String, String>,
    /// Each event with its attributes, sorted by name.
    pub events: Vec<String>,
}

/// The name and the attribute names of each span, as seen by its sampler.
#[derive(Clone, Debug, Default)]
pub struct SamplerLog(Arc<Mutex<Vec<String>>>);

impl SamplerLog {
    /// Returns one line per span.
    pub fn text(&self) -> String {
        self.0.lock().unwrap().join("\n")
    }

    fn note(&self, name: &str, attributes: &[KeyValue]) {
        let mut keys: Vec<_> = attributes.iter().map(|pair| pair.key.as_str()).collect();
        keys.sort_unstable();
        self.0.lock().unwrap().push(format!("{name}: {}", keys.join(" ")));
    }
}

impl ShouldSample for SamplerLog {
    fn should_sample(
        &self,
        _parent: Option<&Context>,
        _trace_id: TraceId,
        name: &str,
        _kind: &SpanKind,
        attributes: &[KeyValue],
        _links: &[Link],
    ) -> SamplingResult {
        self.note(name, attributes);
        let trace_state = TraceState::default();
        SamplingResult { decision: SamplingDecision::RecordAndSample, attributes: Vec::new(), trace_state }
    }
}

impl sampling::Sampler for SamplerLog {
    fn sample(&self, request: &sampling::SamplingRequest<'_>) -> sampling::SamplingResult {
        self.note(request.name, request.attributes);
        sampling::SamplingResult::new(sampling::Decision::RecordAndSample)
    }

    fn description(&self) -> Cow<'static, str> {
        "SamplerLog".into()
    }
}

impl Seen {
    /// Returns the name, the status and the given attributes as text.
    pub fn only(&self, keys: &[&str]) -> String {
        let found = keys.iter().filter_map(|key| Some(format!(" {key}={}", self.attributes.get(*key)?)));
        format!("{} {}{}", self.name, self.status, found.collect::<String>())
    }

    /// Returns the parts that depend on how the request ended, as text.
    pub fn end(&self) -> String {
        self.only(&["http.response.status_code", "error.type", "telemark.outcome"])
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} | {} | {}", self.name, self.kind, self.status)?;
        self.attributes.iter().try_for_each(|(key, value)| writeln!(f, "  {key} = {value}"))
    }
}

/// The provider from opentelemetry_sdk.
pub struct Upstream {
    provider: SdkTracerProvider,
    exporter: InMemorySpanExporter,
    meters: SdkMeterProvider,
    metrics: InMemoryMetricExporter,
}

impl Upstream {
    fn sampled(sampler: impl ShouldSample + 'static) -> Self {
        propagate();
        let exporter = InMemorySpanExporter::default();
        let builder = SdkTracerProvider::builder().with_simple_exporter(exporter.clone());
        let metrics = InMemoryMetricExporter::default();
        let meters = SdkMeterProvider::builder().with_periodic_exporter(metrics.clone()).build();
        Upstream { provider: builder.with_sampler(sampler).build(), exporter, meters, metrics }
    }

    /// Shuts down the meter provider.
    pub fn shut_down_metrics(&self) {
        self.meters.shutdown().unwrap();
    }
}

impl Spans for Upstream {
    type Tracer = SdkTracer;

    fn new() -> Self {
        Upstream::sampled(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)))
    }

    fn watched(log: &SamplerLog) -> Self {
        Upstream::sampled(log.clone())
    }

    fn tracer(&self) -> SdkTracer {
        self.provider.tracer("suite")
    }

    fn finished(&self) -> Vec<Seen> {
        let spans = self.exporter.get_finished_spans().unwrap();
        let seen = spans.into_iter().map(|span| {
            let count = span.attributes.len();
            let attributes: BTreeMap<_, _> =
                span.attributes.iter().map(|pair| (pair.key.to_string(), shown(&pair.value))).collect();
            assert_eq!(attributes.len(), count, "an attribute was set twice: {:?}", span.attributes);
            Seen {
                name: span.name.to_string(),
                kind: format!("{:?}", span.span_kind),
                status: format!("{:?}", span.status),
                context: span.span_context,
                parent: span.parent_span_id.to_string(),
                duration: span.end_time.duration_since(span.start_time).unwrap(),
                attributes,
                events: span.events.iter().map(|event| shown_event(&event.name, &event.attributes)).collect(),
            }
        });
        seen.collect()
    }

    fn meter(&self) -> Meter {
        self.meters.meter("suite")
    }

    fn metrics(&self) -> String {
        self.metrics.reset();
        self.meters.force_flush().unwrap();
        upstream_text(&self.metrics.get_finished_metrics().unwrap())
    }
}

/// The provider from telemark-sdk.
pub struct Telemark(pub TestTelemetry);

impl Spans for Telemark {
    type Tracer = telemark_sdk::trace::SdkTracer;

    fn new() -> Self {
        propagate();
        let sampler = sampling::ParentBased::new(sampling::AlwaysOn);
        Telemark(TestTelemetry::with(|builder| builder.with_sampler(sampler)))
    }

    fn watched(log: &SamplerLog) -> Self {
        propagate();
        Telemark(TestTelemetry::with(|builder| builder.with_sampler(log.clone())))
    }

    fn tracer(&self) -> Self::Tracer {
        self.0.tracer("suite")
    }

    fn finished(&self) -> Vec<Seen> {
        let seen = self.0.spans().into_iter().map(|span| Seen {
            name: span.name.to_string(),
            kind: format!("{:?}", span.kind),
            status: format!("{:?}", span.status),
            parent: span.parent_span_id.to_string(),
            duration: span.end.since(span.start),
            attributes: span.own_attributes.iter().map(|pair| (pair.key.to_string(), shown(&pair.value))).collect(),
            context: span.context.clone(),
            events: span.events.iter().map(|event| shown_event(&event.name, &event.attributes)).collect(),
        });
        seen.collect()
    }

    fn meter(&self) -> Meter {
        self.0.meter("suite")
    }

    fn metrics(&self) -> String {
        let text = self.0.metrics();
        text.lines().map(|line| format!("{}\n", line.split(" # ").next().unwrap_or(line))).collect()
    }
}

/// Formats metrics from opentelemetry_sdk like `telemark_sdk::testing::metrics_text`.
fn upstream_text(metrics: &[ResourceMetrics]) -> String {
    let mut lines = Vec::new();
    let metrics = metrics.iter().flat_map(|one| one.scope_metrics().flat_map(ScopeMetrics::metrics));
    for metric in metrics {
        let name = format!("{}[{}]", metric.name(), metric.unit());
        match metric.data() {
            AggregatedMetrics::F64(MetricData::Histogram(data)) => {
                lines.extend(data.data_points().map(|point| name.clone() + &upstream_histogram(point)));
            }
            AggregatedMetrics::U64(MetricData::Histogram(data)) => {
                lines.extend(data.data_points().map(|point| name.clone() + &upstream_histogram(point)));
            }
            AggregatedMetrics::I64(MetricData::Sum(data)) => {
                assert!(!data.is_monotonic());
                let points = data.data_points();
                lines.extend(
                    points.map(|point| format!("{name}{} up-down sum {}", braces(point.attributes()), point.value())),
                );
            }
            AggregatedMetrics::U64(MetricData::Sum(data)) => {
                assert!(data.is_monotonic());
                let points = data.data_points();
                lines.extend(points.map(|point| format!("{name}{} sum {}", braces(point.attributes()), point.value())));
            }
            other => panic!("{other:?}"),
        }
    }
    lines.sort();
    lines.into_iter().map(|line| line + "\n").collect()
}

fn upstream_histogram<T: fmt::Display + Copy>(point: &HistogramDataPoint<T>) -> String {
    let (sum, min, max) = (point.sum(), point.min().unwrap(), point.max().unwrap());
    let mut text = format!("{} histogram count={}", braces(point.attributes()), point.count());
    text += &format!(" sum={sum} min={min} max={max}");
    let bounds = point.bounds().map(|bound| bound.to_string()).chain(["inf".to_owned()]);
    for (bound, count) in bounds.zip(point.bucket_counts()).filter(|(_, count)| *count > 0) {
        text += &format!(" <={bound}:{count}");
    }
    text
}

fn braces<'a>(attributes: impl Iterator<Item = &'a KeyValue>) -> String {
    let mut list: Vec<_> = attributes.map(|one| format!("{}={}", one.key, one.value)).collect();
    list.sort();
    if list.is_empty() { String::new() } else { format!("{{{}}}", list.join(",")) }
}

/// Returns a clock that advances by a quarter of a second with each reading.
pub fn ticking() -> impl Fn() -> SystemTime + Send + Sync + 'static {
    let reads = AtomicU64::new(0);
    move || UNIX_EPOCH + Duration::from_millis(1_700_000_000_000 + 250 * reads.fetch_add(1, Ordering::Relaxed))
}

fn shown_event(name: &str, attributes: &[KeyValue]) -> String {
    format!("{name}{}", braces(attributes.iter()))
}

fn shown(value: &opentelemetry::Value) -> String {
    match value {
        opentelemetry::Value::String(text) => format!("{:?}", text.as_str()),
        other => other.to_string(),
    }
}

/// Installs the W3C trace context propagator, once per process.
pub fn propagate() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| global::set_text_map_propagator(TraceContextPropagator::new()));
}

/// Waits until the condition returns a value; fails after ten seconds.
pub async fn until<R>(what: &str, mut condition: impl FnMut() -> Option<R>) -> R {
    let wait = async {
        loop {
            if let Some(found) = condition() {
                return found;
            }
            tokio::task::yield_now().await;
        }
    };
    match tokio::time::timeout(Duration::from_secs(10), wait).await {
        Ok(found) => found,
        Err(_) => panic!("waited for {what} in vain"),
    }
}

/// Waits for the only span to end and returns it.
pub async fn the_span<S: Spans>(spans: &S) -> Seen {
    let finished = until("a span", || Some(spans.finished()).filter(|spans| !spans.is_empty())).await;
    assert_eq!(finished.len(), 1, "{finished:?}");
    finished.into_iter().next().unwrap()
}

/// Creates a test for each combination of function and provider.
#[macro_export]
macro_rules! on_every_provider {
    ($($test:ident),* $(,)?) => {
        mod upstream {
            $(#[tokio::test] async fn $test() { super::$test::<super::support::Upstream>().await; })*
        }
        mod telemark {
            $(#[tokio::test] async fn $test() { super::$test::<super::support::Telemark>().await; })*
        }
    };
}
