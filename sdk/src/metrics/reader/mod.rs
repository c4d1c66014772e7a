//! Readers: when metrics are collected and where they go.
//!
//! A reader owns one `Pipeline`, the streams and callbacks of every instrument as this reader is configured. `PeriodicReader`
//! collects on a thread of its own and exports; `PullReader` collects on the caller's.

mod config;
mod contract;
mod periodic;
pub(crate) mod pipeline;
mod producer;
mod pull;
mod registry;
mod resolve;
mod split;

pub use config::{DEFAULT_CARDINALITY_LIMIT, ReaderConfig};
pub use contract::MetricReader;
pub use periodic::{PeriodicConfig, PeriodicReader};
pub use producer::MetricProducer;
pub use pull::PullReader;
pub use registry::INSTRUMENT_LIMIT;

pub(crate) use contract::{Begin, Source};
pub(crate) use pipeline::{Callback, Callbacks, Pipeline};
