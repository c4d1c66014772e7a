//! Received metric points in the form that all receivers share, and as text to compare.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::span::Attributes;

/// A metric point as decoded by a receiver, with values in the common notation. A metric has one point per series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Point {
    /// The attributes of the resource.
    pub resource: Attributes,
    /// The name and version of the instrumentation scope.
    pub scope: String,
    /// The attributes of the scope.
    pub scope_attributes: Attributes,
    /// The name of the metric.
    pub name: String,
    /// The description of the metric.
    pub description: String,
    /// The unit of the metric.
    pub unit: String,
    /// `gauge`, `sum`, `monotonic sum`, `histogram` or `exponential histogram`. All but the first are preceded by `delta`
    /// or `cumulative`.
    pub kind: String,
    /// The attributes that identify the series.
    pub attributes: Attributes,
    /// The start of the interval, in nanoseconds since the Unix epoch.
    pub start: u64,
    /// The time of the point, in nanoseconds since the Unix epoch.
    pub time: u64,
    /// A number, or the fields of a distribution as one string.
    pub value: String,
    /// The exemplars of the point.
    pub exemplars: Vec<Exemplar>,
}

/// An exemplar of a point.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exemplar {
    /// The measured value.
    pub value: String,
    /// The time of the measurement, in nanoseconds since the Unix epoch.
    pub time: u64,
    /// The trace id; empty without a trace.
    pub trace_id: String,
    /// The span id; empty without a span.
    pub span_id: String,
    /// The attributes of the measurement that are not part of the series.
    pub attributes: Attributes,
}

/// The points that a receiver accepted from a single service.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Points {
    /// The points in the order of arrival.
    pub points: Vec<Point>,
}

impl Point {
    /// Formats the fields that both kinds of histograms share.
    pub(crate) fn distribution(count: u64, sum: Option<f64>, min: Option<f64>, max: Option<f64>) -> String {
        let mut text = format!("count={count}");
        for (name, value) in [("sum", sum), ("min", min), ("max", max)] {
            if let Some(value) = value {
                let _ = write!(text, " {name}={value:?}");
            }
        }
        text
    }

    /// Formats the positive or the negative buckets of an exponential histogram.
    pub(crate) fn buckets(offset: i32, counts: &[u64]) -> String {
        // The offset has no meaning without buckets.
        if counts.is_empty() {
            return "none".to_owned();
        }
        let filled: Vec<_> = (i64::from(offset)..)
            .zip(counts)
            .filter(|(_, count)| **count > 0)
            .map(|(index, count)| format!("{index}: {count}"))
            .collect();
        format!("{offset}+{}{{{}}}", counts.len(), filled.join(", "))
    }

    fn line(&self, spans: &BTreeMap<String, String>) -> String {
        let Point { name, unit, description, kind, value, attributes, .. } = self;
        let mut text = format!("{name}[{unit}] {description:?}{} {kind} {value}", pairs(attributes));
        let mut exemplars: Vec<_> = self.exemplars.iter().collect();
        exemplars.sort_by(|a, b| a.value.cmp(&b.value));
        for exemplar in exemplars {
            let span = spans.get(&exemplar.span_id).map_or("no known span", |name| name);
            let _ = write!(text, " # {} in {span}{}", exemplar.value, pairs(&exemplar.attributes));
        }
        text + "\n"
    }
}

impl Points {
    /// Returns the points with integers and floating-point numbers written alike, for receivers that do not distinguish
    /// them.
    pub fn without_types(&self) -> Points {
        let mut points = self.points.clone();
        for point in &mut points {
            untyped(&mut point.value);
            point.exemplars.iter_mut().for_each(|exemplar| untyped(&mut exemplar.value));
        }
        Points { points }
    }

    /// Returns the points as text, one per line, without times and with the names from `spans` in place of span ids, so
    /// that the text is the same in every run and at every receiver. The series of a metric have no defined order, so
    /// they are sorted.
    pub fn text(&self, spans: &BTreeMap<String, String>) -> String {
        let of_one_metric = |a: &Point, b: &Point| (&a.name, a.time) == (&b.name, b.time);
        let metrics = self.points.chunk_by(of_one_metric);
        metrics
            .map(|series| {
                let mut lines: Vec<_> = series.iter().map(|point| point.line(spans)).collect();
                lines.sort();
                lines.concat()
            })
            .collect()
    }
}

/// Writes `3.0` as `3` and `1e-9` in full. Leaves distributions unchanged.
fn untyped(value: &mut String) {
    if value.parse::<i64>().is_ok() {
        return;
    }
    if let Ok(number) = value.parse::<f64>() {
        *value = number.to_string();
    }
}

fn pairs(attributes: &Attributes) -> String {
    attributes.iter().map(|(key, value)| format!(" {key}={value}")).collect()
}
