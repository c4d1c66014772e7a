//! Requests decoded by opentelemetry-proto, converted to the form that all receivers share.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::{self as metrics, exemplar, metric::Data, number_data_point};
use opentelemetry_proto::tonic::trace::v1 as otlp;

use crate::received::{Event, Exemplar, Link, Point, Points, Received, Span};

/// Returns all spans of the requests.
pub(crate) fn decoded(requests: &[ExportTraceServiceRequest]) -> Received {
    let mut spans = Vec::new();
    for of_resource in requests.iter().flat_map(|request| &request.resource_spans) {
        let resource = of_resource.resource.clone().unwrap_or_default();
        for of_scope in &of_resource.scope_spans {
            let scope = of_scope.scope.clone().unwrap_or_default();
            spans.extend(of_scope.spans.iter().map(|data| Span {
                resource: attributes(&resource.attributes),
                scope: format!("{} {}", scope.name, scope.version).trim().to_owned(),
                scope_attributes: attributes(&scope.attributes),
                ..span(data)
            }));
        }
    }
    Received { spans }
}

fn span(data: &otlp::Span) -> Span {
    let status = data.status.clone().unwrap_or_default();
    let code = status.code().as_str_name().trim_start_matches("STATUS_CODE_").to_lowercase();
    Span {
        trace_id: hex(&data.trace_id),
        span_id: hex(&data.span_id),
        parent_span_id: hex(&data.parent_span_id),
        trace_state: data.trace_state.clone(),
        flags: Some(data.flags.into()),
        name: data.name.clone(),
        kind: data.kind().as_str_name().trim_start_matches("SPAN_KIND_").to_lowercase(),
        start: data.start_time_unix_nano,
        end: data.end_time_unix_nano,
        status: if status.message.is_empty() { code } else { format!("{code}: {}", status.message) },
        attributes: attributes(&data.attributes),
        events: data.events.iter().map(event).collect(),
        links: data.links.iter().map(link).collect(),
        ..Span::default()
    }
}

fn event(data: &otlp::span::Event) -> Event {
    Event { name: data.name.clone(), time: data.time_unix_nano, attributes: attributes(&data.attributes) }
}

fn link(data: &otlp::span::Link) -> Link {
    Link { trace_id: hex(&data.trace_id), span_id: hex(&data.span_id), attributes: attributes(&data.attributes) }
}

fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attributes(pairs: &[KeyValue]) -> BTreeMap<String, String> {
    pairs.iter().map(|pair| (pair.key.clone(), value(pair.value.as_ref()))).collect()
}

