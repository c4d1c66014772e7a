//! Prometheus pages, served by your own handler or by a small built-in server.
//!
//! A program without a server needs only `OTEL_METRICS_EXPORTER=prometheus`: `init` then listens on `localhost:9464`, or
//! on `OTEL_EXPORTER_PROMETHEUS_HOST` and `OTEL_EXPORTER_PROMETHEUS_PORT`. A program with a server can serve the page
//! itself, here with axum:
//!
//! ```no_run
//! use axum::{Router, body::Body, http::HeaderMap, routing::get};
//! use telemark::prometheus::PrometheusExporter;
//!
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! let prometheus = PrometheusExporter::new();
//! let _telemetry = telemark::builder().with_metric_reader(prometheus.reader()).init()?;
//!
//! let page = get(async move |headers: HeaderMap| prometheus.respond::<Body>(&headers));
//! // Routes added after `.layer(telemark::axum::layer())` are neither traced nor measured.
//! let app = Router::new().route("/", get(async || "hello")).route("/metrics", page);
//! # let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//! axum::serve(listener, app).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Servers that use the `http` crate's types call [`PrometheusExporter::respond`], and any other server calls
//! [`PrometheusExporter::response_for`]. If the scraper accepts OpenMetrics, the page uses that format and has exemplars
//! that link to traces.

pub use telemark_prometheus::{
    Escaping, Format, PageResponse, PrometheusBuilder, PrometheusExporter, Protocol, Renderer, Server, ServerBuilder,
    TranslationStrategy, negotiate,
};
