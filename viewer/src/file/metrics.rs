//! The JSON of metrics.

use serde_json::{Value as Json, json};

use super::common::{Object, double};
use crate::model::{Exemplar, Metric, MetricKind, Point, PointData, Temporality};

pub(super) fn metric(metric: &Metric) -> Json {
    let mut data = Object::default();
    data.list("dataPoints", metric.points.iter().map(point));
    data.small(
        "aggregationTemporality",
        match metric.temporality {
            Temporality::Unspecified => 0,
            Temporality::Delta => 1,
            Temporality::Cumulative => 2,
        },
    );
    if metric.kind == (MetricKind::Sum { monotonic: true }) {
        data.put("isMonotonic", true.into());
    }
    let kind = match metric.kind {
        MetricKind::Gauge => "gauge",
        MetricKind::Sum { .. } => "sum",
        MetricKind::Histogram => "histogram",
        MetricKind::ExponentialHistogram => "exponentialHistogram",
        MetricKind::Summary => "summary",
    };
    let mut object = Object::default();
    object.text("name", &metric.name);
    object.text("description", &metric.description);
    object.text("unit", &metric.unit);
    object.put(kind, data.into_json());
    object.into_json()
}

fn point(point: &Point) -> Json {
    let mut object = Object::default();
    object.large("startTimeUnixNano", point.start);
    object.large("timeUnixNano", point.time);
    object.attributes("attributes", &point.attributes);
    object.list("exemplars", point.exemplars.iter().map(exemplar));
    match &point.data {
        PointData::Int(value) => object.put("asInt", value.to_string().into()),
        PointData::Double(value) => object.put("asDouble", double(*value)),
        PointData::Histogram { count, sum, min, max, bounds, counts } => {
            totals(&mut object, *count, *sum, (*min, *max));
            object.list("explicitBounds", bounds.iter().copied().map(double));
            object.list("bucketCounts", counts.iter().map(|count| count.to_string().into()));
        }
        PointData::Exponential { count, sum, min, max, scale, zero, zero_threshold, positive, negative } => {
            totals(&mut object, *count, *sum, (*min, *max));
            object.put("scale", (*scale).into());
            object.large("zeroCount", *zero);
            object.put("zeroThreshold", double(*zero_threshold));
            object.put("positive", buckets(positive));
            object.put("negative", buckets(negative));
        }
        PointData::Summary { count, sum, quantiles } => {
            totals(&mut object, *count, *sum, (None, None));
            let quantile =
                |(quantile, value): &(f64, f64)| json!({"quantile": double(*quantile), "value": double(*value)});
            object.list("quantileValues", quantiles.iter().map(quantile));
        }
    }
    object.into_json()
}

fn totals(object: &mut Object, count: u64, sum: f64, (min, max): (Option<f64>, Option<f64>)) {
    object.large("count", count);
    object.put("sum", double(sum));
    for (name, value) in [("min", min), ("max", max)] {
        if let Some(value) = value {
            object.put(name, double(value));
        }
    }
}

fn buckets((offset, counts): &(i32, Box<[u64]>)) -> Json {
    let mut object = Object::default();
    object.put("offset", (*offset).into());
    object.list("bucketCounts", counts.iter().map(|count| count.to_string().into()));
    object.into_json()
}

fn exemplar(exemplar: &Exemplar) -> Json {
    let mut object = Object::default();
    object.large("timeUnixNano", exemplar.time);
    object.put("asDouble", double(exemplar.value));
    object.trace_id("traceId", exemplar.trace_id);
    object.span_id("spanId", exemplar.span_id);
    object.attributes("filteredAttributes", &exemplar.attributes);
    object.into_json()
}
