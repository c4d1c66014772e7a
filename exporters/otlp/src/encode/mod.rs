//! From items to bytes: one [`Encode`] implementation per signal, over shared writers of protobuf and JSON.
//!
//! - `signal`: the trait.
//! - `protobuf`, `json`: numbers, strings, attribute values.
//! - `resource`: the encoded resource, kept as long as it is the same.
//! - `groups`: which items share a scope.
//! - `trace`, `trace_json`: spans.
//! - `metrics`, `metrics_json`: metrics.

mod groups;
mod json;
mod metrics;
mod resource;
mod signal;
mod trace;
mod wire;

pub use signal::Encode;
