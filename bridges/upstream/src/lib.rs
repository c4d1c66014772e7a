//! Components written for `opentelemetry_sdk` 0.33 on Telemark: exporters, samplers, id generators and resources.
//!
//! | `opentelemetry_sdk` | becomes |
//! |---|---|
//! | any `SpanExporter` | an [`Exporter`](telemark_sdk::Exporter) through [`UpstreamExporter`] |
//! | any `ShouldSample` | a [`Sampler`](telemark_sdk::sampling::Sampler) through [`UpstreamSampler`] |
//! | any `IdGenerator` | an [`IdGenerator`](telemark_sdk::id::IdGenerator) through [`UpstreamIdGenerator`] |
//! | a `Resource` | a [`Resource`](telemark_sdk::Resource) through [`resource_from_upstream`], and back |
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
//! Exporters of `opentelemetry_sdk` are async; those of Telemark are not. The adapter drives the future of an export on the
//! SDK's own thread until it is done or the deadline has passed, and drops it then. Code *between* two awaits cannot be
//! interrupted: an exporter that blocks, such as one on a blocking HTTP client, needs a time limit of its own.
//!
//! An exporter that needs tokio ("there is no reactor running") gets a small runtime of its own on the SDK's thread with
//! [`UpstreamExporter::with_tokio`], feature `tokio`. The adapter neither needs nor waits for the program's own runtime. An
//! exporter that needs tokio already when it is *built*, as those on tonic do, is built there with
//! [`UpstreamExporter::from_fn`].
//!
//! # Features
//! - `tokio` (off): `UpstreamExporter::with_tokio`.

mod executor;
mod exporter;
mod ids;
mod resource;
mod sampler;
mod span;

pub use exporter::UpstreamExporter;
pub use ids::UpstreamIdGenerator;
pub use resource::{resource_from_upstream, resource_to_upstream};
pub use sampler::UpstreamSampler;
pub use span::span_to_upstream;
