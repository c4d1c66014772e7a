//! Spans.
//!
//! spec: opentelemetry-proto opentelemetry/proto/trace/v1/trace.proto

mod json;
mod protobuf;
mod values;

use telemark_sdk::Batch;
use telemark_sdk::signal::Traces;

use super::groups::{Groups, Place};
use super::part::{Part, Written};
use super::resource::ResourceCache;
use super::signal::{ComponentTypes, Encode};
use protobuf::CallSites;

/// The state that the span encoder keeps.
#[derive(Debug, Default)]
pub struct TraceCache {
    resource: ResourceCache,
    groups: Groups,
    call_sites: CallSites,
}

impl Encode for Traces {
    type Cache = TraceCache;
    type Position = Place;
    type Preferences = ();

    const PATH: &'static str = "v1/traces";
    const METHOD: &'static str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    const VARIABLE: &'static str = "TRACES";
    const REJECTED: &'static str = "rejectedSpans";
    const COMPONENT_TYPES: ComponentTypes = ComponentTypes {
        grpc: "otlp_grpc_span_exporter",
        http_protobuf: "otlp_http_span_exporter",
        http_json: "otlp_http_json_span_exporter",
    };

    fn begin(batch: Batch<'_, Traces>, cache: &mut TraceCache) {
        let scope = |item| batch.get(item).map(|span| span.scope());
        cache.groups.fill(batch.iter().map(|span| span.scope()), scope);
    }

    fn protobuf_part(
        batch: Batch<'_, Traces>,
        cache: &mut TraceCache,
        part: Part<Place>,
        out: &mut Vec<u8>,
    ) -> Written<Place> {
        let resource = cache.resource.protobuf(batch.resource);
        protobuf::write(batch, resource, &cache.groups, &mut cache.call_sites, part, out)
    }

    fn json_part(
        batch: Batch<'_, Traces>,
        cache: &mut TraceCache,
        part: Part<Place>,
        out: &mut Vec<u8>,
    ) -> Written<Place> {
        json::write(batch, cache.resource.json(batch.resource), &cache.groups, part, out)
    }
}
