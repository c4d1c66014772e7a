//! Pages for Prometheus: in a handler of your own, or on a small server.
//!
//! `OTEL_METRICS_EXPORTER=prometheus` is all that a program without a server needs: `init` then listens on
//! `localhost:9464`, or where `OTEL_EXPORTER_PROMETHEUS_HOST` and `OTEL_EXPORTER_PROMETHEUS_PORT` say. A program that has
//! a server shows the page on it, here with axum:
//!
//! ```no_run
//! use axum::{Router, body::Body, http::HeaderMap, routing::get};
//! use telemark::prometheus::Prometheus;
//!
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! let prometheus = Prometheus::new();
//! let _telemetry = telemark::builder().metric_reader(prometheus.reader()).init()?;
//!
//! let page = get(async move |headers: HeaderMap| prometheus.respond::<Body>(&headers));
//! // Routes that are added after `.layer(telemark::axum::layer())` are neither traced nor measured.
//! let app = Router::new().route("/", get(async || "hello")).route("/metrics", page);
//! # let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//! axum::serve(listener, app).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Any server with the `http` crate's types does the same with [`Prometheus::respond`], and any other one with
//! [`Prometheus::respond`]. The page is in OpenMetrics, with exemplars that lead to traces, if the scraper asks for it.

pub use telemark_prometheus::*;
