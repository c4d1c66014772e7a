//! An HTTP server layer for any tower service, on the OpenTelemetry API: spans and metrics that are right however a request
//! ends.
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
//! request ─▶ HttpServerService::call ─▶ span started, below the caller's
//!               │ ResponseFuture   the context is attached on every poll
//!               │ ResponseBody     and on every poll of the body
//!               ▼
//!            metrics are recorded and the span ends, once, with the first of:
//!            last byte or trailers │ error │ panic │ dropped │ 101 Switching Protocols
//! ```
//!
//! # When the span ends
//! | end | `http.response.status_code` | `error.type` | status | `telemark.outcome` |
//! |---|---|---|---|---|
//! | the body ends, or there is none | yes | only 5xx: the code | `Error` if 5xx | |
//! | the body fails | yes | name of the error's type | `Error` | |
//! | the service fails | | name of the error's type | `Error` | |
//! | the handler or the body panics | once known | `panic` | `Error` | |
//! | the client goes away, a timeout drops the request | once known | only 5xx: the code | as above | `cancelled` |
//! | the connection is upgraded | yes | | | |
//!
//! The layer does not catch a panic; it records it.
//!
//! # Metrics
//! | metric | unit | recorded |
//! |---|---|---|
//! | `http.server.request.duration` | s | yes; off with [`ServerConfig::without_duration`] |
//! | `http.server.active_requests` | {request} | with [`ServerConfig::with_active_requests`] |
//! | `http.server.request.body.size` | By | with [`ServerConfig::with_body_sizes`], if `Content-Length` is known |
//! | `http.server.response.body.size` | By | with the same setting: the bytes that were handed over |
//!
//! The conventions leave all but the duration to the user's choice, so the others are off by default. Each request is
//! recorded exactly once, whether its span is sampled or not, with the duration of its span and in the context of its span,
//! so that exemplars lead there. A request whose client went away is recorded with the status that was sent, if any, and is
//! not an error. Excluded paths are not measured, so health checks do not blur the latencies of the application.
//!
//! The attributes are `http.request.method`, `url.scheme`, `http.response.status_code`, `http.route`, `error.type` and
//! `network.protocol.version`; those of the active requests are the first two. `server.address` and `server.port` are added
//! by [`ServerConfig::with_server_address_in_metrics`].
//!
//! # How to
//! - **name the routes**: [`HttpPolicy::route`], or put a [`Route`] into the extensions. `telemark-axum` does it for
//!   axum.
//! - **know the client**: put a [`PeerAddr`] into the extensions of each request; behind a trusted proxy,
//!   [`ServerConfig::with_forwarded_headers`].
//! - **change some settings and keep the others**: [`HttpServerLayer::map_config`].
//! - **record more**: [`ServerConfig::with_opt_in_attributes`] names attributes that the conventions leave off, such as
//!   `client.port`; for `network.local.address`, put a [`LocalAddr`] into the extensions of each request.
//! - **choose the provider**: by default the spans start on the API's global tracer, which is looked up at the first
//!   request. [`HttpServerLayer::with_tracer`] takes a concrete one, which saves an allocation for each span. The metrics are
//!   recorded on the global meter, or on that of [`HttpServerLayer::with_meter`].
//! - **use hyper without tower**: wrap the service into `hyper_util::service::TowerToHyperService`.
//!
//! # Environment variables
//! This crate reads no environment; see [`ServerConfig::from_env_fn`].

mod body;
mod future;
mod layer;
mod panics;
mod service;

pub use body::ResponseBody;
pub use future::ResponseFuture;
pub use layer::{HttpServerLayer, scope};
pub use service::HttpServerService;
pub use telemark_http::{
    ConfigProblem, DefaultPolicy, GlobalTracer, HttpPolicy, LocalAddr, PeerAddr, RequestHead, ResponseHead, Route,
    ServerConfig,
};
