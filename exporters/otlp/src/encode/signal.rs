//! The interface between a signal and OTLP: the trait that a signal implements so that it can be sent.

use std::fmt;

use telemark_sdk::Batch;
use telemark_sdk::signal::Signal;

use super::part::{Part, Written};
use crate::preferences::Preferences;
use crate::settings::Protocol;

/// A signal that can be sent with OTLP. Implemented by [`Traces`](telemark_sdk::signal::Traces),
/// [`Metrics`](telemark_sdk::signal::Metrics) and [`Logs`](telemark_sdk::signal::Logs).
///
/// The exporter calls these functions on its own thread: [`Self::begin`] once per batch, then an encoding function once per
/// request. Nothing is allocated once the buffer and the cache have grown to the size needed for a batch.
pub trait Encode: Signal + Sized {
    /// State kept from one batch to the next.
    type Cache: Default + fmt::Debug + Send + 'static;
    /// A place in the order in which the items of a batch are encoded. The default is the place of the first item.
    type Position: Copy + Default + fmt::Debug + Send + 'static;
    /// Settings that exist only for this signal.
    type Preferences: Preferences;

    /// The signal's path, relative to a base endpoint.
    const PATH: &'static str;
    /// The path of the gRPC method.
    const METHOD: &'static str;
    /// The part of environment variable names that identifies the signal.
    const VARIABLE: &'static str;
    /// The JSON field name for the number of rejected items in a partial success.
    const REJECTED: &'static str;
    /// The values of `otel.component.type`.
    const COMPONENT_TYPES: ComponentTypes;

    /// Returns the number of items, which [`Signal::ITEMS`] names. Each element of the batch is one item unless the signal
    /// overrides this function.
    fn count(batch: Batch<'_, Self>) -> usize {
        batch.len()
    }

    /// Prepares a batch. Called before its first part is encoded.
    fn begin(batch: Batch<'_, Self>, cache: &mut Self::Cache);

    /// Appends an export request with one part of the batch as protobuf.
    fn protobuf_part(
        batch: Batch<'_, Self>,
        cache: &mut Self::Cache,
        part: Part<Self::Position>,
        out: &mut Vec<u8>,
    ) -> Written<Self::Position>;

    /// Appends an export request with one part of the batch as a single line of JSON.
    ///
    /// spec: opentelemetry-proto docs/specification.md#json-protobuf-encoding
    fn json_part(
        batch: Batch<'_, Self>,
        cache: &mut Self::Cache,
        part: Part<Self::Position>,
        out: &mut Vec<u8>,
    ) -> Written<Self::Position>;

    /// Appends an export request with the whole batch as protobuf.
    fn protobuf(batch: Batch<'_, Self>, cache: &mut Self::Cache, out: &mut Vec<u8>) {
        Self::begin(batch, cache);
        Self::protobuf_part(batch, cache, Part::whole(), out);
    }

    /// Appends an export request with the whole batch as a single line of JSON, as in a JSON lines file.
    fn json(batch: Batch<'_, Self>, cache: &mut Self::Cache, out: &mut Vec<u8>) {
        Self::begin(batch, cache);
        Self::json_part(batch, cache, Part::whole(), out);
    }
}

/// The names of a signal's exporter as an SDK component, one per protocol.
///
/// spec: semantic conventions, `otel.component.type`
#[derive(Clone, Copy, Debug)]
pub struct ComponentTypes {
    pub(crate) grpc: &'static str,
    pub(crate) http_protobuf: &'static str,
    pub(crate) http_json: &'static str,
}

impl ComponentTypes {
    pub(crate) fn for_protocol(self, protocol: Protocol) -> &'static str {
        match protocol {
            Protocol::Grpc => self.grpc,
            Protocol::HttpProtobuf => self.http_protobuf,
            Protocol::HttpJson => self.http_json,
        }
    }
}
