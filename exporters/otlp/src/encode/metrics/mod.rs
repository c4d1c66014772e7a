//! Metrics.

pub(super) mod json;
pub(super) mod protobuf;
