#![cfg_attr(docsrs, feature(doc_cfg))]
//! gRPC layers for tonic's servers and clients, on the OpenTelemetry API, with the status that a call really ended with.
//!
//! ```no_run
//! use telemark_tonic::{GrpcClientLayer, GrpcServerLayer};
//! use tonic::transport::{Channel, Server};
//! # async fn example(routes: tonic::service::Routes) -> Result<(), Box<dyn std::error::Error>> {
//!
//! // The server: every service.
//! let server = Server::builder().layer(GrpcServerLayer::new()).add_routes(routes);
//! server.serve("0.0.0.0:50051".parse()?).await?;
//!
//! // The client: pass the channel to the generated client, for example `ShopClient::new(channel)`.
//! let target = "http://shop.example:50051";
//! let channel = Channel::from_static(target).connect_lazy();
//! let channel = tower::ServiceBuilder::new().layer(GrpcClientLayer::new(target)).service(channel);
//! # let _ = channel;
//! # Ok(())
//! # }
//! ```
//!
//! ```text
//! client                                          server
//! GrpcClientService ── traceparent, … ──────────▶ GrpcServerService
//!    │ ClientFuture    the head: trailers-only?      │ ServerFuture
//!    │ ResponseBody    messages, then trailers       │ ResponseBody
//!    ▼                                               ▼
//! metrics are recorded and the span ends, once, at the first of:
//! trailers │ trailers-only response │ error │ panic │ dropped
//! ```
//!
//! # The end of a call
//! A span lasts as long as both streams of its call. gRPC sends the status after the last message, in the trailers, so the layers
//! read it there. Only a call that fails without a message has its status in the headers.
//!
//! | end | `rpc.status_code` | server: an error | client: an error | `telemark.outcome` |
//! |---|---|---|---|---|
//! | trailers or headers with a status | the status | UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE and DATA_LOSS | all except OK | |
//! | the transport fails | as tonic's client reports it, for example `UNAVAILABLE` | | yes | |
//! | the call or its stream is dropped | `CANCELLED` | no | yes | `cancelled` |
//! | the same, when the time of `grpc-timeout` is up | `DEADLINE_EXCEEDED` | yes | yes | |
//! | the response ends without a status | by its HTTP status, or `UNKNOWN` | as above | yes | |
//! | the handler panics | `UNKNOWN`, with the `error.type` `panic` | yes | | |
//!
//! For an error, `error.type` is the code, and the message of the status is the description of the span's status. tonic itself
//! reports a call whose time is up as `CANCELLED`; the layers record `DEADLINE_EXCEEDED`, on both sides.
//!
//! # Metrics
//! `rpc.server.call.duration` and `rpc.client.call.duration`, in seconds, with `rpc.system.name`, `rpc.method`, `rpc.status_code` and
//! `error.type`; a client's also with `server.address` and `server.port`. Each call is recorded exactly once, sampled or not, with
//! the duration of its span and in its span's context, so that exemplars point to the span.
//!
//! # How to
//! - **Trace one service of a server**: wrap it instead of the server, `GrpcServerLayer::new().layer(ShopServer::new(shop))`, and pass
//!   the result to `add_service`.
//! - **Leave out health checks and reflection**: [`GrpcConfig::with_excluded_methods`].
//! - **Keep the number of methods small**: a client may call methods that do not exist, which a server records as `_OTHER`, with the
//!   client's text only in `rpc.method_original`. See [`GrpcConfig::with_known_methods`].
//! - **Record metadata**: list it in [`GrpcConfig::with_captured_request_headers`] and its siblings.
//! - **Serve gRPC and HTTP from one router**: put this layer inside the HTTP layer of `telemark-tower` or `telemark-axum`. A gRPC call
//!   then has one server span, which the HTTP layer starts and ends, and to which this layer gives the name, the attributes and the
//!   status of the call. Requests that are not gRPC pass through unchanged.
//! - **Use gRPC-Web**: put this layer inside the one of `tonic-web`.
//! - **Choose the provider**: by default, spans start on the API's global tracer and measurements go to the global meter, each looked
//!   up on the first call. [`GrpcServerLayer::with_tracer`] and [`GrpcServerLayer::with_meter`] take concrete ones.
//!
//! # Limits
//! tonic's channel does not tell its layers which connection it uses: it leaves the address of the connection out of its responses
//! and connects on a task of its own. A client's spans therefore have `network.peer.address` only if a service within the layer
//! inserts a [`PeerAddr`] into the extensions of its responses, which a channel of your own can do. A layer sees
//! each attempt of a retry layer around it as a call; put it around the retry layer to get one span for all attempts. A timeout that
//! the server sets, rather than the client, looks like a cancelled call.
//!
//! # Features
//! | feature | default | adds |
//! |---|---|---|
//! | `server` | yes | `network.peer.address` and `network.peer.port` on server spans, from tonic's own server |
//!
//! # Environment variables
//! This crate reads no environment variables itself; see [`GrpcConfig::server_from_env_fn`] and
//! [`GrpcConfig::client_from_env_fn`].

mod body;
mod client;
mod future;
mod semantics;
mod server;

use opentelemetry::InstrumentationScope;

pub use body::ResponseBody;
pub use client::{GrpcClientLayer, GrpcClientService};
pub use future::{ClientFuture, ServerFuture};
pub use semantics::config::{ConfigProblem, GrpcConfig};
pub use semantics::status::BoxError;
pub use server::{GrpcServerLayer, GrpcServerService};
pub use telemark_http::PeerAddr;
pub use telemark_kit::GlobalTracer;

/// Returns this crate's instrumentation scope, for the tracer and the meter passed to a layer.
pub fn scope() -> InstrumentationScope {
    telemark_kit::scope(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
}
