//! Prometheus export for Telemark: pages in OpenMetrics, with exemplars that lead to traces, or in the text format.
//!
//! ```
//! use opentelemetry::metrics::MeterProvider;
//! use telemark_prometheus::PrometheusExporter;
//! use telemark_sdk::metrics::SdkMeterProvider;
//!
//! let prometheus = PrometheusExporter::new();
//! let provider = SdkMeterProvider::builder().with_reader(prometheus.reader()).build();
//! provider.meter("shop").u64_counter("orders").build().add(1, &[]);
//!
//! // In the handler of `/metrics`, with the request's headers `Accept` and `Accept-Encoding`:
//! let response = prometheus.response_for("application/openmetrics-text", "");
//! assert!(String::from_utf8(response.body)?.contains("orders_total{otel_scope_name=\"shop\"} 1\n"));
//! # Ok::<(), std::string::FromUtf8Error>(())
//! ```
//!
//! For a program without a server, `Server` listens on `localhost:9464` with a thread of its own.
//!
//! ```text
//! GET /metrics ─ negotiate ─▶ Format
//!                               │
//! PullReader::collect ─ scopes ─┴▶ page: families ─▶ labels ─▶ samples, buckets, exemplars ─▶ bytes ─ gzip
//!  (callbacks run here)                  names and   written once
//!                                        types       for each series
//! ```
//!
//! | module | owns |
//! |---|---|
//! | `exporter` | the reader, and a page or a response for each request |
//! | `negotiate`, `format` | from the headers of a request to the format of its page |
//! | `renderer`, `config` | from a collection to a page |
//! | `names` | names and units, as Prometheus has them |
//! | `page` | families, series and samples of a page |
//! | `text` | numbers, quotes and lines |
//! | `response`, `server` | the page over HTTP |
//!
//! [`PrometheusExporter::write`] writes a page in parts, as compressed responses do. A large page is then never in memory as a whole, which
//! saves time too: the first touch of fresh memory costs more than writing the text.
//!
//! # Limits of a page
//!
//! - Series of a counter or a histogram with equal labels are added up, for example those of an empty and of an absent attribute.
//! - A metric that cannot be shown is left out with a warning and never spoils the page: a metric whose name belongs to a metric of
//!   another type, or a gauge whose labels belong to another series.
//! - Exponential histograms are shown with at most 64 buckets. Their bounds are powers of the fourth root of two, or of a coarser
//!   root.
//! - Infinite values are written as `+Inf` and `-Inf`, and NaN as `NaN`, which Prometheus stores like any value: sums with it are
//!   `NaN`, comparisons are false. It does not mark a series as stale; the text formats have no marker for that.
//! - OpenMetrics allows no counter that is NaN or negative; such a counter is left out there.
//! - An exemplar keeps its trace, and those of its attributes that fit into the 128 characters that OpenMetrics allows.
//!
//! # Environment variables
//!
//! `OTEL_EXPORTER_PROMETHEUS_HOST` and `OTEL_EXPORTER_PROMETHEUS_PORT`, read by `Server::from_env`.
//!
//! # Features
//!
//! - `gzip` (default): compresses pages for scrapers that accept it.
//! - `http`: adds `PrometheusExporter::respond`, for servers with the types of the `http` crate.
//! - `server` (default): adds `Server`; implies `http`.

mod config;
mod exporter;
mod format;
mod names;
mod negotiate;
mod page;
mod renderer;
mod response;
#[cfg(feature = "server")]
mod server;
mod text;

pub use exporter::{PrometheusBuilder, PrometheusExporter};
pub use format::{Escaping, Format, Protocol};
pub use names::TranslationStrategy;
pub use negotiate::negotiate;
pub use renderer::Renderer;
pub use response::PageResponse;
#[cfg(feature = "server")]
pub use server::{Server, ServerBuilder};
