#![cfg_attr(docsrs, feature(doc_cfg))]
//! Prometheus export for Telemark: pages in OpenMetrics, with exemplars that link to traces, or in the text
//! format.
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
//! Programs without an HTTP server can use `Server`, which listens on `localhost:9464` on its own thread.
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
//! | `exporter` | the reader, and the page or response for each request |
//! | `negotiate`, `format` | selection of the page format based on the request headers |
//! | `renderer`, `config` | rendering a collection as a page |
//! | `names` | translation of names and units to Prometheus conventions |
//! | `page` | the families, series and samples on a page |
//! | `text` | rendering of numbers, quoted names, and attribute values |
//! | `response`, `server` | serving the page over HTTP |
//!
//! [`PrometheusExporter::write`] writes a page in parts, which is also how compressed responses are created, so a large
//! page is never held in memory as a whole. This also saves time, because touching fresh memory for the first time
//! costs more than writing the text.
//!
//! # Page limits
//!
//! - Counter or histogram series with equal labels are added up, such as a series with an empty attribute and
//!   one without it.
//! - Metrics that cannot be shown are left out with a warning and never invalidate the page. This applies to a
//!   metric whose name is taken by a metric of another type, and to a gauge whose labels belong to another
//!   series.
//! - Exponential histograms are shown with at most 64 buckets. Their bounds are powers of the fourth root of
//!   two, or of a coarser base.
//! - Infinite values are written as `+Inf` and `-Inf`, and NaN as `NaN`. Prometheus stores NaN like any other
//!   value: sums that include it are `NaN`, and comparisons with it are false. It does not mark a series as
//!   stale; the text formats have no marker for that.
//! - OpenMetrics does not allow a counter to be NaN or negative, so such a counter is left out of OpenMetrics
//!   pages.
//! - An exemplar keeps its trace, and the attributes that fit into the 128 characters allowed by OpenMetrics.
//!
//! # Environment variables
//!
//! `OTEL_EXPORTER_PROMETHEUS_HOST` and `OTEL_EXPORTER_PROMETHEUS_PORT`, read by `Server::from_env`.
//!
//! # Features
//!
//! - `gzip` (default): compresses pages for scrapers that accept gzip.
//! - `http`: adds `PrometheusExporter::respond`, for servers that use the types of the `http` crate.
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
