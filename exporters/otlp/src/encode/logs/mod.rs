//! Log records.
//!
//! spec: opentelemetry-proto opentelemetry/proto/logs/v1/logs.proto

mod base64;
mod json;
mod protobuf;
mod scopes;

use telemark_sdk::Batch;
use telemark_sdk::signal::Logs;

use super::groups::Groups;
use super::resource::ResourceCache;
use super::signal::{ComponentTypes, Encode};
use scopes::{Scopes, Targets};

/// State that the encoder of log records keeps.
#[derive(Debug, Default)]
pub struct LogCache {
    resource: ResourceCache,
    groups: Groups,
    targets: Targets,
}

impl Encode for Logs {
    type Cache = LogCache;
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

    fn protobuf(batch: Batch<'_, Logs>, cache: &mut LogCache, out: &mut Vec<u8>) {
        let scopes = cache.targets.resolve(batch);
        fill(&mut cache.groups, scopes);
        protobuf::write(scopes, cache.resource.protobuf(batch.resource), &cache.groups, out);
    }

    fn json(batch: Batch<'_, Logs>, cache: &mut LogCache, out: &mut Vec<u8>) {
        let scopes = cache.targets.resolve(batch);
        fill(&mut cache.groups, scopes);
        json::write(scopes, cache.resource.json(batch.resource), &cache.groups, out);
    }
}

fn fill(groups: &mut Groups, scopes: Scopes<'_>) {
    groups.fill((0..scopes.batch.len()).filter_map(|item| scopes.get(item)), |item| scopes.get(item));
}
