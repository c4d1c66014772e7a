//! OTLP export for Telemark: sends spans and metrics to a collector or a backend over `http/protobuf`, `http/json` or `grpc`,
//! or writes them to a file as lines of JSON.
//!
//! ```no_run
//! use telemark_otlp::{Compression, OtlpExporter};
//! use telemark_sdk::config::Env;
//! use telemark_sdk::signal::Traces;
//!
//! # fn main() -> Result<(), telemark_sdk::ConfigError> {
//! // Configured by the OTEL_EXPORTER_OTLP_* variables:
//! let exporter = OtlpExporter::<Traces>::from_env(&Env::process())?;
//!
//! // Or in code, which takes precedence over the variables:
//! let exporter = OtlpExporter::<Traces>::builder()
//!     .with_base_endpoint("http://collector:4318")
//!     .with_header("authorization", "Bearer …")
//!     .with_compression(Compression::Gzip)
//!     .with_env(&Env::process())
//!     .build()?;
//! # let _ = exporter;
//! # Ok(())
//! # }
//! ```
//!
//! An exporter has three parts:
//!
//! ```text
//! items ─ encode ─▶ requests ─ delivery ─▶ transport ─▶ receiver
//!           │                     │
//!        Encode             retry, fit    pure state machines: no sleep
//!   (one per signal)
//! ```
//!
//! - **Encode** writes protobuf or JSON directly from the items into a buffer that is reused for the next request.
//! - **Delivery** retries with exponential backoff and jitter, or after the pause that the receiver requests, but never beyond
//!   the deadline. The timeout covers the name lookup, all attempts, and the waits between them. If the requested pause is
//!   longer than that, the export fails and spans stay in the queue for the pause, up to one minute.
//! - **Transport** keeps one connection alive, which the first export opens and the calling thread drives. It works with any
//!   async runtime or without one. If threads or file descriptors run out, that export fails.
//!
//! The size of a response is limited, before and after decompression. Messages quote text from a receiver in shortened form,
//! with control characters escaped. They never contain the query of an endpoint or the value of a header.
//!
//! # The size of requests
//!
//! A batch is sent in as many requests as it needs, each of at most 4 MiB, the default limit of gRPC servers.
//! A receiver with a smaller limit refuses the first request that exceeds it. The exporter then halves the request until the
//! receiver takes it, and remembers the size for the following batches. After five minutes it tries a larger one again.
//! A refusal for its size is the status 413 over HTTP. Over gRPC it is `RESOURCE_EXHAUSTED` without a `RetryInfo`, or
//! `OUT_OF_RANGE`, if the message names a size or the request has 3 MiB or more.
//!
//! An item that the receiver refuses alone, or that exceeds [`OtlpBuilder::with_max_request_size`], is dropped and counted as
//! `too_large`. The rest of its batch arrives. For metrics, an item is a data point.
//!
//! Requests are encoded one at a time, and buffers beyond 2 MiB are freed after the batch. An export of items of up to 1 MB
//! holds at most 16 MB. A larger item takes its own size again, and as much with gzip if it cannot be compressed.
//! [`JsonLinesExporter`] writes each batch as one line of any length.
//!
//! # Variables
//!
//! `OTEL_EXPORTER_OTLP_ENDPOINT`, `_PROTOCOL`, `_HEADERS`, `_COMPRESSION`, `_TIMEOUT`, `_CERTIFICATE`, `_CLIENT_KEY`,
//! `_CLIENT_CERTIFICATE` and `_INSECURE`. For a single signal, `OTEL_EXPORTER_OTLP_TRACES_*` or
//! `OTEL_EXPORTER_OTLP_METRICS_*` takes precedence. Metrics also have `_TEMPORALITY_PREFERENCE` and
//! `_DEFAULT_HISTOGRAM_AGGREGATION`. Pass these two on to the reader of the exporter: see
//! [`OtlpExporter::temporality_preference`] and [`OtlpExporter::default_histogram_aggregation`].
//!
//! The exporter appends the signal's path to an endpoint for all signals and keeps the query. In `_HEADERS`, a `%` that does
//! not start an escape is literal. A certificate or key must be a regular file of at most 16 MiB.
//!
//! # Features
//!
//! - `grpc` (default): the protocol `grpc`.
//! - `gzip` (default): the compression `gzip`, and compressed responses.
//! - `tls`: `https` endpoints, with rustls.
//!
//! HTTP proxies are not supported.

mod builder;
mod config;
mod delivery;
mod encode;
mod endpoint;
mod exporter;
mod file;
mod headers;
mod preferences;
mod response;
mod settings;
mod tls;
mod transport;

pub use builder::OtlpBuilder;
pub use delivery::RetryConfig;
pub use encode::Encode;
pub use exporter::OtlpExporter;
pub use file::JsonLinesExporter;
#[cfg(all(feature = "fuzzing", feature = "grpc"))]
#[doc(hidden)]
pub use response::fuzzing;
pub use settings::{Compression, Pem, Protocol};
