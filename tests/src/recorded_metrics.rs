//! Exported metrics in the form that all receivers share, to compare with the received ones.

use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry::trace::{SpanId, TraceId};
use telemark_sdk::metrics::{self, Attributes, MetricData, Number, ScopeMetrics, Temporality};
use telemark_sdk::signal::Metrics;
use telemark_sdk::time::Deadline;
use telemark_sdk::{Batch, ExportError, ExportReport, Exporter, Resource};

use crate::received::{Exemplar, Point, Points};
use crate::recorded::attributes;

/// Keeps copies of the metrics passed to an exporter. Clones of this type share these copies.
#[derive(Clone, Debug, Default)]
pub struct RecordedMetrics(Arc<Mutex<Vec<Point>>>);

impl RecordedMetrics {
    /// Wraps an exporter.
    pub fn before<E: Exporter<Metrics>>(&self, exporter: E) -> impl Exporter<Metrics> {
        Tee { kept: self.clone(), exporter }
    }

    /// Returns the points in the form that a receiver should show.
    pub fn as_received(&self) -> Points {
        Points { points: self.0.lock().unwrap_or_else(PoisonError::into_inner).clone() }
    }
}

struct Tee<E> {
    kept: RecordedMetrics,
    exporter: E,
}

impl<E: Exporter<Metrics>> Exporter<Metrics> for Tee<E> {
    fn export(&mut self, batch: Batch<'_, Metrics>, deadline: Deadline) -> Result<ExportReport, ExportError> {
        let points = points(batch.resource, batch.as_slice());
        self.kept.0.lock().unwrap_or_else(PoisonError::into_inner).extend(points);
        self.exporter.export(batch, deadline)
    }

    fn flush(&mut self, deadline: Deadline) -> Result<(), ExportError> {
        self.exporter.flush(deadline)
    }

    fn shutdown(&mut self, deadline: Deadline) -> Result<(), ExportError> {
        self.exporter.shutdown(deadline)
    }
}

fn points(resource: &Resource, scopes: &[ScopeMetrics]) -> Vec<Point> {
    let mut all = Vec::new();
    for scope in scopes {
        let about = &scope.scope;
        for metric in &scope.metrics {
            all.extend(points_of(&metric.data).into_iter().map(|point| Point {
                resource: attributes(resource.iter()),
                scope: format!("{} {}", about.name(), about.version().unwrap_or_default()).trim().to_owned(),
                scope_attributes: attributes(about.attributes()),
                name: metric.name.to_string(),
                description: metric.description.to_string(),
                unit: metric.unit.to_string(),
                ..point
            }));
        }
    }
    all
}

fn points_of(data: &MetricData) -> Vec<Point> {
    let of = |temporality: &Temporality| format!("{temporality:?}").to_lowercase();
    match data {
        MetricData::Gauge { points } => points.iter().map(|point| number("gauge".to_owned(), point)).collect(),
        MetricData::Sum { points, temporality, monotonic } => {
            let kind = format!("{} {}", of(temporality), if *monotonic { "monotonic sum" } else { "sum" });
            points.iter().map(|point| number(kind.clone(), point)).collect()
        }
        MetricData::Histogram { points, temporality } => points
            .iter()
            .map(|point| Point {
                kind: format!("{} histogram", of(temporality)),
                attributes: pairs(&point.attributes),
                start: point.start.as_nanos(),
                time: point.time.as_nanos(),
                value: Point::distribution(point.count, point.sum, point.min, point.max)
                    + &format!(" bounds={:?} counts={:?}", point.bounds, point.bucket_counts),
                exemplars: point.exemplars.iter().map(exemplar).collect(),
                ..Point::default()
            })
            .collect(),
        MetricData::ExponentialHistogram { points, temporality } => points
            .iter()
            .map(|point| {
                let [positive, negative] =
                    [&point.positive, &point.negative].map(|side| Point::buckets(side.offset, &side.counts));
                Point {
                    kind: format!("{} exponential histogram", of(temporality)),
                    attributes: pairs(&point.attributes),
                    start: point.start.as_nanos(),
                    time: point.time.as_nanos(),
                    value: Point::distribution(point.count, point.sum, point.min, point.max)
                        + &format!(
                            " scale={} zeros={} positive={positive} negative={negative}",
                            point.scale, point.zero_count
                        ),
                    exemplars: point.exemplars.iter().map(exemplar).collect(),
                    ..Point::default()
                }
            })
            .collect(),
        // No other kinds exist yet.
        _ => Vec::new(),
    }
}

fn number(kind: String, point: &metrics::NumberPoint) -> Point {
    Point {
        kind,
        attributes: pairs(&point.attributes),
        start: point.start.as_nanos(),
        time: point.time.as_nanos(),
        value: value(point.value),
        exemplars: point.exemplars.iter().map(exemplar).collect(),
        ..Point::default()
    }
}

fn exemplar(exemplar: &metrics::Exemplar) -> Exemplar {
    let is_in_span = exemplar.trace_id != TraceId::INVALID && exemplar.span_id != SpanId::INVALID;
    let id = |id: String| if is_in_span { id } else { String::new() };
    Exemplar {
        value: value(exemplar.value),
        time: exemplar.time.as_nanos(),
        trace_id: id(exemplar.trace_id.to_string()),
        span_id: id(exemplar.span_id.to_string()),
        attributes: pairs(&exemplar.filtered_attributes),
    }
}

fn value(number: Number) -> String {
    match number {
        Number::F64(value) => format!("{value:?}"),
        integer => integer.to_string(),
    }
}

fn pairs(set: &Attributes) -> std::collections::BTreeMap<String, String> {
    attributes(set.iter())
}
