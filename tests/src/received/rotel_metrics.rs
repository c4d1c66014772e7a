//! The metrics in the output of rotel with `--debug-log metrics --debug-log-verbosity detailed`.
//!
//! Numbers in this output have no types. Exponential histograms show the bounds of their buckets instead of the scale
//! and offset, which are therefore computed from the bounds. Negative buckets are not read, and values that span several
//! lines are not rejoined.

use super::metric::{Exemplar, Point};
use super::rotel::{INNER, ITEM, pair};
use super::span::{Attributes, scope};

/// Returns the points in the whole output. Skips traces, logs and messages. The last point may be incomplete.
pub(crate) fn parse_points(output: &str) -> Vec<Point> {
    let mut reader = Reader::default();
    for line in output.lines() {
        reader.line(line);
    }
    reader.finish_point();
    reader.points
}

/// The owner of the lines that follow.
#[derive(Default, PartialEq)]
enum Place {
    #[default]
    Nowhere,
    Resource,
    Scope,
    Metric,
    Point,
    Exemplar,
}

#[derive(Default)]
struct Reader {
    place: Place,
    resource: Attributes,
    scope: String,
    scope_attributes: Attributes,
    /// The fields that all points of the metric share.
    metric: Point,
    data_type: String,
    is_monotonic: bool,
    temporality: String,
    /// The point being read.
    point: Option<(Point, Distribution)>,
    points: Vec<Point>,
}

/// The fields of a histogram.
#[derive(Default)]
struct Distribution {
    count: u64,
    sum: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
    bounds: Vec<f64>,
    counts: Vec<u64>,
    zeros: u64,
    /// The lower and upper bounds of the first bucket outside of the zero bucket.
    first: Option<(f64, f64)>,
}

impl Reader {
    fn line(&mut self, line: &str) {
        let starts = |start: &str| line.starts_with(start);
        if starts("ResourceMetrics #") {
            self.finish_point();
            *self = Reader { place: Place::Resource, points: std::mem::take(&mut self.points), ..Reader::default() };
        } else if starts("\u{1b}[") || starts("ResourceSpans #") || starts("ResourceLog #") {
            self.finish_point();
            self.place = Place::Nowhere;
        } else if self.place == Place::Nowhere {
            // The line belongs to something other than a metric.
        } else if starts("ScopeMetrics #") {
            self.finish_point();
            self.place = Place::Scope;
            self.scope.clear();
            self.scope_attributes.clear();
        } else if starts("Metric #") {
            self.finish_point();
            self.place = Place::Metric;
            self.metric = Point {
                resource: self.resource.clone(),
                scope: self.scope.clone(),
                scope_attributes: self.scope_attributes.clone(),
                ..Point::default()
            };
            self.data_type.clear();
            self.temporality.clear();
            self.is_monotonic = false;
        } else if line.contains("DataPoints #") {
            self.finish_point();
            self.place = Place::Point;
            self.point = Some((Point { kind: self.kind(), ..self.metric.clone() }, Distribution::default()));
        } else {
            self.field(line);
        }
    }

    fn kind(&self) -> String {
        let temporality = self.temporality.trim_start_matches("AGGREGATION_TEMPORALITY_").to_lowercase();
        match (&*self.data_type, self.is_monotonic) {
            ("Gauge", _) => "gauge".to_owned(),
            ("Sum", true) => format!("{temporality} monotonic sum"),
            ("Sum", false) => format!("{temporality} sum"),
            ("Histogram", _) => format!("{temporality} histogram"),
            ("ExponentialHistogram", _) => format!("{temporality} exponential histogram"),
            (other, _) => other.to_owned(),
        }
    }

