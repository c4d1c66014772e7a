//! Metrics in protobuf.

use opentelemetry::trace::{SpanId, TraceId};
use telemark_sdk::Batch;
use telemark_sdk::metrics::{
    Buckets, Exemplar, ExponentialHistogramPoint, HistogramPoint, Metric, MetricData, Number, NumberPoint, ScopeMetrics,
};
use telemark_sdk::signal::Metrics;
use telemark_sdk::time::Timestamp;

use super::values::{WireNumber, temporality_number};
use super::{Point, scopes};
use crate::encode::part::{Part, Room, WIDER, Written};
use crate::encode::wire::{
    fixed64, number, string_len, varint_len, with_length, write_attribute, write_message, write_number, write_scope,
    write_string, write_varint,
};

/// Appends an `ExportMetricsServiceRequest` with one part of the batch. `resource` is the encoded field `resource`.
pub(super) fn write(
    batch: Batch<'_, Metrics>,
    resource: &[u8],
    part: Part<Point>,
    out: &mut Vec<u8>,
) -> Written<Point> {
    let guess = sum_up_to(part.limit, batch.as_slice().iter().map(|scope| usual_scope(scope, part.limit)));
    let schema_url = batch.resource.schema_url().unwrap_or_default();
    let mut room = Room::new(out.len(), part.limit, string_len(schema_url) + WIDER);
    let mut next = None;
    write_message(out, with_length(1), varint_len(guess as u64), |out| {
        out.extend_from_slice(resource);
        for (scope, from) in scopes(batch, part.from) {
            next = write_scope_metrics(out, &mut room, scope, from, part.limit);
            if next.is_some() {
                break;
            }
        }
        write_string(out, with_length(3), schema_url);
    });
    Written { items: room.items(), next }
}

/// Writes a scope's points, starting at a place. Returns the place of the first point that does not fit.
fn write_scope_metrics(
    out: &mut Vec<u8>,
    room: &mut Room,
    metrics: &ScopeMetrics,
    from: Point,
    limit: usize,
) -> Option<Point> {
    let (start, items) = (out.len(), room.items());
    let schema_url = metrics.scope.schema_url().unwrap_or_default();
    let tail = string_len(schema_url) + WIDER;
    let mut next = None;
    write_message(out, with_length(2), varint_len(usual_scope(metrics, limit) as u64), |out| {
        write_scope(out, &metrics.scope);
        for (metric, index, first) in super::metrics(metrics, from) {
            if let Some(point) = write_metric(out, room, metric, first, tail, limit) {
                next = Some(Point { metric: index, point, ..from });
                break;
            }
        }
        write_string(out, with_length(3), schema_url);
    });
    if next.is_some() && room.items() == items {
        // Not even the first point fits after those of the previous scopes.
        out.truncate(start);
    }
    next
}

/// Returns the approximate size of a scope's metrics in bytes, up to `limit`. Used only to guess the width of length
/// fields.
fn usual_scope(scope: &ScopeMetrics, limit: usize) -> usize {
    sum_up_to(limit, scope.metrics.iter().map(|metric| usual_metric(metric, limit)))
}

fn usual_metric(metric: &Metric, limit: usize) -> usize {
    const NUMBER: usize = 80;
    let points = match &metric.data {
        MetricData::Histogram { points, .. } => sum_up_to(limit, points.iter().map(usual_histogram)),
        MetricData::ExponentialHistogram { points, .. } => sum_up_to(limit, points.iter().map(usual_exponential)),
        other => other.len().saturating_mul(NUMBER),
    };
    (metric.name.len() + metric.description.len() + metric.unit.len() + points).min(limit)
}

/// Adds sizes until they reach `limit`, so that the guess for one of many parts does not have to visit the whole batch.
fn sum_up_to(limit: usize, sizes: impl Iterator<Item = usize>) -> usize {
    let mut sum = 0;
    for size in sizes {
        sum += size;
        if sum >= limit {
            return limit;
        }
    }
    sum
}

fn usual_histogram(point: &HistogramPoint) -> usize {
    110 + point.attributes.len() * 30 + point.bounds.len() * 16 + point.exemplars.len() * 60
}

fn usual_exponential(point: &ExponentialHistogramPoint) -> usize {
    let buckets = point.positive.counts.len() + point.negative.counts.len();
    110 + point.attributes.len() * 30 + buckets + point.exemplars.len() * 60
}

