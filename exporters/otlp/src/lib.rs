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
//! Transport has two clients. The one on hyper speaks all protocols, with TLS and through tunnels. The one on the sockets of the standard
//! library sends to `http` endpoints, needs no other crate for that, and is used if the features do not enable hyper, or on request:
//! [`OtlpBuilder::with_std_client`]. Retries, limits, credentials and messages are the same.
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
//! - `grpc` (default): the protocol `grpc`. Enables `hyper-client`.
//! - `gzip` (default): the compression `gzip`, and compressed responses.
//! - `tls`: `https` endpoints, with rustls. Enables `hyper-client`.
//! - `hyper-client`: the client on hyper. Without it, the crate depends on neither hyper nor tokio nor mio.
//!
//! # Credentials
//!
//! Headers whose values expire, such as tokens, come from a file ([`OtlpBuilder::with_headers_from_file`],
//! `OTEL_RUST_EXPORTER_OTLP_HEADERS_FILE`), from a command ([`OtlpBuilder::with_headers_from_command`],
//! `OTEL_RUST_EXPORTER_OTLP_HEADERS_COMMAND`) or from code ([`OtlpBuilder::with_header_source`]). They replace fixed headers of the
//! same name, except for headers in code when the source is a variable.
//!
//! - The text has a header on each line, `name: value`, or the list of `OTEL_EXPORTER_OTLP_HEADERS`. A text that is only a token, as in
//!   the file of a Kubernetes service account, is sent as `authorization: Bearer …`. A text has at most 64 KiB.
//! - The exporter's thread reads a file once a minute, and asks a command or code once in five minutes;
//!   `OTEL_RUST_EXPORTER_OTLP_HEADERS_REFRESH` changes both. If the receiver answers 401 or `UNAUTHENTICATED`, the headers are read at
//!   once, and if they have changed, the request is sent again, once.
//! - Headers that cannot be read again stay as they are, which a warning reports and
//!   [`SignalHealth::failed_refreshes`](telemark_sdk::diag::SignalHealth::failed_refreshes) counts. As long as they have never been
//!   read, nothing is sent: exports are retried within their timeout, then fail. A file that is missing when the exporter is built is a
//!   warning, because the program that writes it may start later.
//! - A command or code that fails is asked again after a second at the earliest, and after each further failure in twice that time, up to
//!   ten seconds.
//! - A command runs without a shell, unless it is one, and for 30 seconds at most. White space separates its words, and quotation marks
//!   keep them together. It has no input, its error output is discarded, and it inherits none of the exporter's descriptors. Commands
//!   need a Unix system.
//!
//! ```no_run
//! use telemark_otlp::OtlpExporter;
//! use telemark_sdk::signal::Traces;
//!
//! # fn main() -> Result<(), telemark_sdk::ConfigError> {
//! let exporter = OtlpExporter::<Traces>::builder()
//!     .with_base_endpoint("https://collector.example")
//!     .with_headers_from_file("/var/run/secrets/tokens/telemetry")
//!     .build()?;
//! # let _ = exporter;
//! # Ok(())
//! # }
//! ```
//!
//! The files of certificates and of the client key are read again for each new connection, and a connection in use keeps its
//! certificates. If the new files cannot be used, the old certificates stay, which is reported and counted in the same way. The
//! certificates of the system are read once.
//!
//! # Proxies
//!
//! HTTP proxies come from the usual variables: `HTTPS_PROXY` for `https` endpoints and for gRPC, `HTTP_PROXY` for `http` endpoints,
//! `ALL_PROXY` for both, and `NO_PROXY` for exceptions. Names in lower case take precedence, and `HTTP_PROXY` has no effect in a CGI
//! program. An endpoint on this machine, such as the default, is always reached directly, as in Go but unlike in curl and reqwest.
//! [`OtlpBuilder::with_proxy`], [`OtlpBuilder::without_proxy`] and `OTEL_RUST_EXPORTER_OTLP_PROXY` decide for every endpoint instead.
//!
//! `https` endpoints and gRPC use a tunnel (`CONNECT`). Credentials in the URL of a proxy are sent to it with the scheme Basic and are
//! never shown. Proxies with TLS and SOCKS proxies are not supported.

mod builder;
mod config;
mod credentials;
mod declarative;
mod delivery;
mod encode;
mod endpoint;
mod exporter;
mod file;
mod files;
mod headers;
mod preferences;
mod proxy;
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
