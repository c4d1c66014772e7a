//! Reads OTLP requests in the encoding of Protocol Buffers, without copying what does not reach the store.
//!
//! | file | owns |
//! |---|---|
//! | `wire` | fields and their types |
//! | `common` | values, attributes, resources, scopes, and the order of a request's parts |
//! | `trace`, `logs`, `metrics` | the items of each signal |
//!
//! Unknown fields are skipped, as newer clients may send them.

mod common;
mod logs;
mod metrics;
mod trace;
mod wire;

use super::{Malformed, Signal, Sink};
use common::Decoder;

/// Decodes a request into the store. Returns the number of items that were refused.
///
/// # Errors
/// Fails if the request does not follow the encoding. A large request may then have been added in part.
pub(crate) fn decode(signal: Signal, request: &[u8], sink: Sink<'_>) -> Result<u64, Malformed> {
    let mut decoder = Decoder::new(sink);
    match signal {
        Signal::Traces => decoder.request(request, Decoder::span)?,
        Signal::Logs => decoder.request(request, Decoder::record)?,
        Signal::Metrics => decoder.request(request, Decoder::metric)?,
    }
    Ok(decoder.sink.end())
}
