//! Metrics.
//!
//! spec: opentelemetry-proto opentelemetry/proto/metrics/v1/metrics.proto

mod json;
mod protobuf;
mod values;

use telemark_sdk::Batch;
use telemark_sdk::metrics::{Metric, ScopeMetrics};
use telemark_sdk::signal::Metrics;

use super::part::{Part, Written};
use super::resource::ResourceCache;
use super::signal::{ComponentTypes, Encode};
use crate::preferences::MetricPreferences;

/// The state that the metric encoder keeps.
#[derive(Debug, Default)]
pub struct MetricsCache {
    resource: ResourceCache,
}

/// The place of a point: the numbers of its scope, its metric, and the point itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Point {
    scope: usize,
    metric: usize,
    point: usize,
}

/// Returns the scopes that have points, starting at a place, each with the place of its first metric.
///
/// spec: opentelemetry-proto docs/specification.md — empty envelopes should not be sent
fn scopes(batch: Batch<'_, Metrics>, from: Point) -> impl Iterator<Item = (&ScopeMetrics, Point)> {
    let scopes = batch.as_slice().iter().enumerate().skip(from.scope);
    scopes.filter(|(_, scope)| scope.metrics.iter().any(|metric| !metric.data.is_empty())).map(move |(index, scope)| {
        (scope, if index == from.scope { from } else { Point { scope: index, ..Point::default() } })
    })
}

/// Returns the metrics in a scope that have points, starting at a place, each with its number and the number of its
/// first point.
fn metrics(scope: &ScopeMetrics, from: Point) -> impl Iterator<Item = (&Metric, usize, usize)> {
    let metrics = scope.metrics.iter().enumerate().skip(from.metric).filter(|(_, metric)| !metric.data.is_empty());
    metrics.map(move |(index, metric)| (metric, index, if index == from.metric { from.point } else { 0 }))
}

impl Encode for Metrics {
    type Cache = MetricsCache;
    type Position = Point;
    type Preferences = MetricPreferences;

    const PATH: &'static str = "v1/metrics";
    const METHOD: &'static str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
    const VARIABLE: &'static str = "METRICS";
    const REJECTED: &'static str = "rejectedDataPoints";
    const COMPONENT_TYPES: ComponentTypes = ComponentTypes {
        grpc: "otlp_grpc_metric_exporter",
        http_protobuf: "otlp_http_metric_exporter",
        http_json: "otlp_http_json_metric_exporter",
    };

    fn count(batch: Batch<'_, Metrics>) -> usize {
        batch.as_slice().iter().flat_map(|scope| &scope.metrics).map(|metric| metric.data.len()).sum()
    }

    fn begin(_: Batch<'_, Metrics>, _: &mut MetricsCache) {}

    fn protobuf_part(
        batch: Batch<'_, Metrics>,
        cache: &mut MetricsCache,
        part: Part<Point>,
        out: &mut Vec<u8>,
    ) -> Written<Point> {
        protobuf::write(batch, cache.resource.protobuf(batch.resource), part, out)
    }

    fn json_part(
        batch: Batch<'_, Metrics>,
        cache: &mut MetricsCache,
        part: Part<Point>,
        out: &mut Vec<u8>,
    ) -> Written<Point> {
        json::write(batch, cache.resource.json(batch.resource), part, out)
    }
}
