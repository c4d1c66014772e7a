//! The metrics in the output of @elastic/mockotlpserver, which writes each request as a line of JSON in the shape
//! produced by its gRPC or HTTP decoder.

use serde_json::Value;

use super::metric::{Exemplar, Point};
use super::mockotlpserver::{attributes, integer, list, nanos, pairs, text};
use super::span::scope;

/// Returns the points from all complete lines. Lines that are not JSON are log messages from the server and are
/// skipped.
pub(crate) fn parse_points(output: &str) -> Vec<Point> {
    // The last line may be incomplete.
    let complete = output.rsplit_once('\n').map_or("", |(complete, _)| complete);
    let requests = complete.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    requests.flat_map(|request| points(&request)).collect()
}

fn points(request: &Value) -> Vec<Point> {
    let mut points = Vec::new();
    for of_resource in list(request, "resourceMetrics") {
        for of_scope in list(of_resource, "scopeMetrics") {
            for metric in list(of_scope, "metrics") {
                points.extend(points_of(metric).into_iter().map(|point| Point {
                    resource: attributes(&of_resource["resource"]),
                    scope: scope(text(of_scope, "/scope/name"), text(of_scope, "/scope/version")),
                    scope_attributes: attributes(&of_scope["scope"]),
                    name: text(metric, "/name").to_owned(),
                    description: text(metric, "/description").to_owned(),
                    unit: text(metric, "/unit").to_owned(),
                    ..point
                }));
            }
        }
    }
    points
}

fn points_of(metric: &Value) -> Vec<Point> {
    let mut points = Vec::new();
    for (key, kind, value) in [
        ("gauge", "gauge", number as fn(&Value) -> String),
        ("sum", "sum", number),
        ("histogram", "histogram", histogram),
        ("exponentialHistogram", "exponential histogram", exponential),
    ] {
        let data = &metric[key];
        let temporality = match &data["aggregationTemporality"] {
            Value::String(name) => name.trim_start_matches("AGGREGATION_TEMPORALITY_").to_lowercase() + " ",
            Value::Number(number) if number.as_u64() == Some(1) => "delta ".to_owned(),
            Value::Number(number) if number.as_u64() == Some(2) => "cumulative ".to_owned(),
            _ => String::new(),
        };
        let monotonic = if data["isMonotonic"] == true { "monotonic " } else { "" };
        points.extend(list(data, "dataPoints").map(|json| Point {
            kind: format!("{temporality}{monotonic}{kind}"),
            attributes: attributes(json),
            start: nanos(&json["startTimeUnixNano"]),
            time: nanos(&json["timeUnixNano"]),
            value: value(json),
            exemplars: list(json, "exemplars").map(exemplar).collect(),
            ..Point::default()
        }));
    }
    points
}

fn number(json: &Value) -> String {
    match (&json["asInt"], json["asDouble"].as_f64()) {
        (Value::Null, Some(value)) => format!("{value:?}"),
        (value, _) => integer(value),
    }
}

fn exemplar(json: &Value) -> Exemplar {
    Exemplar {
        value: number(json),
        time: nanos(&json["timeUnixNano"]),
        trace_id: id(&json["traceId"]),
        span_id: id(&json["spanId"]),
        attributes: pairs(list(json, "filteredAttributes")).collect(),
    }
}

/// Reads an id given as hex, as bytes, or as a buffer of bytes.
fn id(json: &Value) -> String {
    if let Some(hex) = json.as_str() {
        return hex.to_lowercase();
    }
    let bytes = json.as_array().or_else(|| json["data"].as_array()).into_iter().flatten();
    bytes.filter_map(Value::as_u64).map(|byte| format!("{byte:02x}")).collect()
}

fn distribution(json: &Value) -> String {
    let number = |key: &str| json[key].as_f64();
    Point::distribution(nanos(&json["count"]), number("sum"), number("min"), number("max"))
}

fn histogram(json: &Value) -> String {
    let bounds: Vec<_> = list(json, "explicitBounds").filter_map(Value::as_f64).collect();
    format!("{} bounds={bounds:?} counts={:?}", distribution(json), counts(json))
}

fn counts(json: &Value) -> Vec<u64> {
    list(json, "bucketCounts").map(nanos).collect()
}

fn exponential(json: &Value) -> String {
    let [positive, negative] = ["positive", "negative"].map(|sign| {
        let side = &json[sign];
        let offset = side["offset"].as_i64().and_then(|offset| i32::try_from(offset).ok());
        Point::buckets(offset.unwrap_or_default(), &counts(side))
    });
    let (scale, zeros) = (json["scale"].as_i64().unwrap_or_default(), nanos(&json["zeroCount"]));
    format!("{} scale={scale} zeros={zeros} positive={positive} negative={negative}", distribution(json))
}
