//! Readers, which determine when metrics are collected and where they are sent.
//!
//! A reader owns a `Pipeline`, which holds all callbacks, and the streams of all instruments as configured for this
//! reader. `PeriodicReader` collects on its own thread and exports; `PullReader` collects on the caller's thread.

mod config;
mod contract;
mod periodic;
pub(crate) mod pipeline;
mod producer;
mod pull;
mod registry;
mod resolve;
mod source;
mod split;

pub use config::{DEFAULT_CARDINALITY_LIMIT, ReaderConfig};
pub use contract::MetricReader;
pub use periodic::{PeriodicConfig, PeriodicReader};
pub use producer::MetricProducer;
pub use pull::PullReader;
pub use registry::INSTRUMENT_LIMIT;

pub(crate) use config::SELF_METRICS_SCOPE;
pub(crate) use contract::{Begin, Source};
pub(crate) use pipeline::{Callback, Callbacks, Pipeline};
pub(crate) use source::{MetricSeries, SeriesSource};
