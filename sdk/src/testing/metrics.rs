//! Metrics as text: one line per point.

use std::fmt::Write;

use opentelemetry::trace::TraceId;

use crate::metrics::{
    Attributes, Buckets, Exemplar, ExponentialHistogramPoint, HistogramPoint, MetricData, Number, NumberPoint,
    ScopeMetrics, Temporality,
};

/// Formats the points as sorted lines: name, unit in brackets, attributes, then kind and value. A sum is marked
/// `delta` or `up-down` if that applies, and a histogram lists its non-empty buckets. Exemplars follow after `#`, each
/// with its span and the attributes that the series does not have. Timestamps are omitted.
pub fn metrics_text(scopes: &[ScopeMetrics]) -> String {
    let mut lines = Vec::new();
    for metric in scopes.iter().flat_map(|scope| &scope.metrics) {
        let unit = if metric.unit.is_empty() { String::new() } else { format!("[{}]", metric.unit) };
        let mut line = |attributes: &Attributes, value: String, exemplars: &[Exemplar]| {
            let mut text = format!("{}{unit}{} {value}", metric.name, braces(attributes));
            let mut exemplars: Vec<_> = exemplars.iter().map(exemplar).collect();
            exemplars.sort();
            exemplars.iter().for_each(|one| text.push_str(one));
            lines.push(text);
        };
        match &metric.data {
            MetricData::Sum { points, temporality, monotonic } => {
                let kind = if *monotonic { "sum" } else { "up-down sum" };
                for NumberPoint { attributes, value, exemplars, .. } in points {
                    line(attributes, format!("{}{kind} {value}", prefix(*temporality)), exemplars);
                }
            }
            MetricData::Gauge { points } => {
                for NumberPoint { attributes, value, exemplars, .. } in points {
                    line(attributes, format!("gauge {value}"), exemplars);
                }
            }
            MetricData::Histogram { points, temporality } => {
                for point in points {
                    let text = format!("{}histogram {}", prefix(*temporality), histogram(point));
                    line(&point.attributes, text, &point.exemplars);
                }
            }
            MetricData::ExponentialHistogram { points, temporality } => {
                for point in points {
                    let text = format!("{}exponential {}", prefix(*temporality), exponential(point));
                    line(&point.attributes, text, &point.exemplars);
                }
            }
        }
    }
    lines.sort();
    lines.iter().fold(String::new(), |text, line| text + line + "\n")
}

fn prefix(temporality: Temporality) -> &'static str {
    if temporality == Temporality::Delta { "delta " } else { "" }
}

fn braces(attributes: &Attributes) -> String {
    let list: Vec<_> = attributes.iter().map(|one| format!("{}={}", one.key, one.value)).collect();
    if list.is_empty() { String::new() } else { format!("{{{}}}", list.join(",")) }
}

fn histogram(point: &HistogramPoint) -> String {
    let mut text = totals(point.count, point.sum, point.min, point.max);
    for (index, count) in point.bucket_counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let bound = point.bounds.get(index).map_or("inf".to_owned(), ToString::to_string);
        // Writing to a string cannot fail.
        let _ = write!(text, " <={bound}:{count}");
    }
    text
}

fn exponential(point: &ExponentialHistogramPoint) -> String {
    let mut text = totals(point.count, point.sum, point.min, point.max);
    let _ = write!(text, " scale={}", point.scale);
    if point.zero_count > 0 {
        let _ = write!(text, " zero:{}", point.zero_count);
    }
    for (sign, Buckets { offset, counts, .. }) in [("+", &point.positive), ("-", &point.negative)] {
        for (index, count) in (*offset..).zip(counts).filter(|(_, count)| **count > 0) {
            let _ = write!(text, " {sign}{index}:{count}");
        }
    }
    text
}

fn totals(count: u64, sum: Option<f64>, min: Option<f64>, max: Option<f64>) -> String {
    let mut text = format!("count={count}");
    for (name, value) in [("sum", sum), ("min", min), ("max", max)] {
        if let Some(value) = value {
            let _ = write!(text, " {name}={value}");
        }
    }
    text
}

fn exemplar(exemplar: &Exemplar) -> String {
    let Exemplar { value, trace_id, span_id, filtered_attributes, .. } = exemplar;
    let value = match value {
        Number::I64(value) => value.to_string(),
        Number::U64(value) => value.to_string(),
        Number::F64(value) => value.to_string(),
    };
    let span = if *trace_id == TraceId::INVALID { String::new() } else { format!(" @{trace_id:x}:{span_id:x}") };
    format!(" # {value}{}{span}", braces(filtered_attributes))
}
