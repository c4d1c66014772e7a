//! Prometheus export for Telemark: pages in OpenMetrics, with exemplars that lead to traces, or in the text format.
//!
//! ```
//! use opentelemetry::metrics::MeterProvider;
//! use telemark_prometheus::Prometheus;
//! use telemark_sdk::metrics::SdkMeterProvider;
//!
//! let prometheus = Prometheus::new();
//! let provider = SdkMeterProvider::builder().with_reader(prometheus.reader()).build();
//! provider.meter("shop").u64_counter("orders").build().add(1, &[]);
//!
//! // In the handler of `/metrics`, with the request's headers `Accept` and `Accept-Encoding`:
//! let answer = prometheus.answer("application/openmetrics-text", "");
//! assert!(String::from_utf8(answer.body)?.contains("orders_total{otel_scope_name=\"shop\"} 1\n"));
//! # Ok::<(), std::string::FromUtf8Error>(())
//! ```
//!
//! A program without a server has `Server`, a thread that listens on `localhost:9464`.
//!
//! ```text
//! GET /metrics ─ negotiate ─▶ Format
//!                               │
//! PullReader::collect ─ scopes ─┴▶ families ─▶ labels ─▶ samples, buckets, exemplars ─▶ bytes ─ gzip
//!  (callbacks run here)            names and    written once
//!                                  types        for each series
//! ```
//!
//! [`Prometheus::write`] passes a page on in parts while it is written, as compressed answers do, so that a large page never is
//! in memory as a whole: the first touch of fresh memory costs more than the text that is put there.
//!
//! Series of a counter or a histogram whose labels are the same to Prometheus, such as those of an empty and of an absent
//! attribute, are added up. What cannot be shown is left out with a warning and never spoils the page: a metric whose name another
//! one of a different type has, a gauge whose labels another one has. Exponential histograms are shown with at most 64 buckets whose
//! bounds are powers of the fourth root of two or of a coarser root.
//!
//! Infinite values are written as `+Inf` and `-Inf`, and a value that is no number as `NaN`, which Prometheus stores as a value
//! like others: sums with it are `NaN`, comparisons false. It marks no series as stale; no text can. OpenMetrics has no counters that
//! are `NaN` or negative: those are left out there. An exemplar keeps its trace, and of its attributes those that fit into the 128
//! characters that OpenMetrics allows.
//!
//! # Variables
//!
//! `OTEL_EXPORTER_PROMETHEUS_HOST` and `OTEL_EXPORTER_PROMETHEUS_PORT`, read by `Server::from_env`.
//!
//! # Features
//!
//! - `gzip` (default): pages are compressed for scrapers that accept it.
//! - `http`: `Prometheus::respond`, for servers with the types of the `http` crate.
//! - `server` (default): `Server`; implies `http`.

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

pub use exporter::{Builder, Prometheus};
pub use format::{Escaping, Format, Protocol};
pub use names::TranslationStrategy;
pub use negotiate::negotiate;
pub use renderer::Renderer;
pub use response::Answer;
#[cfg(feature = "server")]
pub use server::{Server, ServerBuilder};
