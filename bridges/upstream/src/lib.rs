#![cfg_attr(docsrs, feature(doc_cfg))]
//! Runs components written for `opentelemetry_sdk` 0.33 on Telemark: exporters, samplers, id generators and
//! resources.
//!
//! | `opentelemetry_sdk` | in Telemark |
//! |---|---|
//! | any `SpanExporter` | an [`Exporter`](telemark_sdk::Exporter), using [`UpstreamExporter`] |
//! | any `LogExporter` | an [`Exporter`](telemark_sdk::Exporter) of log records, using [`UpstreamLogExporter`] |
//! | any `ShouldSample` | a [`Sampler`](telemark_sdk::sampling::Sampler), using [`UpstreamSampler`] |
//! | any `IdGenerator` | an [`IdGenerator`](telemark_sdk::id::IdGenerator), using [`UpstreamIdGenerator`] |
//! | a `Resource` | a [`Resource`](telemark_sdk::Resource), using [`resource_from_upstream`], and back |
//!
//! ```
//! use opentelemetry_sdk::trace::{RandomIdGenerator, Sampler};
//! use telemark_upstream::{UpstreamIdGenerator, UpstreamSampler};
//!
//! let sampler = UpstreamSampler::new(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(0.1))));
//! let ids = UpstreamIdGenerator::new(RandomIdGenerator::default()).with_random_flag();
//! ```
//!
//! # How an async exporter runs
//!
//! Exporters for `opentelemetry_sdk` are async, but Telemark's exporters are not. The adapter drives each
//! export's future on the SDK's own thread until it completes or the deadline passes, at which point it is
//! dropped. Code *between* two awaits cannot be interrupted, so an exporter that blocks, such as one with a
//! blocking HTTP client, needs its own timeout.
//!
//! An exporter that needs tokio ("there is no reactor running") can get its own small runtime on the SDK's
//! thread with [`UpstreamExporter::with_tokio`] (feature `tokio`). The adapter neither needs nor waits for the
//! program's own runtime. Some exporters, such as those based on tonic, need tokio even to be created. Use
//! [`UpstreamExporter::from_fn`] to create them inside the runtime.
//!
//! # Features
//! - `tokio` (off by default): adds `UpstreamExporter::with_tokio` and `UpstreamLogExporter::with_tokio`.

mod executor;
mod exporter;
mod hosted;
mod ids;
mod log_exporter;
mod log_record;
mod resource;
mod sampler;
mod span;

pub use exporter::UpstreamExporter;
pub use ids::UpstreamIdGenerator;
pub use log_exporter::UpstreamLogExporter;
pub use resource::{resource_from_upstream, resource_to_upstream};
pub use sampler::UpstreamSampler;
pub use span::span_to_upstream;
