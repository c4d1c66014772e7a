#![cfg_attr(docsrs, feature(doc_cfg))]
//! hyper 1 with spans and metrics on the OpenTelemetry API: [`Client`] wraps hyper-util's client, and [`HttpService`] wraps a
//! service for hyper's server.
//!
//! ```no_run
//! use http::{Request, Response};
//! use hyper_util::client::legacy::connect::HttpConnector;
//! use hyper_util::rt::TokioExecutor;
//! use telemark_hyper::Client;
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! type Body = String;
//! let client: Client<HttpConnector, Body> =
//!     hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build_http().into();
//! let response = client.request(Request::get("http://stock.example/items/7").body(Body::new())?).await?;
//! assert_eq!(response.status(), 200);
//! # Ok(())
//! # }
//! ```
//!
//! # Serving
//! ```no_run
//! use http::{Request, Response};
//! use hyper::body::Incoming;
//! use hyper::service::service_fn;
//! use hyper_util::rt::TokioIo;
//! use telemark_hyper::{HttpServerLayer, HttpService};
//!
//! # async fn run() -> std::io::Result<()> {
//! let layer = HttpServerLayer::new().map_config(|config| config.with_route_templates(["/users/{id}"]));
//! let listener = tokio::net::TcpListener::bind("0.0.0.0:3000").await?;
//! loop {
//!     let (stream, peer) = listener.accept().await?;
//!     let hello = service_fn(async |_request: Request<Incoming>| {
//!         Ok::<_, std::convert::Infallible>(Response::new("hello".to_owned()))
//!     });
//!     let service = HttpService::new(&layer, hello).with_peer(peer);
//!     tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
//! }
//! # }
//! ```
//!
//! hyper has no router, so spans have no route unless [`ServerConfig::with_route_templates`] names some, the handler inserts a
//! [`Route`] into the extensions of its response, or [`ServerConfig::with_guessed_routes`] guesses them.
//!
//! # The client
//! A request is one span, which ends with the head of the response.
//!
//! | `error.type` | reason |
//! |---|---|
//! | `connection_refused`, `connection_reset`, `broken_pipe` and others of [`io_error_type`] | an error of the operating system |
//! | `connect` | any other failure to connect, such as a name that was not resolved |
//! | `request` | any other reason |
//! | the code | a status from 400 on |
//!
//! # New and open connections
//! [`ClientConfig::with_connection_phases`] records the phases of a connection that a request waits for, as events of its span, and
//! [`ClientConfig::with_connection_metrics`] the number of active and idle connections and their durations. Both need a connector
//! that this crate wraps:
//!
//! ```
//! use hyper_util::client::legacy::connect::HttpConnector;
//! use hyper_util::client::legacy::connect::dns::GaiResolver;
//! use hyper_util::rt::TokioExecutor;
//! use telemark_hyper::{Client, ClientConfig, ObservedConnector, ObservedResolver};
//!
//! let http = HttpConnector::new_with_resolver(ObservedResolver::new(GaiResolver::new()));
//! let connector = ObservedConnector::new(http);
//! let client: Client<_, String> = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(connector).into();
//! let client = client.map_config(ClientConfig::with_connection_phases);
//! # let _ = client;
//! ```
//!
//! For TLS, the connector of the TLS library lies between two others: `ObservedConnector::tls(https)`, where `https` connects with
//! `ObservedConnector::new(http)`, after `http.enforce_http(false)`. Counting takes
//! [`ObservedConnector::with_instrumentation`] on the outermost one; those within do not count again.
//!
//! # Features
//! | feature | default | adds |
//! |---|---|---|
//! | `client` | yes | [`Client`] |
//! | `server` | yes | [`HttpService`] |
//!
//! # Environment variables
//! This crate reads no environment variables itself; see [`ClientConfig::from_env_fn`] and [`ServerConfig::from_env_fn`].
#![cfg_attr(not(all(feature = "client", feature = "server")), allow(rustdoc::broken_intra_doc_links))]

#[cfg(feature = "client")]
mod client;
#[cfg(feature = "client")]
mod connector;
#[cfg(feature = "client")]
mod exchange;
#[cfg(feature = "server")]
mod server;

use opentelemetry::InstrumentationScope;

#[cfg(feature = "client")]
pub use client::{Client, ResponseFuture};
#[cfg(feature = "client")]
pub use connector::{Connecting, ObservedConnector, ObservedResolver, ObservedStream};
#[cfg(feature = "client")]
pub use exchange::Exchange;
#[cfg(feature = "client")]
pub use hyper_util::client::legacy::Client as LegacyClient;
#[cfg(feature = "server")]
pub use server::HttpService;
#[cfg(feature = "client")]
pub use telemark_http::{
    ClientConfig, ClientMetrics, ClientPolicy, ClientRequestHead, ClientResponseBody, ClientResponseHead,
    ConnectionPhase, HttpClientInstrumentation, PhaseFuture, ResendCounter, UrlTemplate, io_error_type,
};
#[cfg(feature = "server")]
pub use telemark_tower::{
    ConfigProblem, DefaultPolicy, GlobalTracer, HttpPolicy, HttpServerLayer, LocalAddr, PeerAddr, RequestHead,
    ResponseBody, ResponseHead, Route, ServerConfig,
};

/// Returns this crate's instrumentation scope.
pub fn scope() -> InstrumentationScope {
    telemark_kit::scope(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
}
