#![cfg_attr(docsrs, feature(doc_cfg))]
//! OTLP export for Telemark: sends spans, metrics and log records to a collector or a backend over `http/protobuf`, `http/json` or `grpc`,
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
//! - **Transport** keeps one connection alive. The first export opens it, and the calling thread drives it. It works with any
//!   async runtime or without one. If threads or file descriptors run out, the current export fails.
//!
//! The size of a response is limited, before and after decompression. Messages quote text from a receiver in shortened form,
//! with control characters escaped. They never contain the query of an endpoint or the value of a header.
//!
//! # Request sizes
//!
//! A batch is sent in one or more requests of up to 4 MiB, the default limit of gRPC servers. A receiver with a smaller limit
//! refuses the first request that exceeds it. The exporter then halves the request until the receiver accepts it, and
//! remembers this size for the following batches. After five minutes, it tries larger requests again. Over HTTP, a request is
//! considered too large if the status is 413. Over gRPC, it is considered too large if the status is `RESOURCE_EXHAUSTED`
//! without a `RetryInfo`, or `OUT_OF_RANGE`, and either the status message mentions a size or the request has 3 MiB or more.
//!
//! If the receiver refuses a request with a single item, or if an item exceeds [`OtlpBuilder::with_max_request_size`], the
//! item is dropped and counted as `too_large`. The rest of the batch is still sent. For metrics, an item is a data point.
//!
//! Requests are encoded one at a time, and buffers larger than 2 MiB are freed after the batch. Exporting items of up to 1 MB
//! uses at most 16 MB of memory. A larger item uses additional memory of its own size, and the same again with gzip if it
//! cannot be compressed.
//! [`JsonLinesExporter`] writes each batch as one line of any length.
//!
//! # Variables
//!
//! `OTEL_EXPORTER_OTLP_ENDPOINT`, `_PROTOCOL`, `_HEADERS`, `_COMPRESSION`, `_TIMEOUT`, `_CERTIFICATE`, `_CLIENT_KEY`,
//! `_CLIENT_CERTIFICATE` and `_INSECURE`. For a single signal, `OTEL_EXPORTER_OTLP_TRACES_*`,
//! `OTEL_EXPORTER_OTLP_METRICS_*` or `OTEL_EXPORTER_OTLP_LOGS_*` takes precedence. Metrics also have `_TEMPORALITY_PREFERENCE` and
//! `_DEFAULT_HISTOGRAM_AGGREGATION`. Pass these two to the exporter's reader: see
//! [`OtlpExporter::temporality_preference`] and [`OtlpExporter::default_histogram_aggregation`].
//!
//! For an endpoint for all signals, the exporter appends the signal's path and keeps the query. In `_HEADERS`, a `%` that does
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
mod declarative;
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
