//! The seam between a signal and OTLP: the trait that a signal implements to be sent.

use std::fmt;

use telemark_sdk::Batch;
use telemark_sdk::signal::Signal;

use crate::preferences::Preferences;
use crate::settings::Protocol;

/// A signal that can be sent with OTLP. Implemented by [`Traces`](telemark_sdk::signal::Traces) and
/// [`Metrics`](telemark_sdk::signal::Metrics).
///
/// The exporter calls it on its own thread, once per batch. Nothing is allocated once the buffer and the cache have grown to
/// the size of the batches.
pub trait Encode: Signal + Sized {
    /// State kept from one batch to the next.
    type Cache: Default + fmt::Debug + Send + 'static;
    /// Settings that only this signal has.
    type Preferences: Preferences;

    /// The path of the signal below a base endpoint.
    const PATH: &'static str;
    /// The path of the gRPC method.
    const METHOD: &'static str;
    /// The signal's part in the names of environment variables.
    const VARIABLE: &'static str;
    /// The JSON name of the number of rejected items in a partial success.
    const REJECTED: &'static str;
    /// The values of `otel.component.type`.
    const COMPONENT_TYPES: ComponentTypes;

    /// Counts the items as [`Signal::ITEMS`] names them. Each element of the batch is one item unless the signal overrides
    /// this.
    fn count(batch: Batch<'_, Self>) -> usize {
        batch.len()
    }

    /// Appends the export request as protobuf.
    fn protobuf(batch: Batch<'_, Self>, cache: &mut Self::Cache, out: &mut Vec<u8>);

    /// Appends the export request as JSON on one line, the format of a line in a file.
    ///
    /// spec: opentelemetry-proto docs/specification.md#json-protobuf-encoding
    fn json(batch: Batch<'_, Self>, cache: &mut Self::Cache, out: &mut Vec<u8>);
}

/// The names of a signal's exporter as a component of the SDK, by protocol.
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
