//! An HTTP server layer for any tower service, on the OpenTelemetry API: spans that are right in every end state.
//!
//! ```
//! use http::{Request, Response};
//! use telemark_tower::{HttpServerLayer, ServerSettings};
//! use tower::{Layer as _, ServiceExt as _, service_fn};
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! # runtime.block_on(async {
//! let layer = HttpServerLayer::new().with_settings(ServerSettings::new().with_excluded_paths(["/health"]));
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
//! request ─▶ HttpServer::call ─▶ span started, below the caller's
//!               │ ResponseFuture   the context is attached on every poll
//!               │ ResponseBody     and on every poll of the body
//!               ▼
//!            the span ends, once, with the first of:
//!            last byte or trailers │ error │ panic │ dropped │ 101 Switching Protocols
//! ```
//!
//! # When the span ends
//! | what happens | `http.response.status_code` | `error.type` | status | `telemark.outcome` |
//! |---|---|---|---|---|
//! | the body ends, or there is none | yes | only 5xx: the code | `Error` if 5xx | |
//! | the body fails | yes | name of the error's type | `Error` | |
//! | the service fails | | name of the error's type | `Error` | |
//! | the handler or the body panics | once known | `panic` | `Error` | |
//! | the client goes away, a timeout drops the request | once known | only 5xx: the code | as above | `cancelled` |
//! | the connection is upgraded | yes | | | |
//!
//! A panic goes on to whoever catches it; the layer only takes note.
//!
//! # How to
//! - **name the routes**: [`HttpPolicy::route`], or put a [`Route`] into the extensions. `telemark-axum` does it for
//!   axum.
//! - **know the client**: put a [`PeerAddr`] into the extensions of each request; behind a trusted proxy,
//!   [`ServerSettings::with_forwarded_headers`].
//! - **choose the provider**: by default the spans start on the API's global tracer, which is looked up at the first
//!   request. [`HttpServerLayer::with_tracer`] takes a concrete one, which saves an allocation for each span.
//! - **use hyper without tower**: wrap the service into `hyper_util::service::TowerToHyperService`.
//!
//! # Environment variables
//! None are read here; see [`ServerSettings::from_env_fn`].

mod body;
mod future;
mod layer;
mod service;

pub use body::ResponseBody;
pub use future::ResponseFuture;
pub use layer::{HttpServerLayer, scope};
pub use service::HttpServerService;
pub use telemark_http::{
    DefaultPolicy, GlobalTracer, HttpPolicy, PeerAddr, RequestHead, ResponseHead, Route, ServerSettings, SettingProblem,
};