    fn field(&mut self, line: &str) {
        match (&self.place, &mut self.point) {
            (Place::Resource, _) => self.resource.extend(line.strip_prefix(ITEM).and_then(pair)),
            (Place::Scope, _) => match (line.strip_prefix(ITEM), line.strip_prefix("InstrumentationScope ")) {
                (Some(attribute), _) => self.scope_attributes.extend(pair(attribute)),
                (None, Some(name)) if name != "attributes:" => self.scope = scope(name, ""),
                _ => {}
            },
            (Place::Metric, _) => {
                let Some((name, value)) = line.strip_prefix(ITEM).and_then(|item| item.split_once(": ")) else {
                    return;
                };
                match name {
                    "Name" => value.clone_into(&mut self.metric.name),
                    "Description" => value.clone_into(&mut self.metric.description),
                    "Unit" => value.clone_into(&mut self.metric.unit),
                    "DataType" => value.clone_into(&mut self.data_type),
                    "IsMonotonic" => self.is_monotonic = value == "true",
                    "AggregationTemporality" => value.clone_into(&mut self.temporality),
                    _ => {}
                }
            }
            (Place::Point | Place::Exemplar, Some((point, _))) if line.starts_with("Exemplar #") => {
                point.exemplars.push(Exemplar::default());
                self.place = Place::Exemplar;
            }
            (Place::Point, Some((point, distribution))) => match line.strip_prefix(ITEM) {
                Some(attribute) => point.attributes.extend(pair(attribute)),
                None => field_of_point(line, point, distribution),
            },
            (Place::Exemplar, Some((point, _))) => {
                if let Some(exemplar) = point.exemplars.last_mut() {
                    field_of_exemplar(line, exemplar);
                }
            }
            _ => {}
        }
    }

    fn finish_point(&mut self) {
        let Some((mut point, distribution)) = self.point.take() else { return };
        if point.kind.ends_with("exponential histogram") {
            point.value = distribution.exponential();
        } else if point.kind.ends_with("histogram") {
            let Distribution { bounds, counts, .. } = &distribution;
            point.value = format!("{} bounds={bounds:?} counts={counts:?}", distribution.text());
        }
        self.points.push(point);
    }
}

fn field_of_point(line: &str, point: &mut Point, distribution: &mut Distribution) {
    let Some((name, value)) = line.rsplit_once(": ") else { return };
    let number = value.parse::<f64>().ok();
    match name {
        "StartTimestamp" => point.start = value.parse().unwrap_or_default(),
        "Timestamp" => point.time = value.parse().unwrap_or_default(),
        "Value" => value.clone_into(&mut point.value),
        "Count" => distribution.count = value.parse().unwrap_or_default(),
        "Sum" => distribution.sum = number,
        "Min" => distribution.min = number,
        "Max" => distribution.max = number,
        _ if name.starts_with("ExplicitBounds #") => distribution.bounds.extend(number),
        _ if name.starts_with("Buckets #") => distribution.counts.extend(value.parse::<u64>().ok()),
        "Bucket [0, 0], Count" => distribution.zeros = value.parse().unwrap_or_default(),
        _ => {
            let bounds = name.strip_prefix("Bucket (").and_then(|name| name.strip_suffix("], Count"));
            let Some((lower, upper)) = bounds.and_then(|bounds| bounds.split_once(", ")) else { return };
            if let (None, Ok(lower), Ok(upper)) = (distribution.first, lower.parse(), upper.parse()) {
                distribution.first = Some((lower, upper));
            }
            distribution.counts.extend(value.parse::<u64>().ok());
        }
    }
}

fn field_of_exemplar(line: &str, exemplar: &mut Exemplar) {
    if let Some(attribute) = line.strip_prefix(INNER) {
        exemplar.attributes.extend(pair(attribute));
    } else if let Some((name, value)) = line.strip_prefix(ITEM).and_then(|item| item.split_once(": ")) {
        match name {
            "Trace ID" => value.clone_into(&mut exemplar.trace_id),
            "Span ID" => value.clone_into(&mut exemplar.span_id),
            "Timestamp" => exemplar.time = value.parse().unwrap_or_default(),
            "Value" => value.clone_into(&mut exemplar.value),
            _ => {}
        }
    }
}

impl Distribution {
    fn text(&self) -> String {
        Point::distribution(self.count, self.sum, self.min, self.max)
    }

    /// Formats an exponential histogram. Scale and offset follow from the bounds of the first bucket, because all bounds
    /// are powers of the base, `2^(2^-scale)`.
    fn exponential(&self) -> String {
        let (mut scale, mut offset) = (0, 0);
        if let Some((lower, upper)) = self.first {
            let width = upper.log2() - lower.log2();
            scale = -(width.log2().round() as i32);
            offset = (lower.log2() / width.log2().round().exp2()).round() as i32;
        }
        let positive = Point::buckets(offset, &self.counts);
        format!("{} scale={scale} zeros={} positive={positive} negative=none", self.text(), self.zeros)
    }
}
