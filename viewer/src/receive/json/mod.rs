//! Reads OTLP requests in the encoding of JSON.
//!
//! | file | owns |
//! |---|---|
//! | `fields` | the types of fields |
//! | `common` | values, attributes, resources, scopes, and the order of a request's parts |
//! | `items` | spans and log records |
//! | `metrics` | metrics |
//!
//! Unknown fields are skipped. The lists of a request are read element by element, and each item, resource and scope is parsed on its
//! own. Its text may have up to [`MAX_ITEM`] or [`MAX_ORIGIN`] bytes, which bounds the memory that a request takes while it is parsed.

mod common;
mod fields;
mod items;
mod metrics;

use super::{Malformed, Signal, Sink};

/// The maximum size of an item in bytes.
const MAX_ITEM: usize = 16 << 20;
/// The maximum size of a resource or a scope in bytes. The items of a larger one are refused.
const MAX_ORIGIN: usize = 1 << 20;

/// Decodes a request into the store. Returns the number of items that were refused.
///
/// # Errors
/// Fails if the request is not JSON, or does not follow the encoding. A large request may then have been added in part.
pub(crate) fn decode(signal: Signal, request: &[u8], mut sink: Sink<'_>) -> Result<u64, Malformed> {
    // Only strings may contain invalid UTF-8, and parse with replacement characters.
    let request = String::from_utf8_lossy(request);
    common::request(signal, &request, &mut sink)?;
    sink.finish();
    Ok(sink.rejected)
}

/// Returns the signal of a request, such as a line of a file.
pub(crate) fn signal_of(request: &str) -> Option<Signal> {
    common::signal_of(request)
}
