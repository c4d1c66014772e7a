//! HTTP semantics on the OpenTelemetry API, shared by Telemark's HTTP integrations and independent of any framework.
//!
//! Most applications use `telemark-axum` or `telemark-tower`, which are built on this crate. An integration for another HTTP
//! stack can do the same:
//!
//! ```
//! use http::{Request, Response, StatusCode};
//! use std::sync::Arc;
//! use telemark_http::{DefaultPolicy, End, GlobalTracer, HttpServerInstrumentation, RequestHead, ResponseHead, ServerConfig};
//!
//! let tracer = GlobalTracer::new(telemark_http::scope("my-framework", "1.0.0"));
//! let server = Arc::new(HttpServerInstrumentation::new(ServerConfig::new(), DefaultPolicy, tracer));
//!
//! let request = Request::get("/users/7").body(())?;
//! let mut span = server.begin(RequestHead::new(&request)).ok_or("the URL is excluded")?;
//! let mut response = {
//!     let _current = span.context().clone().attach(); // on every poll, never across an await
//!     Response::builder().status(StatusCode::OK).body(())?
//! };
//! let extra = span.respond(ResponseHead::new(&response));
//! response.headers_mut().extend(extra);
//! span.end(End::Completed); // when the response body has ended
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! With [`HttpServerInstrumentation::with_metrics`], the same calls also record the server's metrics.
//!
//! ```text
//! RequestHead ── HttpServerInstrumentation::begin ──▶ RequestSpan ── respond(ResponseHead) ──▶ … body … ── end(End) ──▶ exported
//!                 │        │    │           └ context(): attached on every poll
//!    ServerConfig  HttpPolicy  Tracer
//!     (data)          (code)     (global, or a concrete one)
//! ```
//!
//! # Clients
//! [`HttpClientInstrumentation`] does the same for outgoing requests. For a library with the types of the `http` crate, it sends
//! the request as well:
//!
//! ```
//! use http::{Request, Response};
//! use http_body::Body;
//! use telemark_http::{ClientConfig, ClientLibrary, Failure, GlobalTracer, HttpClientInstrumentation};
//!
//! /// The errors of the library.
//! #[derive(Debug)]
//! struct SendError;
//!
//! async fn observed<B, R, F>(request: Request<B>, send: impl FnOnce(Request<B>) -> F) -> Result<(), SendError>
//! where
//!     B: Body,
//!     R: Body,
//!     F: Future<Output = Result<Response<R>, SendError>>,
//! {
//!     let tracer = GlobalTracer::new(telemark_http::scope("my-client", "1.0.0"));
//!     let client = HttpClientInstrumentation::new(ClientConfig::new(), tracer); // once, and shared by all requests
//!     let library = ClientLibrary::new(|_error: &SendError| Failure::new("send"));
//!     let response = client.exchange(request, library, send).await?; // sent within the span
//!     assert_eq!(response.status(), 200);
//!     Ok(())
//! }
//! ```
//!
//! Other libraries call [`HttpClientInstrumentation::begin`] and end the [`ClientCall`] themselves.
//!
//! # Attributes of a server span
//! A server span has the attributes that the semantic conventions 1.45.0 define for HTTP server spans, and two of Telemark's own:
//! `telemark.outcome`, which is `cancelled` if the request was abandoned, and `telemark.truncated`. Attributes
//! that a sampler may use are set when the span is created. One exception keeps unsampled traffic cheap: below an
//! *unsampled* parent, a sampler sees only `http.request.method`, `url.path`, `url.scheme`, `http.route` and the attributes
//! of the policy; if it records the span, the others are added immediately. A route from a template or a guess names the span
//! from the start, but becomes `http.route` with the response, which may reveal another route.
//!
//! Opt-in attributes are off by default; [`ServerConfig::with_opt_in_attributes`] adds them.
//!
//! # Limits against hostile peers
//! Text from a request is truncated after [`MAX_TEXT_BYTES`] bytes. A captured header is truncated after
//! [`MAX_HEADER_VALUES`] lines, and all captured headers of one message after [`MAX_CAPTURED_BYTES`] bytes.
//! `telemark.truncated`, an array of strings, lists the names of the truncated attributes.
//!
//! Routes, span names, the server's host names, user agents and addresses are cached for the life of the program, to avoid
//! copying them for each request. The cache holds the first 1024 routes, 128 host names, 128 user agents and 256 addresses that
//! are short enough.
//!
//! # Environment variables
//! This crate reads no environment variables itself. [`ServerConfig::from_env_fn`] and [`ClientConfig::from_env_fn`] accept a
//! reader and list the variables.

mod client;
mod server;
mod shared;

pub use client::{
    BoxError, ClientCall, ClientConfig, ClientExchange, ClientLibrary, ClientMetrics, ClientPolicy, ClientRequestHead,
    ClientResponseBody, ClientResponseHead, ConnectionHandle, ConnectionPhase, ConnectionUse, Entered, Failure,
    HttpClientInstrumentation, OpenConnection, PhaseFuture, ResendCounter, ResponseBodyMeter, UrlTemplate,
    io_error_type,
};
pub use server::{
    DefaultPolicy, End, HttpPolicy, HttpServerInstrumentation, LocalAddr, PeerAddr, RequestHead, RequestOutcome,
    RequestSpan, ResponseHead, Route, ServerConfig, ServerMetrics, served_requests,
};
pub use shared::headers::{HeaderExtractor, HeaderInjector, MAX_CAPTURED_BYTES, MAX_HEADER_VALUES};
pub use shared::kept::address as kept_address;
pub use shared::settings::ConfigProblem;
pub use shared::url::target::Target;
pub use telemark_kit::{GlobalTracer, MAX_TEXT_BYTES, ServedRoute, scope};
