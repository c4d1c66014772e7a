//! Pages for Prometheus: in a handler of your own, or on a small server.
//!
//! A program without a server needs only `OTEL_METRICS_EXPORTER=prometheus`: `init` then listens on `localhost:9464`, or on
//! `OTEL_EXPORTER_PROMETHEUS_HOST` and `OTEL_EXPORTER_PROMETHEUS_PORT`. A program with a server shows the page on it, here with
//! axum:
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
//! // Routes that are added after `.layer(telemark::axum::layer())` are neither traced nor measured.
//! let app = Router::new().route("/", get(async || "hello")).route("/metrics", page);
//! # let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//! axum::serve(listener, app).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Servers with the `http` crate's types use [`PrometheusExporter::respond`], any other server [`PrometheusExporter::response_for`]. The page is in
//! OpenMetrics, with exemplars that lead to traces, if the scraper asks for it.

pub use telemark_prometheus::{
    Escaping, Format, PageResponse, PrometheusBuilder, PrometheusExporter, Protocol, Renderer, Server, ServerBuilder,
    TranslationStrategy, negotiate,
};
