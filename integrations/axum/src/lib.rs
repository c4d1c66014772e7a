//! The HTTP server layer for axum: spans and metrics with route templates.
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use std::net::SocketAddr;
//!
//! # async fn serve() -> std::io::Result<()> {
//! let app = Router::new()
//!     .route("/users/{id}", get(async || "hello"))
//!     .layer(telemark_axum::layer()); // after the routes
//!
//! let listener = tokio::net::TcpListener::bind("0.0.0.0:3000").await?;
//! // with connect info, so that the spans know the client's address
//! axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await
//! # }
//! ```
//!
//! ```text
//! Router ─ matches /users/{id} ─▶ layer() ─▶ span "GET /users/{id}" ─▶ your layers and handlers
//!    └ nothing matches ─────────▶ layer() ─▶ span "GET" ─────────────▶ the fallback, 404
//! ```
//!
//! # Where to put the layer
//! axum determines the route inside the router. [`Router::layer`](axum::Router::layer) after the last route covers
//! all routes, including nested ones, and the fallback. `Router::route_layer` omits the fallback. If the layer wraps the
//! whole router (`layer().layer(router)`), spans have no route.
//!
//! # How to
//! - **Exclude paths, capture headers, trust a proxy**: [`HttpServerLayer::map_config`] changes some settings and keeps the
//!   others; [`HttpServerLayer::with_config`] replaces all of them.
//! - **Redefine errors or span names**: write your own policy on top of [`AxumPolicy`]:
//!
//! ```
//! use telemark_axum::{AxumPolicy, HttpPolicy};
//!
//! #[derive(Clone)]
//! struct Strict;
//!
//! impl HttpPolicy for Strict {
//!     fn is_error(&self, status: axum::http::StatusCode) -> bool {
//!         status.is_client_error() || status.is_server_error()
//!     }
//!     fn base(&self) -> &dyn HttpPolicy {
//!         &AxumPolicy
//!     }
//! }
//!
//! let app: axum::Router = axum::Router::new().layer(telemark_axum::layer().with_policy(Strict));
//! ```
//! - **Choose the provider**: use [`HttpServerLayer::with_tracer`] and [`HttpServerLayer::with_meter`] with a tracer and a
//!   meter that have the [`scope`] of this crate.
//!
//! # Environment variables
//! This crate reads no environment variables itself; see [`ServerConfig::from_env_fn`].

mod policy;

use opentelemetry::InstrumentationScope;

pub use policy::AxumPolicy;
pub use telemark_tower::{
    ConfigProblem, DefaultPolicy, GlobalTracer, HttpPolicy, HttpServerLayer, HttpServerService, LocalAddr, RequestHead,
    ResponseBody, ResponseFuture, ResponseHead, Route, ServedRoute, ServerConfig, served_requests,
};

/// Returns the layer for [`axum::Router::layer`], with the default settings, the global tracer and the global meter.
pub fn layer() -> HttpServerLayer<AxumPolicy> {
    HttpServerLayer::new().with_policy(AxumPolicy).with_tracer(GlobalTracer::new(scope())).with_global_meter(scope())
}

/// Returns this crate's instrumentation scope, for the tracer passed to [`HttpServerLayer::with_tracer`] and the meter
/// passed to [`HttpServerLayer::with_meter`].
pub fn scope() -> InstrumentationScope {
    telemark_kit::scope(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
}
