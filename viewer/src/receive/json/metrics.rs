//! Metrics and their points.

use serde_json::Value as Json;

use super::common::Item;
use super::fields::{Fields, double, signed, unsigned};
use crate::model::{Exemplar, Metric, MetricKind, Point, PointData, Temporality};
use crate::receive::{MAX_POINTS, Malformed};

const TEMPORALITIES: &[&str] =
    &["AGGREGATION_TEMPORALITY_UNSPECIFIED", "AGGREGATION_TEMPORALITY_DELTA", "AGGREGATION_TEMPORALITY_CUMULATIVE"];

/// The name of the field that contains the points, and how to read the value of a point.
type Kind = (&'static str, fn(Fields<'_>) -> Result<PointData, Malformed>);

const KINDS: [Kind; 5] = [
    ("gauge", number),
    ("sum", number),
    ("histogram", histogram),
    ("exponentialHistogram", exponential),
    ("summary", summary),
];

/// Decodes a metric.
pub(super) fn metric(item: &mut Item<'_, '_>, fields: Fields<'_>) -> Result<(), Malformed> {
    let Some((kind, read)) = KINDS.into_iter().find(|(name, _)| fields.get(name).is_some()) else { return Ok(()) };
    let Some(data) = fields.message(kind)? else { return Ok(()) };
    let metric = Metric {
        name: item.name(fields.text("name")?),
        unit: item.name(fields.text("unit")?),
        description: item.name(fields.text("description")?),
        kind: match kind {
            "gauge" => MetricKind::Gauge,
            "sum" => MetricKind::Sum { monotonic: data.boolean("isMonotonic")? },
            "histogram" => MetricKind::Histogram,
            "exponentialHistogram" => MetricKind::ExponentialHistogram,
            _ => MetricKind::Summary,
        },
        temporality: match data.enumeration("aggregationTemporality", TEMPORALITIES)? {
            1 => Temporality::Delta,
            2 => Temporality::Cumulative,
            _ => Temporality::Unspecified,
        },
        resource: item.resource.clone(),
        scope: item.scope.clone(),
        points: Vec::new(),
    };
    // The names count even without points.
    item.sink.grow(0);
    for points in data.list("dataPoints")?.chunks(MAX_POINTS) {
        item.elements = 0;
        let points = points.iter().map(|point| self::point(item, Fields::new(point)?, read));
        let points = points.collect::<Result<_, _>>()?;
        item.sink.metric(Metric { points, ..metric.clone() }, item.elements);
    }
    Ok(())
}

fn point(
    item: &mut Item<'_, '_>,
    fields: Fields<'_>,
    read: fn(Fields<'_>) -> Result<PointData, Malformed>,
) -> Result<Point, Malformed> {
    let exemplars = fields.list("exemplars")?;
    item.elements += 4 + exemplars.len();
    Ok(Point {
        start: fields.unsigned("startTimeUnixNano")?,
        time: fields.unsigned("timeUnixNano")?,
        attributes: item.attributes(fields, "attributes")?,
        data: read(fields)?,
        exemplars: exemplars.iter().map(|one| exemplar(item, Fields::new(one)?)).collect::<Result<_, _>>()?,
    })
}

fn exemplar(item: &mut Item<'_, '_>, fields: Fields<'_>) -> Result<Exemplar, Malformed> {
    let value = match number(fields)? {
        PointData::Double(value) => value,
        PointData::Int(value) => value as f64,
        _ => 0.0,
    };
    Ok(Exemplar {
        time: fields.unsigned("timeUnixNano")?,
        value,
        trace_id: fields.trace_id("traceId")?,
        span_id: fields.span_id("spanId")?,
        attributes: item.attributes(fields, "filteredAttributes")?,
    })
}

fn number(point: Fields<'_>) -> Result<PointData, Malformed> {
    Ok(match (point.get("asInt"), point.double("asDouble")?) {
        (_, Some(value)) => PointData::Double(value),
        (Some(value), None) => PointData::Int(signed(value)?),
        (None, None) => PointData::Int(0),
    })
}

fn histogram(point: Fields<'_>) -> Result<PointData, Malformed> {
    Ok(PointData::Histogram {
        count: point.unsigned("count")?,
        sum: point.double("sum")?.unwrap_or_default(),
        min: point.double("min")?,
        max: point.double("max")?,
        bounds: point.list("explicitBounds")?.iter().map(double).collect::<Result<_, _>>()?,
        counts: counts(point)?,
    })
}

fn exponential(point: Fields<'_>) -> Result<PointData, Malformed> {
    Ok(PointData::Exponential {
        count: point.unsigned("count")?,
        sum: point.double("sum")?.unwrap_or_default(),
        min: point.double("min")?,
        max: point.double("max")?,
        scale: point.sint32("scale")?,
        zero: point.unsigned("zeroCount")?,
        zero_threshold: point.double("zeroThreshold")?.unwrap_or_default(),
        positive: buckets(point, "positive")?,
        negative: buckets(point, "negative")?,
    })
}

fn buckets(point: Fields<'_>, name: &str) -> Result<(i32, Box<[u64]>), Malformed> {
    match point.message(name)? {
        Some(buckets) => Ok((buckets.sint32("offset")?, counts(buckets)?)),
        None => Ok((0, Box::default())),
    }
}

fn counts(of: Fields<'_>) -> Result<Box<[u64]>, Malformed> {
    of.list("bucketCounts")?.iter().map(unsigned).collect()
}

fn summary(point: Fields<'_>) -> Result<PointData, Malformed> {
    let quantile = |value: &Json| {
        let fields = Fields::new(value)?;
        let read = |name| Ok::<_, Malformed>(fields.double(name)?.unwrap_or_default());
        Ok((read("quantile")?, read("value")?))
    };
    Ok(PointData::Summary {
        count: point.unsigned("count")?,
        sum: point.double("sum")?.unwrap_or_default(),
        quantiles: point.list("quantileValues")?.iter().map(quantile).collect::<Result<_, _>>()?,
    })
}
