//! The seam between a signal and OTLP: what a signal must tell to be sent.

use std::fmt;

use telemark_sdk::Batch;
use telemark_sdk::signal::Signal;

/// A signal that can be sent with OTLP.
///
/// Called on the thread of the exporter, once per batch. Nothing is allocated when the buffer and the cache have grown to
/// the size of the batches.
pub trait Encode: Signal + Sized {
    /// What is kept from one batch to the next.
    type Cache: Default + fmt::Debug + Send + 'static;

    /// The path of the signal below the endpoint of all signals.
    const PATH: &'static str;
    /// The path of the gRPC method.
    const METHOD: &'static str;
    /// The signal's part in the names of environment variables.
    const VARIABLE: &'static str;
    /// The name, in JSON, of the number of items that the receiver refused.
    const REJECTED: &'static str;

    /// How many of what [`Signal::ITEMS`] names there are in these items; each item is one unless the signal says more.
    fn count(items: &[Self::Item]) -> usize {
        items.len()
    }

    /// Appends the export request as protobuf.
    fn protobuf(batch: Batch<'_, Self>, cache: &mut Self::Cache, out: &mut Vec<u8>);

    /// Appends the export request as JSON on one line, which is also what a line of a file is.
    ///
    /// spec: opentelemetry-proto docs/specification.md#json-protobuf-encoding
    fn json(batch: Batch<'_, Self>, cache: &mut Self::Cache, out: &mut Vec<u8>);
}
