//! OTLP export for Telemark: spans and metrics go to a collector or a backend over `http/protobuf`, `http/json` or `grpc`, or as
//! lines of JSON into a file.
//!
//! ```no_run
//! use telemark_otlp::{Compression, Otlp};
//! use telemark_sdk::config::Env;
//! use telemark_sdk::signal::Traces;
//!
//! # fn main() -> Result<(), telemark_sdk::ConfigError> {
//! // What the OTEL_EXPORTER_OTLP_* variables say:
//! let exporter = Otlp::<Traces>::from_env(&Env::process())?;
//!
//! // Or code, which wins over the variables:
//! let exporter = Otlp::<Traces>::builder()
//!     .with_base_endpoint("http://collector:4318")
//!     .with_header("authorization", "Bearer …")
//!     .with_compression(Compression::Gzip)
//!     .with_env(&Env::process())
//!     .build()?;
//! # drop(exporter);
//! # Ok(())
//! # }
//! ```
//!
//! An exporter is three parts that know nothing of each other:
//!
//! ```text
//! items ─ encode ─▶ bytes ─ transport ─▶ receiver
//!           │                  │ ▲
//!        Encode            outcome│wait
//!   (one per signal)           ▼ │
//!                            retry    a pure state machine: no clock, no sleep
//! ```
//!
//! - **Encode** writes protobuf or JSON straight from the items into a buffer that is used again for the next batch.
//! - **Transport** is one kept-alive connection, made in the first export and driven on the calling thread: it works beside
//!   any async runtime and without one, and running out of threads or file descriptors is an error of that export.
//! - **Retry** waits with exponential backoff and jitter, or as long as the receiver asks, never beyond the deadline. The
//!   timeout is for the whole: the name, all attempts and the waits between them. A receiver that asks for a longer pause is
//!   left alone, for a minute at most; spans wait in the queue meanwhile.
//!
//! Answers are read up to a limit, compressed or not. What a receiver says appears in messages short and with its control
//! characters escaped; the query of an endpoint and the values of headers never do.
//!
//! # Variables
//!
//! `OTEL_EXPORTER_OTLP_ENDPOINT`, `_PROTOCOL`, `_HEADERS`, `_COMPRESSION`, `_TIMEOUT`, `_CERTIFICATE`, `_CLIENT_KEY`,
//! `_CLIENT_CERTIFICATE` and `_INSECURE`; for one signal alone, `OTEL_EXPORTER_OTLP_TRACES_*` or
//! `OTEL_EXPORTER_OTLP_METRICS_*` wins over them. For metrics there are `_TEMPORALITY_PREFERENCE` and
//! `_DEFAULT_HISTOGRAM_AGGREGATION` as well, which the reader of an exporter must be told: see
//! [`Otlp::temporality_preference`] and [`Otlp::default_histogram_aggregation`].
//!
//! An endpoint for all signals gets the path of the signal appended and keeps its query. What a value of `_HEADERS` has that
//! is no percent-encoding stands for itself. A certificate or key must be a regular file of at most 16 MiB.
//!
//! # Features
//!
//! - `grpc` (default): the protocol `grpc`.
//! - `gzip` (default): the compression `gzip`, and compressed answers.
//! - `tls`: `https` endpoints, with rustls.
//!
//! HTTP proxies are not supported.

mod builder;
mod config;
mod encode;
mod endpoint;
mod exporter;
mod file;
mod headers;
mod preferences;
mod response;
mod retry;
mod settings;
mod tls;
mod transport;

pub use builder::Builder;
pub use encode::Encode;
pub use exporter::Otlp;
pub use file::JsonLines;
pub use retry::RetrySettings;
pub use settings::{Compression, Pem, Protocol};
