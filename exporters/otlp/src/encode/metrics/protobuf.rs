//! Metrics in protobuf.

use opentelemetry::trace::{SpanId, TraceId};
use telemark_sdk::Batch;
use telemark_sdk::metrics::{
    Buckets, Exemplar, ExponentialHistogramPoint, HistogramPoint, Metric, MetricData, Number, NumberPoint, ScopeMetrics,
};
use telemark_sdk::signal::Metrics;
use telemark_sdk::time::Timestamp;

use super::values::{WireNumber, temporality_number};
use crate::encode::wire::{
    fixed64, number, varint_len, with_length, write_attribute, write_message, write_number, write_scope, write_string,
    write_varint,
};

/// Appends an `ExportMetricsServiceRequest`. `resource` is the encoded field `resource`.
pub(super) fn write(batch: Batch<'_, Metrics>, resource: &[u8], out: &mut Vec<u8>) {
    let guess = batch.iter().map(usual_scope).sum::<usize>();
    write_message(out, with_length(1), varint_len(guess as u64), |out| {
        out.extend_from_slice(resource);
        for scope in batch.iter() {
            write_message(out, with_length(2), varint_len(usual_scope(scope) as u64), |out| {
                write_scope(out, &scope.scope);
                scope.metrics.iter().for_each(|metric| write_metric(out, metric));
                write_string(out, with_length(3), scope.scope.schema_url().unwrap_or_default());
            });
        }
        write_string(out, with_length(3), batch.resource.schema_url().unwrap_or_default());
    });
}

/// Returns the rough size of a scope's metrics in bytes, from which only the width of lengths is guessed.
fn usual_scope(scope: &ScopeMetrics) -> usize {
    scope.metrics.iter().map(usual_metric).sum()
}

fn usual_metric(metric: &Metric) -> usize {
    const NUMBER: usize = 80;
    let points = match &metric.data {
        MetricData::Histogram { points, .. } => points.iter().map(usual_histogram).sum(),
        MetricData::ExponentialHistogram { points, .. } => points.iter().map(usual_exponential).sum(),
        other => other.len() * NUMBER,
    };
    metric.name.len() + metric.description.len() + metric.unit.len() + points
}

fn usual_histogram(point: &HistogramPoint) -> usize {
    110 + point.attributes.len() * 30 + point.bounds.len() * 16 + point.exemplars.len() * 60
}

fn usual_exponential(point: &ExponentialHistogramPoint) -> usize {
    let buckets = point.positive.counts.len() + point.negative.counts.len();
    110 + point.attributes.len() * 30 + buckets + point.exemplars.len() * 60
}

fn write_metric(out: &mut Vec<u8>, metric: &Metric) {
    let width = varint_len(usual_metric(metric) as u64);
    write_message(out, with_length(2), width, |out| {
        write_string(out, with_length(1), &metric.name);
        write_string(out, with_length(2), &metric.description);
        write_string(out, with_length(3), &metric.unit);
        let (field, temporality, monotonic) = match &metric.data {
            MetricData::Gauge { .. } => (5, None, false),
            MetricData::Sum { temporality, monotonic, .. } => (7, Some(*temporality), *monotonic),
            MetricData::Histogram { temporality, .. } => (9, Some(*temporality), false),
            MetricData::ExponentialHistogram { temporality, .. } => (10, Some(*temporality), false),
            // The enum may grow. Receivers skip a metric without data.
            _ => return,
        };
        write_message(out, with_length(field), width, |out| {
            write_points(out, &metric.data);
            write_number(out, number(2), temporality.map_or(0, |temporality| temporality_number(temporality).into()));
            write_number(out, number(3), monotonic.into());
        });
    });
}

fn write_points(out: &mut Vec<u8>, data: &MetricData) {
    match data {
        MetricData::Gauge { points } | MetricData::Sum { points, .. } => {
            points.iter().for_each(|point| write_number_point(out, point));
        }
        MetricData::Histogram { points, .. } => points.iter().for_each(|point| write_histogram(out, point)),
        MetricData::ExponentialHistogram { points, .. } => {
            points.iter().for_each(|point| write_exponential(out, point));
        }
        _ => {}
    }
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

/// Writes fields 2 and 3, the same for every kind of point.
#[inline]
fn write_times(out: &mut Vec<u8>, start: Timestamp, time: Timestamp) {
    write_fixed(out, fixed64(2), start.as_nanos());
    write_fixed(out, fixed64(3), time.as_nanos());
}

/// Writes a value even when it is zero, for it is a member of a `oneof`.
#[inline]
fn write_value(out: &mut Vec<u8>, as_double: u8, as_int: u8, value: Number) {
    match WireNumber::from(value) {
        WireNumber::Int(value) => write_eight(out, as_int, value.to_le_bytes()),
        WireNumber::Double(value) => write_eight(out, as_double, value.to_le_bytes()),
    }
}

/// Writes eight bytes unless they are zero, the default.
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
