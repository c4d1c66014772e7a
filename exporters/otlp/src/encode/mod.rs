//! Encodes items as bytes: one [`Encode`] implementation per signal, based on shared protobuf and JSON writers.
//!
//! | module | owns |
//! |---|---|
//! | `signal` | the trait |
//! | `part` | the part of a batch that one request contains |
//! | `base64` | base64, for bytes in JSON and for credentials |
//! | `wire`, `json` | numbers, strings and attribute values in protobuf and in JSON |
//! | `resource` | the encoded resource, reused until it changes |
//! | `groups` | the items of each scope |
//! | `trace`, `metrics`, `logs` | one folder per signal, with `values` for the numbers used by both encodings, `protobuf` and `json` |

pub(crate) mod base64;
mod groups;
mod json;
mod logs;
mod metrics;
mod part;
mod resource;
mod signal;
mod trace;
mod wire;

pub(crate) use part::Part;
pub use signal::Encode;
