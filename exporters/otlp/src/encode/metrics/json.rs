//! Metrics in JSON.

use opentelemetry::trace::{SpanId, TraceId};
use telemark_sdk::Batch;
use telemark_sdk::metrics::{
    Buckets, Exemplar, ExponentialHistogramPoint, HistogramPoint, Metric, MetricData, Number, NumberPoint,
    ScopeMetrics, Temporality,
};
use telemark_sdk::signal::Metrics;
use telemark_sdk::time::Timestamp;

use super::values::{WireNumber, temporality_number};
use super::{Point, scopes};
use crate::encode::json::{
    array_field, attributes, attributes_field, element, f64_field, float, hex_field, i32_field, key, quoted,
    schema_url_len, scope_field, string_field, u32_field, u64_field,
};
use crate::encode::part::{Part, Room, Written};

/// Appends `{"resourceMetrics":[…]}` with one part of the batch. `resource` is the encoded resource.
pub(super) fn write(
    batch: Batch<'_, Metrics>,
    resource: &[u8],
    part: Part<Point>,
    out: &mut Vec<u8>,
) -> Written<Point> {
    let schema_url = batch.resource.schema_url().unwrap_or_default();
    let mut room = Room::new(out.len(), part.limit, schema_url_len(schema_url) + "]}]}".len());
    let mut next = None;
    out.extend_from_slice(b"{\"resourceMetrics\":[{\"resource\":");
    out.extend_from_slice(resource);
    out.extend_from_slice(b",\"scopeMetrics\":[");
    for (scope, from) in scopes(batch, part.from) {
        next = write_scope_metrics(out, &mut room, scope, from);
        if next.is_some() {
            break;
        }
    }
    out.push(b']');
    string_field(out, "schemaUrl", schema_url);
    out.extend_from_slice(b"}]}");
    Written { items: room.items(), next }
}

/// Writes a scope's points, starting at a place. Returns the place of the first point that does not fit.
fn write_scope_metrics(out: &mut Vec<u8>, room: &mut Room, metrics: &ScopeMetrics, from: Point) -> Option<Point> {
    let (start, items) = (out.len(), room.items());
    let schema_url = metrics.scope.schema_url().unwrap_or_default();
    let tail = schema_url_len(schema_url) + "]}".len();
    let mut next = None;
    element(out);
    out.push(b'{');
    scope_field(out, &metrics.scope);
    key(out, "metrics");
    out.push(b'[');
    for (metric, index, first) in super::metrics(metrics, from) {
        if let Some(point) = write_metric(out, room, metric, first, tail) {
            next = Some(Point { metric: index, point, ..from });
            break;
        }
    }
    out.push(b']');
    string_field(out, "schemaUrl", schema_url);
    out.push(b'}');
    if next.is_some() && room.items() == items {
        // Not even the first point fits after those of the previous scopes.
        out.truncate(start);
    }
    next
}

/// Writes a metric's points, starting with number `first`. Returns the number of the first point that does not fit.
fn write_metric(out: &mut Vec<u8>, room: &mut Room, metric: &Metric, first: usize, tail: usize) -> Option<usize> {
    let (start, items) = (out.len(), room.items());
    let tail = tail + "]}}".len();
    element(out);
    out.push(b'{');
    string_field(out, "name", &metric.name);
    string_field(out, "description", &metric.description);
    string_field(out, "unit", &metric.unit);
    let next = match &metric.data {
        MetricData::Gauge { points } => {
            begin(out, "gauge", None);
            write_points(out, room, points, first, tail, write_number_point)
        }
        MetricData::Sum { points, temporality, monotonic } => {
            begin(out, "sum", Some(*temporality));
            if *monotonic {
                key(out, "isMonotonic");
                out.extend_from_slice(b"true");
            }
            write_points(out, room, points, first, tail, write_number_point)
        }
        MetricData::Histogram { points, temporality } => {
            begin(out, "histogram", Some(*temporality));
            write_points(out, room, points, first, tail, write_histogram)
        }
        MetricData::ExponentialHistogram { points, temporality } => {
            begin(out, "exponentialHistogram", Some(*temporality));
            write_points(out, room, points, first, tail, write_exponential)
        }
        _ => None,
    };
    out.push(b'}');
    if next.is_some() && room.items() == items {
        out.truncate(start);
    }
    next
}

