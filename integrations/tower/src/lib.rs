//! HTTP layers for any tower service, on the OpenTelemetry API, with correct spans and metrics regardless of how a
//! request ends.
//!
//! ```
//! use http::{Request, Response};
//! use telemark_tower::{HttpServerLayer, ServerConfig};
//! use tower::{Layer as _, ServiceExt as _, service_fn};
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! # runtime.block_on(async {
//! let layer = HttpServerLayer::new().with_config(ServerConfig::new().with_excluded_paths(["/health"]));
//! let service = layer.layer(service_fn(async |_request: Request<String>| {
//!     Ok::<_, std::convert::Infallible>(Response::new("hello".to_owned()))
//! }));
//! let response = service.oneshot(Request::get("/greeting").body(String::new())?).await?;
//! assert_eq!(response.status(), 200);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! ```text
//! request ─▶ HttpServerService::call ─▶ starts the span, below the caller's
//!               │ ResponseFuture   attaches the context on every poll
//!               │ ResponseBody     also attaches it on every poll
//!               ▼
//!            metrics are recorded and the span ends, once, at the first of:
//!            last byte or trailers │ error │ panic │ dropped │ 101 Switching Protocols
//! ```
//!
//! # When the span ends
//! | end | `http.response.status_code` | `error.type` | status | `telemark.outcome` |
//! |---|---|---|---|---|
//! | the body ends, or is absent | yes | only for 5xx: the code | `Error` for 5xx | |
//! | the body fails | yes | name of the error's type | `Error` | |
//! | the service fails | | name of the error's type | `Error` | |
//! | the handler or the body panics | once known | `panic` | `Error` | |
//! | the client disconnects, or a timeout drops the request | once known | only for 5xx: the code | as above | `cancelled` |
//! | the connection is upgraded | yes | | | |
//!
//! The layer records a panic but does not catch it.
//!
//! # Metrics
//! | metric | unit | recorded |
//! |---|---|---|
//! | `http.server.request.duration` | s | yes; off with [`ServerConfig::without_duration`] |
//! | `http.server.active_requests` | {request} | with [`ServerConfig::with_active_requests`] |
//! | `http.server.request.body.size` | By | with [`ServerConfig::with_body_sizes`], if `Content-Length` is known |
//! | `http.server.response.body.size` | By | with [`ServerConfig::with_body_sizes`]: the number of bytes handed over to the connection |
//! | `telemark.http.server.request.orphans` | {request} | with [`ServerConfig::with_orphans`]: requests without a trace context, by method and route |
//!
//! In the conventions, all metrics except the duration are opt-in, so the others are off by default. Each request is
//! recorded exactly once, sampled or not, with the duration of its span and in its span's context, so that exemplars point
//! to the span. A request whose client disconnects is recorded with the status that was sent, if any, and is
//! not an error. Excluded paths are not measured, so health checks do not distort the application's latencies.
//!
//! The attributes are `http.request.method`, `url.scheme`, `http.response.status_code`, `http.route`, `error.type` and
//! `network.protocol.version`; active requests have only the first two.
//! [`ServerConfig::with_server_address_in_metrics`] adds `server.address` and `server.port`.
//!
//! # The client layer
//! [`HttpClientLayer`] wraps a service that sends requests. The span of a request ends with the head of its response:
//!
//! | end | `http.response.status_code` | `error.type` | status | `telemark.outcome` |
//! |---|---|---|---|---|
//! | a response below 400 | yes | | | |
//! | a response from 400 on | yes | the code | `Error` | |
//! | the service fails | | for I/O errors, also inside of boxed ones, one of [`io_error_type`]; for other boxed errors `_OTHER`; otherwise the name of the error's type | `Error` | |
//! | the service panics | | `panic` | `Error` | |
//! | the future is dropped | | | | `cancelled` |
//!
//! It records `http.client.request.duration`, and on request `http.client.active_requests`, `http.client.request.body.size` and
//! `http.client.response.body.size`; see [`ClientConfig`].
//!
//! # How to
//! - **Name the routes**: implement [`HttpPolicy::route`], or insert a [`Route`] into the extensions. `telemark-axum` does
//!   this for axum.
//! - **Record the client's address**: insert a [`PeerAddr`] into the extensions of each request; behind a trusted proxy, use
//!   [`ServerConfig::with_forwarded_headers`].
//! - **Change some settings and keep the others**: use [`HttpServerLayer::map_config`].
//! - **Record more**: [`ServerConfig::with_opt_in_attributes`] adds opt-in attributes, such as `client.port`. For
//!   `network.local.address`, insert a [`LocalAddr`] into the extensions of each request.
//! - **Choose the provider**: by default, spans start on the API's global tracer, which is looked up on the first request.
//!   [`HttpServerLayer::with_tracer`] takes a concrete tracer, which saves an allocation per span. Metrics are recorded on
//!   the global meter, or on the one passed to [`HttpServerLayer::with_meter`].
//! - **Use hyper without tower**: wrap the service in `hyper_util::service::TowerToHyperService`.
//!
//! # Environment variables
//! This crate reads no environment variables itself; see [`ServerConfig::from_env_fn`].

mod body;
mod client;
mod future;
mod layer;
mod service;

pub use body::ResponseBody;
pub use client::{HttpClientLayer, HttpClientService};
pub use future::ResponseFuture;
pub use layer::{HttpServerLayer, scope};
pub use service::HttpServerService;
pub use telemark_http::{
    ClientConfig, ClientExchange, ClientMetrics, ClientPolicy, ClientRequestHead, ClientResponseBody,
    ClientResponseHead, ConfigProblem, DefaultPolicy, GlobalTracer, HttpClientInstrumentation, HttpPolicy, LocalAddr,
    PeerAddr, RequestHead, ResendCounter, ResponseHead, Route, ServedRoute, ServerConfig, UrlTemplate, io_error_type,
    served_requests,
};
