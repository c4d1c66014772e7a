//! Reads responses: partial success, the reason for a rejection, and the pause that a receiver requests.
//!
//! | module | owns |
//! |---|---|
//! | `values` | the facts read from a response |
//! | `protobuf`, `json`, `base64` | readers of the three formats |
//! | `encoding` | decompression up to a limit |
//! | `grpc` | the status and message of a gRPC call |
//! | `reason` | media types, and the text of a rejection |
//! | `secrets` | the values that must not appear in messages |
//!
//! A response is foreign data. Nothing here panics, recurses deeply, or allocates more than a small multiple of the response
//! size or of the decompression limit.

mod encoding;
mod json;
mod protobuf;
mod reason;
mod secrets;
mod values;

#[cfg(feature = "grpc")]
mod base64;
#[cfg(all(feature = "fuzzing", feature = "grpc"))]
pub mod fuzzing;
#[cfg(feature = "grpc")]
mod grpc;

pub(crate) use encoding::{ACCEPTED as ACCEPTED_ENCODING, Undecoded, decode};
#[cfg(feature = "grpc")]
pub(crate) use grpc::{CallStatus, PREFIX as GRPC_PREFIX, call_status, message as grpc_message};
pub(crate) use json::partial_success as partial_success_of_json;
pub(crate) use protobuf::partial_success as partial_success_of_protobuf;
pub(crate) use reason::{MediaType, reason};
pub(crate) use secrets::Secrets;
pub(crate) use values::unreadable;