/// Writes the field `dataPoints`, starting with number `first`, and the end of the data. Returns the number of the first
/// point that does not fit.
fn write_points<P>(
    out: &mut Vec<u8>,
    room: &mut Room,
    points: &[P],
    first: usize,
    tail: usize,
    write: impl Fn(&mut Vec<u8>, &P),
) -> Option<usize> {
    key(out, "dataPoints");
    out.push(b'[');
    let mut rest = points.iter().enumerate().skip(first);
    let next = rest.find_map(|(index, point)| {
        let fits = room.write(out, tail, |out| {
            element(out);
            write(out, point);
        });
        (!fits).then_some(index)
    });
    out.extend_from_slice(b"]}");
    next
}

fn begin(out: &mut Vec<u8>, name: &str, temporality: Option<Temporality>) {
    key(out, name);
    out.push(b'{');
    if let Some(temporality) = temporality {
        u32_field(out, "aggregationTemporality", temporality_number(temporality).into());
    }
}

fn write_number_point(out: &mut Vec<u8>, point: &NumberPoint) {
    out.push(b'{');
    attributes(out, point.attributes.iter());
    times(out, point.start, point.time);
    value(out, point.value);
    array_field(out, "exemplars", &point.exemplars, write_exemplar);
    out.push(b'}');
}

fn write_histogram(out: &mut Vec<u8>, point: &HistogramPoint) {
    out.push(b'{');
    attributes(out, point.attributes.iter());
    times(out, point.start, point.time);
    u64_field(out, "count", point.count);
    optional(out, "sum", point.sum);
    array_field(out, "bucketCounts", &point.bucket_counts, quoted);
    array_field(out, "explicitBounds", point.bounds.iter(), |out, &bound| float(out, bound));
    array_field(out, "exemplars", &point.exemplars, write_exemplar);
    optional(out, "min", point.min);
    optional(out, "max", point.max);
    out.push(b'}');
}

fn write_exponential(out: &mut Vec<u8>, point: &ExponentialHistogramPoint) {
    out.push(b'{');
    attributes(out, point.attributes.iter());
    times(out, point.start, point.time);
    u64_field(out, "count", point.count);
    optional(out, "sum", point.sum);
    i32_field(out, "scale", point.scale);
    u64_field(out, "zeroCount", point.zero_count);
    write_buckets(out, "positive", &point.positive);
    write_buckets(out, "negative", &point.negative);
    array_field(out, "exemplars", &point.exemplars, write_exemplar);
    optional(out, "min", point.min);
    optional(out, "max", point.max);
    optional(out, "zeroThreshold", (point.zero_threshold != 0.0).then_some(point.zero_threshold));
    out.push(b'}');
}

fn write_buckets(out: &mut Vec<u8>, name: &str, buckets: &Buckets) {
    if buckets.counts.is_empty() {
        return;
    }
    key(out, name);
    out.push(b'{');
    i32_field(out, "offset", buckets.offset);
    array_field(out, "bucketCounts", &buckets.counts, quoted);
    out.push(b'}');
}

fn write_exemplar(out: &mut Vec<u8>, exemplar: &Exemplar) {
    out.push(b'{');
    attributes_field(out, "filteredAttributes", exemplar.filtered_attributes.iter());
    u64_field(out, "timeUnixNano", exemplar.time.as_nanos());
    value(out, exemplar.value);
    if exemplar.span_id != SpanId::INVALID {
        hex_field(out, "spanId", &exemplar.span_id.to_bytes());
    }
    if exemplar.trace_id != TraceId::INVALID {
        hex_field(out, "traceId", &exemplar.trace_id.to_bytes());
    }
    out.push(b'}');
}

fn times(out: &mut Vec<u8>, start: Timestamp, time: Timestamp) {
    u64_field(out, "startTimeUnixNano", start.as_nanos());
    u64_field(out, "timeUnixNano", time.as_nanos());
}

fn value(out: &mut Vec<u8>, number: Number) {
    match WireNumber::from(number) {
        WireNumber::Int(value) => {
            key(out, "asInt");
            quoted(out, value);
        }
        WireNumber::Double(value) => f64_field(out, "asDouble", value),
    }
}

fn optional(out: &mut Vec<u8>, name: &str, value: Option<f64>) {
    if let Some(value) = value {
        f64_field(out, name, value);
    }
}
