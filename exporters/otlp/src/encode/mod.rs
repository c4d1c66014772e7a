//! From items to bytes: one [`Encode`] implementation per signal, over shared writers of protobuf and JSON.
//!
//! | module | owns |
//! |---|---|
//! | `signal` | the trait |
//! | `part` | how much of a batch one request holds |
//! | `wire`, `json` | numbers, strings, attribute values in protobuf and in JSON |
//! | `resource` | the encoded resource, kept while it stays the same |
//! | `groups` | the items of each scope |
//! | `trace`, `metrics` | a folder for each signal: `values` for the numbers of both encodings, `protobuf`, `json` |

mod groups;
mod json;
mod metrics;
mod part;
mod resource;
mod signal;
mod trace;
mod wire;

pub(crate) use part::Part;
pub use signal::Encode;