/// Writes a metric's points, starting with number `first`. Returns the number of the first point that does not fit.
fn write_metric(
    out: &mut Vec<u8>,
    room: &mut Room,
    metric: &Metric,
    first: usize,
    tail: usize,
    limit: usize,
) -> Option<usize> {
    let (start, items) = (out.len(), room.items());
    let width = varint_len(usual_metric(metric, limit) as u64);
    let mut next = None;
    write_message(out, with_length(2), width, |out| {
        write_string(out, with_length(1), &metric.name);
        write_string(out, with_length(2), &metric.description);
        write_string(out, with_length(3), &metric.unit);
        let (field, temporality, monotonic) = match &metric.data {
            MetricData::Gauge { .. } => (5, None, false),
            MetricData::Sum { temporality, monotonic, .. } => (7, Some(*temporality), *monotonic),
            MetricData::Histogram { temporality, .. } => (9, Some(*temporality), false),
            MetricData::ExponentialHistogram { temporality, .. } => (10, Some(*temporality), false),
            // The enum is non-exhaustive. Receivers skip a metric without data.
            _ => return,
        };
        write_message(out, with_length(field), width, |out| {
            next = write_points(out, room, &metric.data, first, tail + METRIC_TAIL);
            write_number(out, number(2), temporality.map_or(0, |temporality| temporality_number(temporality).into()));
            write_number(out, number(3), monotonic.into());
        });
    });
    if next.is_some() && room.items() == items {
        out.truncate(start);
    }
    next
}

/// The maximum number of bytes that follow a metric's points or are added later: its temporality, `is_monotonic`, and
/// two lengths that grow.
const METRIC_TAIL: usize = 2 + 2 + 2 * WIDER;

fn write_points(out: &mut Vec<u8>, room: &mut Room, data: &MetricData, first: usize, tail: usize) -> Option<usize> {
    match data {
        MetricData::Gauge { points } | MetricData::Sum { points, .. } => {
            write_each(out, room, points, first, tail, write_number_point)
        }
        MetricData::Histogram { points, .. } => write_each(out, room, points, first, tail, write_histogram),
        MetricData::ExponentialHistogram { points, .. } => {
            write_each(out, room, points, first, tail, write_exponential)
        }
        _ => None,
    }
}

/// Writes points, starting with number `first`. Returns the number of the first point that does not fit.
fn write_each<P>(
    out: &mut Vec<u8>,
    room: &mut Room,
    points: &[P],
    first: usize,
    tail: usize,
    write: impl Fn(&mut Vec<u8>, &P),
) -> Option<usize> {
    let mut points = points.iter().enumerate().skip(first);
    points.find_map(|(index, point)| (!room.write(out, tail, |out| write(out, point))).then_some(index))
}

fn write_number_point(out: &mut Vec<u8>, point: &NumberPoint) {
    write_message(out, with_length(1), if point.exemplars.is_empty() { 1 } else { 2 }, |out| {
        write_times(out, point.start, point.time);
        write_value(out, fixed64(4), fixed64(6), point.value);
        for exemplar in &point.exemplars {
            write_exemplar(out, with_length(5), exemplar);
        }
        for attribute in point.attributes.iter() {
            write_attribute(out, with_length(7), attribute);
        }
    });
}

fn write_histogram(out: &mut Vec<u8>, point: &HistogramPoint) {
    write_message(out, with_length(1), varint_len(usual_histogram(point) as u64), |out| {
        write_times(out, point.start, point.time);
        write_fixed(out, fixed64(4), point.count);
        write_optional(out, fixed64(5), point.sum);
        write_packed(out, with_length(6), point.bucket_counts.iter().map(|count| count.to_le_bytes()));
        write_packed(out, with_length(7), point.bounds.iter().map(|bound| bound.to_le_bytes()));
        for exemplar in &point.exemplars {
            write_exemplar(out, with_length(8), exemplar);
        }
        for attribute in point.attributes.iter() {
            write_attribute(out, with_length(9), attribute);
        }
        write_optional(out, fixed64(11), point.min);
        write_optional(out, fixed64(12), point.max);
    });
}

