//! Received points of metrics in the form that all receivers have in common, and as a text to compare.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::span::Attributes;

/// A point of a metric as a receiver understood it. Values are in the common notation; a metric has as many as it has
/// series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Point {
    /// The attributes of the resource.
    pub resource: Attributes,
    /// Name and version of the instrumentation scope.
    pub scope: String,
    /// The attributes of the scope.
    pub scope_attributes: Attributes,
    /// The name of the metric.
    pub name: String,
    /// What it is.
    pub description: String,
    /// The unit.
    pub unit: String,
    /// `gauge`, `sum`, `monotonic sum`, `histogram` or `exponential histogram`, those but the first with `delta` or
    /// `cumulative` before it.
    pub kind: String,
    /// What names the series.
    pub attributes: Attributes,
    /// Nanoseconds since the Unix epoch.
    pub start: u64,
    /// Nanoseconds since the Unix epoch.
    pub time: u64,
    /// A number, or the fields of a distribution in one text.
    pub value: String,
    /// Some of the measurements behind it.
    pub exemplars: Vec<Exemplar>,
}

/// A measurement behind a point.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exemplar {
    /// The measurement.
    pub value: String,
    /// Nanoseconds since the Unix epoch.
    pub time: u64,
    /// The trace; empty when there is none.
    pub trace_id: String,
    /// The span; empty when there is none.
    pub span_id: String,
    /// The attributes that the series does not have.
    pub attributes: Attributes,
}

/// The points that a receiver took from one service.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Points {
    /// In the order of arrival.
    pub points: Vec<Point>,
}

impl Point {
    /// The fields that both kinds of histograms have.
    pub(crate) fn distribution(count: u64, sum: Option<f64>, min: Option<f64>, max: Option<f64>) -> String {
        let mut text = format!("count={count}");
        for (name, value) in [("sum", sum), ("min", min), ("max", max)] {
            if let Some(value) = value {
                let _ = write!(text, " {name}={value:?}");
            }
        }
        text
    }

    /// The buckets of one sign of an exponential histogram.
    pub(crate) fn buckets(offset: i32, counts: &[u64]) -> String {
        // Without buckets, the offset has no meaning.
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
    /// The points with integers and floating-point numbers written alike: for a receiver that does not tell which they are.
    pub fn without_types(&self) -> Points {
        let mut points = self.points.clone();
        for point in &mut points {
            untyped(&mut point.value);
            point.exemplars.iter_mut().for_each(|exemplar| untyped(&mut exemplar.value));
        }
        Points { points }
    }

    /// The points, a line each, with the names of `spans` (by their ids) instead of ids, and without times: what is the
    /// same in every run of a program and at every receiver. The series of a metric, which have no order, are sorted.
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

/// Writes `3.0` as `3` and `1e-9` in full; distributions are left alone.
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
