//! Log records.
//!
//! spec: opentelemetry-proto opentelemetry/proto/logs/v1/logs.proto

mod json;
mod protobuf;
mod scopes;

use telemark_sdk::Batch;
use telemark_sdk::signal::Logs;

use super::groups::{Groups, Place};
use super::part::{Part, Written};
use super::resource::ResourceCache;
use super::signal::{ComponentTypes, Encode};
use scopes::Targets;

/// The state that the log record encoder keeps.
#[derive(Debug, Default)]
pub struct LogCache {
    resource: ResourceCache,
    groups: Groups,
    targets: Targets,
}

impl Encode for Logs {
    type Cache = LogCache;
    type Position = Place;
    type Preferences = ();

    const PATH: &'static str = "v1/logs";
    const METHOD: &'static str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
    const VARIABLE: &'static str = "LOGS";
    const REJECTED: &'static str = "rejectedLogRecords";
    const COMPONENT_TYPES: ComponentTypes = ComponentTypes {
        grpc: "otlp_grpc_log_exporter",
        http_protobuf: "otlp_http_log_exporter",
        http_json: "otlp_http_json_log_exporter",
    };

    fn begin(batch: Batch<'_, Logs>, cache: &mut LogCache) {
        cache.targets.resolve(batch);
        let scopes = cache.targets.scopes(batch);
        cache.groups.fill((0..batch.len()).filter_map(|item| scopes.get(item)), |item| scopes.get(item));
    }

    fn protobuf_part(
        batch: Batch<'_, Logs>,
        cache: &mut LogCache,
        part: Part<Place>,
        out: &mut Vec<u8>,
    ) -> Written<Place> {
        let resource = cache.resource.protobuf(batch.resource);
        protobuf::write(cache.targets.scopes(batch), resource, &cache.groups, part, out)
    }

    fn json_part(batch: Batch<'_, Logs>, cache: &mut LogCache, part: Part<Place>, out: &mut Vec<u8>) -> Written<Place> {
        let resource = cache.resource.json(batch.resource);
        json::write(cache.targets.scopes(batch), resource, &cache.groups, part, out)
    }
}