fn write_exponential(out: &mut Vec<u8>, point: &ExponentialHistogramPoint) {
    write_message(out, with_length(1), varint_len(usual_exponential(point) as u64), |out| {
        for attribute in point.attributes.iter() {
            write_attribute(out, with_length(1), attribute);
        }
        write_times(out, point.start, point.time);
        write_fixed(out, fixed64(4), point.count);
        write_optional(out, fixed64(5), point.sum);
        write_number(out, number(6), zigzag(point.scale));
        write_fixed(out, fixed64(7), point.zero_count);
        write_buckets(out, with_length(8), &point.positive);
        write_buckets(out, with_length(9), &point.negative);
        for exemplar in &point.exemplars {
            write_exemplar(out, with_length(11), exemplar);
        }
        write_optional(out, fixed64(12), point.min);
        write_optional(out, fixed64(13), point.max);
        write_optional(out, fixed64(14), (point.zero_threshold != 0.0).then_some(point.zero_threshold));
    });
}

fn write_buckets(out: &mut Vec<u8>, tag: u8, buckets: &Buckets) {
    if buckets.counts.is_empty() {
        return;
    }
    let counts_len: usize = buckets.counts.iter().map(|&count| varint_len(count)).sum();
    write_message(out, tag, varint_len(counts_len as u64 + 10), |out| {
        write_number(out, number(1), zigzag(buckets.offset));
        out.push(with_length(2));
        write_varint(out, counts_len as u64);
        buckets.counts.iter().for_each(|&count| write_varint(out, count));
    });
}

fn write_exemplar(out: &mut Vec<u8>, tag: u8, exemplar: &Exemplar) {
    write_message(out, tag, 1, |out| {
        write_fixed(out, fixed64(2), exemplar.time.as_nanos());
        write_value(out, fixed64(3), fixed64(6), exemplar.value);
        if exemplar.span_id != SpanId::INVALID {
            out.extend_from_slice(&[with_length(4), 8]);
            out.extend_from_slice(&exemplar.span_id.to_bytes());
        }
        if exemplar.trace_id != TraceId::INVALID {
            out.extend_from_slice(&[with_length(5), 16]);
            out.extend_from_slice(&exemplar.trace_id.to_bytes());
        }
        for attribute in exemplar.filtered_attributes.iter() {
            write_attribute(out, with_length(7), attribute);
        }
    });
}

/// Writes fields 2 and 3, which are the same for every kind of point.
#[inline]
fn write_times(out: &mut Vec<u8>, start: Timestamp, time: Timestamp) {
    write_fixed(out, fixed64(2), start.as_nanos());
    write_fixed(out, fixed64(3), time.as_nanos());
}

/// Writes a value even if it is zero, because it is a member of a `oneof`.
#[inline]
fn write_value(out: &mut Vec<u8>, as_double: u8, as_int: u8, value: Number) {
    match WireNumber::from(value) {
        WireNumber::Int(value) => write_eight(out, as_int, value.to_le_bytes()),
        WireNumber::Double(value) => write_eight(out, as_double, value.to_le_bytes()),
    }
}

/// Writes eight bytes unless they are all zero, which is the default.
#[inline]
fn write_fixed(out: &mut Vec<u8>, tag: u8, value: u64) {
    if value != 0 {
        write_eight(out, tag, value.to_le_bytes());
    }
}

#[inline]
fn write_optional(out: &mut Vec<u8>, tag: u8, value: Option<f64>) {
    if let Some(value) = value {
        write_eight(out, tag, value.to_le_bytes());
    }
}

#[inline]
fn write_eight(out: &mut Vec<u8>, tag: u8, bytes: [u8; 8]) {
    let mut field = [tag, 0, 0, 0, 0, 0, 0, 0, 0];
    field[1..].copy_from_slice(&bytes);
    out.extend_from_slice(&field);
}

fn write_packed(out: &mut Vec<u8>, tag: u8, values: impl ExactSizeIterator<Item = [u8; 8]>) {
    if values.len() > 0 {
        out.push(tag);
        write_varint(out, values.len() as u64 * 8);
        values.for_each(|value| out.extend_from_slice(&value));
    }
}

/// Maps signed numbers near zero to small unsigned ones.
fn zigzag(value: i32) -> u64 {
    u64::from(((value << 1) ^ (value >> 31)) as u32)
}
