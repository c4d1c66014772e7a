//! Metrics.

use std::sync::Arc;

use telemark_sdk::Batch;
use telemark_sdk::metrics::{self, MetricData, Number};
use telemark_sdk::signal::Metrics;

use super::spans::{span_id, trace_id};
use super::values::Copier;
use crate::model::{Exemplar, Metric, MetricKind, Point, PointData, Resource, Scope, Temporality};
use crate::store::Store;

/// Copies the metrics of a batch into the store.
pub(super) fn add(batch: Batch<'_, Metrics>, resource: &Arc<Resource>, store: &Store) {
    let mut copier = Copier::new(store);
    let mut copies = Vec::new();
    for scope in batch.as_slice() {
        let copy = copier.scope(&scope.scope);
        copies.extend(scope.metrics.iter().map(|metric| self::metric(metric, resource, &copy, &mut copier)));
    }
    store.add_metrics(copies);
}

fn metric<'a>(
    metric: &'a metrics::Metric,
    resource: &Arc<Resource>,
    scope: &Arc<Scope>,
    copier: &mut Copier<'a>,
) -> Metric {
    let (kind, temporality, points) = match &metric.data {
        MetricData::Sum { points, temporality, monotonic } => {
            let points = points.iter().map(|point| number(point, copier)).collect();
            (MetricKind::Sum { monotonic: *monotonic }, self::temporality(*temporality), points)
        }
        MetricData::Gauge { points } => {
            let points = points.iter().map(|point| number(point, copier)).collect();
            (MetricKind::Gauge, Temporality::Unspecified, points)
        }
        MetricData::Histogram { points, temporality } => {
            let points = points.iter().map(|point| histogram(point, copier)).collect();
            (MetricKind::Histogram, self::temporality(*temporality), points)
        }
        MetricData::ExponentialHistogram { points, temporality } => {
            let points = points.iter().map(|point| exponential(point, copier)).collect();
            (MetricKind::ExponentialHistogram, self::temporality(*temporality), points)
        }
        // The enum is non-exhaustive.
        _ => (MetricKind::Gauge, Temporality::Unspecified, Vec::new()),
    };
    Metric {
        name: copier.name(&metric.name),
        unit: copier.name(&metric.unit),
        description: copier.name(&metric.description),
        kind,
        temporality,
        resource: resource.clone(),
        scope: scope.clone(),
        points,
    }
}

fn temporality(temporality: metrics::Temporality) -> Temporality {
    match temporality {
        metrics::Temporality::Cumulative => Temporality::Cumulative,
        metrics::Temporality::Delta => Temporality::Delta,
    }
}

fn number<'a>(point: &'a metrics::NumberPoint, copier: &mut Copier<'a>) -> Point {
    Point {
        start: point.start.as_nanos(),
        time: point.time.as_nanos(),
        attributes: copier.attributes(point.attributes.iter()),
        data: match point.value {
            Number::I64(value) => PointData::Int(value),
            // OTLP has no unsigned numbers.
            Number::U64(value) => i64::try_from(value).map_or(PointData::Double(value as f64), PointData::Int),
            Number::F64(value) => PointData::Double(value),
        },
        exemplars: exemplars(&point.exemplars, copier),
    }
}

fn histogram<'a>(point: &'a metrics::HistogramPoint, copier: &mut Copier<'a>) -> Point {
    let data = PointData::Histogram {
        count: point.count,
        sum: point.sum.unwrap_or_default(),
        min: point.min,
        max: point.max,
        bounds: point.bounds.clone(),
        counts: point.bucket_counts.as_slice().into(),
    };
    Point {
        start: point.start.as_nanos(),
        time: point.time.as_nanos(),
        attributes: copier.attributes(point.attributes.iter()),
        data,
        exemplars: exemplars(&point.exemplars, copier),
    }
}

fn exponential<'a>(point: &'a metrics::ExponentialHistogramPoint, copier: &mut Copier<'a>) -> Point {
    let buckets = |buckets: &metrics::Buckets| (buckets.offset, buckets.counts.as_slice().into());
    let data = PointData::Exponential {
        count: point.count,
        sum: point.sum.unwrap_or_default(),
        min: point.min,
        max: point.max,
        scale: point.scale,
        zero: point.zero_count,
        zero_threshold: point.zero_threshold,
        positive: buckets(&point.positive),
        negative: buckets(&point.negative),
    };
    Point {
        start: point.start.as_nanos(),
        time: point.time.as_nanos(),
        attributes: copier.attributes(point.attributes.iter()),
        data,
        exemplars: exemplars(&point.exemplars, copier),
    }
}

fn exemplars<'a>(exemplars: &'a [metrics::Exemplar], copier: &mut Copier<'a>) -> Box<[Exemplar]> {
    let copy = |exemplar: &'a metrics::Exemplar| Exemplar {
        time: exemplar.time.as_nanos(),
        value: exemplar.value.as_f64(),
        trace_id: trace_id(exemplar.trace_id),
        span_id: span_id(exemplar.span_id),
        attributes: copier.attributes(exemplar.filtered_attributes.iter()),
    };
    exemplars.iter().map(copy).collect()
}
