//! Formats a collection as text.
#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot read its collection fails")]

use opentelemetry::metrics::{Meter, MeterProvider as _};
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, Metric, MetricData};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A provider that collects on request.
pub struct Collected {
    provider: SdkMeterProvider,
    exporter: InMemoryMetricExporter,
}

/// The name, instrument kind and unit of a metric, and the value for each attribute set.
struct Series {
    kind: &'static str,
    unit: String,
    points: BTreeMap<String, String>,
}

impl Collected {
    pub fn new(register: impl FnOnce(&Meter)) -> Self {
        let exporter = InMemoryMetricExporter::default();
        let reader = PeriodicReader::builder(exporter.clone()).with_interval(Duration::from_secs(3600)).build();
        let provider = SdkMeterProvider::builder().with_reader(reader).build();
        register(&provider.meter("test"));
        Collected { provider, exporter }
    }

    /// Collects again and returns a block for each metric, with a line for each of its attribute sets.
    pub fn page(&self) -> String {
        self.text(|attributes, value| format!("{attributes} {value}").trim_start().to_owned())
    }

    /// Collects again and returns the page without the values.
    pub fn list(&self) -> String {
        self.text(|attributes, _| if attributes.is_empty() { "-".to_owned() } else { attributes.to_owned() })
    }

    /// Collects again and returns one value.
    pub fn value(&self, name: &str, attributes: &str) -> f64 {
        let collection = self.collect();
        let points = &collection.get(name).unwrap_or_else(|| panic!("no {name}")).points;
        points.get(attributes).unwrap_or_else(|| panic!("{name} has {points:?}")).parse().unwrap()
    }

    /// Alternates between `work` and a collection until `wanted` accepts the value.
    pub fn await_value(&self, name: &str, attributes: &str, mut work: impl FnMut(), wanted: impl Fn(f64) -> bool) {
        let start = now();
        loop {
            work();
            let value = self.value(name, attributes);
            if wanted(value) {
                return;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "{name} {attributes} is still {value}");
        }
    }

    fn text(&self, line: impl Fn(&str, &str) -> String) -> String {
        let mut text = String::new();
        for (name, Series { kind, unit, points }) in self.collect() {
            writeln!(text, "{name} {kind} {unit}").unwrap();
            for (attributes, value) in points {
                writeln!(text, "  {}", line(&attributes, &value)).unwrap();
            }
        }
        text
    }

    fn collect(&self) -> BTreeMap<String, Series> {
        self.exporter.reset();
        self.provider.force_flush().unwrap();
        let collections = self.exporter.get_finished_metrics().unwrap();
        let metrics =
            collections.iter().flat_map(|collection| collection.scope_metrics()).flat_map(|scope| scope.metrics());
        // Omit instruments that observed nothing.
        metrics.map(series).filter(|(_, series)| !series.points.is_empty()).collect()
    }
}

fn series(metric: &Metric) -> (String, Series) {
    let (kind, points) = match metric.data() {
        AggregatedMetrics::F64(data) => points(data),
        AggregatedMetrics::U64(data) => points(data),
        AggregatedMetrics::I64(data) => points(data),
    };
    assert!(!metric.description().is_empty(), "{} is described", metric.name());
    (metric.name().to_owned(), Series { kind, unit: metric.unit().to_owned(), points })
}

fn points<T: Copy + ToString>(data: &MetricData<T>) -> (&'static str, BTreeMap<String, String>) {
    match data {
        MetricData::Gauge(gauge) => (
            "gauge",
            gauge.data_points().map(|point| (attributes(point.attributes()), point.value().to_string())).collect(),
        ),
        MetricData::Sum(sum) => (
            if sum.is_monotonic() { "counter" } else { "up-down counter" },
            sum.data_points().map(|point| (attributes(point.attributes()), point.value().to_string())).collect(),
        ),
        _ => panic!("no instrument is a histogram"),
    }
}

fn attributes<'a>(attributes: impl Iterator<Item = &'a opentelemetry::KeyValue>) -> String {
    let mut attributes: Vec<_> = attributes.map(|pair| format!("{}={}", pair.key, pair.value)).collect();
    attributes.sort();
    attributes.join(",")
}

/// An empty folder that is removed on drop.
pub struct Folder(PathBuf);

impl Folder {
    /// Creates a folder; `name` must be unique to the test.
    pub fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("telemark-runtime-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A failure leaves a few small files in the temporary folder.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[allow(clippy::disallowed_methods, reason = "a deadline of a test")]
fn now() -> Instant {
    Instant::now()
}