/// Formats a value in the common notation.
fn value(any: Option<&AnyValue>) -> String {
    match any.and_then(|any| any.value.as_ref()) {
        None => "()".to_owned(),
        Some(Value::StringValue(text)) => format!("{text:?}"),
        Some(Value::BoolValue(flag)) => flag.to_string(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => format!("{number:?}"),
        Some(Value::ArrayValue(array)) => {
            let values = array.values.iter().map(|item| value(Some(item)));
            format!("[{}]", values.collect::<Vec<_>>().join(", "))
        }
        Some(Value::BytesValue(bytes)) => format!("0x{}", hex(bytes)),
        Some(other) => format!("{other:?}"),
    }
}

/// Returns all points of the requests.
pub(crate) fn decoded_metrics(requests: &[ExportMetricsServiceRequest]) -> Points {
    let mut points = Vec::new();
    for of_resource in requests.iter().flat_map(|request| &request.resource_metrics) {
        let resource = of_resource.resource.clone().unwrap_or_default();
        for of_scope in &of_resource.scope_metrics {
            let scope = of_scope.scope.clone().unwrap_or_default();
            for metric in &of_scope.metrics {
                points.extend(points_of(metric.data.as_ref()).into_iter().map(|point| Point {
                    resource: attributes(&resource.attributes),
                    scope: format!("{} {}", scope.name, scope.version).trim().to_owned(),
                    scope_attributes: attributes(&scope.attributes),
                    name: metric.name.clone(),
                    description: metric.description.clone(),
                    unit: metric.unit.clone(),
                    ..point
                }));
            }
        }
    }
    Points { points }
}

fn points_of(data: Option<&Data>) -> Vec<Point> {
    let of = |temporality: i32| match temporality {
        1 => "delta",
        2 => "cumulative",
        _ => "of unknown temporality",
    };
    match data {
        Some(Data::Gauge(gauge)) => gauge.data_points.iter().map(|point| number("gauge", point)).collect(),
        Some(Data::Sum(sum)) => {
            let kind = if sum.is_monotonic { "monotonic sum" } else { "sum" };
            let kind = format!("{} {kind}", of(sum.aggregation_temporality));
            sum.data_points.iter().map(|point| number(&kind, point)).collect()
        }
        Some(Data::Histogram(histogram)) => {
            let kind = format!("{} histogram", of(histogram.aggregation_temporality));
            histogram.data_points.iter().map(|point| distribution(&kind, point)).collect()
        }
        Some(Data::ExponentialHistogram(histogram)) => {
            let kind = format!("{} exponential histogram", of(histogram.aggregation_temporality));
            histogram.data_points.iter().map(|point| exponential(&kind, point)).collect()
        }
        Some(Data::Summary(_)) | None => Vec::new(),
    }
}

fn number(kind: &str, point: &metrics::NumberDataPoint) -> Point {
    Point {
        kind: kind.to_owned(),
        attributes: attributes(&point.attributes),
        start: point.start_time_unix_nano,
        time: point.time_unix_nano,
        value: match point.value {
            Some(number_data_point::Value::AsInt(value)) => value.to_string(),
            Some(number_data_point::Value::AsDouble(value)) => format!("{value:?}"),
            None => String::new(),
        },
        exemplars: point.exemplars.iter().map(exemplar).collect(),
        ..Point::default()
    }
}

fn distribution(kind: &str, point: &metrics::HistogramDataPoint) -> Point {
    let metrics::HistogramDataPoint { count, sum, min, max, .. } = *point;
    Point {
        kind: kind.to_owned(),
        attributes: attributes(&point.attributes),
        start: point.start_time_unix_nano,
        time: point.time_unix_nano,
        value: Point::distribution(count, sum, min, max)
            + &format!(" bounds={:?} counts={:?}", point.explicit_bounds, point.bucket_counts),
        exemplars: point.exemplars.iter().map(exemplar).collect(),
        ..Point::default()
    }
}

fn exponential(kind: &str, point: &metrics::ExponentialHistogramDataPoint) -> Point {
    let metrics::ExponentialHistogramDataPoint { count, sum, min, max, .. } = *point;
    let buckets = |buckets: &Option<metrics::exponential_histogram_data_point::Buckets>| match buckets {
        Some(buckets) => Point::buckets(buckets.offset, &buckets.bucket_counts),
        None => Point::buckets(0, &[]),
    };
    let (positive, negative) = (buckets(&point.positive), buckets(&point.negative));
    Point {
        kind: kind.to_owned(),
        attributes: attributes(&point.attributes),
        start: point.start_time_unix_nano,
        time: point.time_unix_nano,
        value: Point::distribution(count, sum, min, max)
            + &format!(" scale={} zeros={} positive={positive} negative={negative}", point.scale, point.zero_count),
        exemplars: point.exemplars.iter().map(exemplar).collect(),
        ..Point::default()
    }
}

fn exemplar(exemplar: &metrics::Exemplar) -> Exemplar {
    Exemplar {
        value: match exemplar.value {
            Some(exemplar::Value::AsInt(value)) => value.to_string(),
            Some(exemplar::Value::AsDouble(value)) => format!("{value:?}"),
            None => String::new(),
        },
        time: exemplar.time_unix_nano,
        trace_id: hex(&exemplar.trace_id),
        span_id: hex(&exemplar.span_id),
        attributes: attributes(&exemplar.filtered_attributes),
    }
}
