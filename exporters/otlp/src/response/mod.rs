//! What the receiver says: partial success, the reason of a refusal, and the pause it asks for.
//!
//! An answer is data from outside: nothing here panics, recurses deeply, or allocates more than the answer is long or may
//! be when it is decoded.

mod encoding;
mod json;
mod protobuf;
mod reason;

#[cfg(feature = "grpc")]
mod base64;

#[cfg(feature = "grpc")]
pub(crate) use base64::decode as decode_base64;
pub(crate) use encoding::{ACCEPTED as ACCEPTED_ENCODING, Undecoded, decode};
#[cfg(feature = "grpc")]
pub(crate) use reason::shown;
pub(crate) use reason::{MediaType, PartialSuccess, Status, reason};
