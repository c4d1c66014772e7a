//! Metrics.
//!
//! spec: opentelemetry-proto opentelemetry/proto/metrics/v1/metrics.proto

mod json;
mod protobuf;
mod values;

use telemark_sdk::Batch;
use telemark_sdk::signal::Metrics;

use super::resource::ResourceCache;
use super::signal::{ComponentTypes, Encode};
use crate::preferences::MetricPreferences;

/// State that the encoder of metrics keeps.
#[derive(Debug, Default)]
pub struct MetricsCache {
    resource: ResourceCache,
}

impl Encode for Metrics {
    type Cache = MetricsCache;
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
        batch.iter().flat_map(|scope| &scope.metrics).map(|metric| metric.data.len()).sum()
    }

    fn protobuf(batch: Batch<'_, Metrics>, cache: &mut MetricsCache, out: &mut Vec<u8>) {
        protobuf::write(batch, cache.resource.protobuf(batch.resource), out);
    }

    fn json(batch: Batch<'_, Metrics>, cache: &mut MetricsCache, out: &mut Vec<u8>) {
        json::write(batch, cache.resource.json(batch.resource), out);
    }
}
