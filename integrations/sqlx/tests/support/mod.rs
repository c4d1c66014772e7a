//! Spans and metrics of a test as text, on the providers of `opentelemetry_sdk`.
#![allow(dead_code, clippy::unwrap_used, clippy::panic, reason = "test helpers, not all of which every test uses")]

use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::{SpanKind, Status, TracerProvider};
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use telemark_sqlx::{ClientConfig, DbClientInstrumentation};

pub(crate) struct Recorded {
    pub(crate) instrumentation: DbClientInstrumentation,
    pub(crate) tracers: SdkTracerProvider,
    pub(crate) exporter: InMemorySpanExporter,
    meters: SdkMeterProvider,
    metrics: InMemoryMetricExporter,
}

impl Recorded {
    pub(crate) fn new(config: ClientConfig) -> Self {
        let exporter = InMemorySpanExporter::default();
        let tracers = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
        let metrics = InMemoryMetricExporter::default();
        let meters = SdkMeterProvider::builder().with_reader(PeriodicReader::builder(metrics.clone()).build()).build();
        let client = DbClientInstrumentation::new(config, tracers.tracer("test")).with_meter(&meters.meter("test"));
        Recorded { instrumentation: client, tracers, exporter, meters, metrics }
    }

    /// Takes the spans that have ended: name, kind if it is not a client, status, and those attributes that differ from call
    /// to call.
    pub(crate) fn spans(&self) -> Vec<String> {
        let spans = self.exporter.get_finished_spans().unwrap();
        self.exporter.reset();
        spans
            .into_iter()
            .map(|span| {
                let kind = match span.span_kind {
                    SpanKind::Client => String::new(),
                    kind => format!(" {kind:?}"),
                };
                let status = match &span.status {
                    Status::Error { description } => format!(" error({description})"),
                    _ => String::new(),
                };
                const CHANGING: [&str; 5] = [
                    "db.query.text",
                    "db.response.returned_rows",
                    "db.response.status_code",
                    "error.type",
                    "telemark.outcome",
                ];
                format!("{}{kind}{status}{}", span.name, shown(&span.attributes, |key| CHANGING.contains(&key)))
            })
            .collect()
    }

    /// Returns the points of a metric without their pool's name: `sum` of a counter, `n` of a histogram.
    pub(crate) fn points(&self, name: &str) -> Vec<String> {
        self.meters.force_flush().unwrap();
        let exported = self.metrics.get_finished_metrics().unwrap();
        self.metrics.reset();
        let is_shown = |key: &str| {
            matches!(key, "db.client.connection.state" | "db.query.summary" | "error.type" | "db.operation.name")
        };
        let mut points = Vec::new();
        for metric in exported.iter().flat_map(|resource| resource.scope_metrics()).flat_map(|scope| scope.metrics()) {
            if metric.name() != name {
                continue;
            }
            macro_rules! add {
                ($points:expr, $value:expr) => {
                    for point in $points {
                        let attributes: Vec<_> = point.attributes().cloned().collect();
                        points.push(format!("{}{}", $value(point), shown(&attributes, is_shown)));
                    }
                };
            }
            match metric.data() {
                AggregatedMetrics::F64(MetricData::Histogram(data)) => {
                    add!(
                        data.data_points(),
                        |point: &opentelemetry_sdk::metrics::data::HistogramDataPoint<f64>| format!(
                            "n={}",
                            point.count()
                        )
                    );
                }
                AggregatedMetrics::U64(MetricData::Histogram(data)) => {
                    add!(
                        data.data_points(),
                        |point: &opentelemetry_sdk::metrics::data::HistogramDataPoint<u64>| format!(
                            "n={} sum={}",
                            point.count(),
                            point.sum()
                        )
                    );
                }
                AggregatedMetrics::I64(MetricData::Sum(data)) => {
                    add!(data.data_points(), |point: &opentelemetry_sdk::metrics::data::SumDataPoint<i64>| point
                        .value()
                        .to_string());
                }
                AggregatedMetrics::U64(MetricData::Sum(data)) => {
                    add!(data.data_points(), |point: &opentelemetry_sdk::metrics::data::SumDataPoint<u64>| point
                        .value()
                        .to_string());
                }
                other => panic!("{other:?}"),
            }
        }
        points.sort();
        points
    }
}

fn shown(attributes: &[KeyValue], is_shown: impl Fn(&str) -> bool) -> String {
    let mut pairs: Vec<_> = attributes
        .iter()
        .filter(|pair| is_shown(pair.key.as_str()))
        .map(|pair| format!(" {}={}", pair.key.as_str().rsplit('.').next().unwrap(), pair.value))
        .collect();
    pairs.sort();
    pairs.concat()
}

/// Waits for a condition, up to a deadline.
pub(crate) async fn until(mut condition: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
    while !condition() {
        assert!(tokio::time::Instant::now() < deadline, "the condition never came true");
        tokio::task::yield_now().await;
    }
}

/// Returns the URL of a server; `None` where no server runs, which fails in continuous integration.
#[allow(clippy::disallowed_methods, reason = "reads the environment of the test")]
pub(crate) fn url(server: &str) -> Option<String> {
    let variable = format!("TELEMARK_TEST_{server}_URL");
    let url = std::env::var(&variable).ok();
    if url.is_none() {
        assert!(
            std::env::var("CI").as_deref() != Ok("true"),
            "in continuous integration nothing is skipped: {variable}"
        );
        eprintln!("SKIPPED: {variable} is not set; `cargo xtask services` starts the server");
    }
    url
}
