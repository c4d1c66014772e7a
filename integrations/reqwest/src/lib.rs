#![cfg_attr(docsrs, feature(doc_cfg))]
//! reqwest with a client span and metrics for every request, on the OpenTelemetry API.
//!
//! The crate has everything that reqwest has, with a [`Client`], a [`ClientBuilder`] and a [`RequestBuilder`] of its own.
//! Code compiles unchanged after its import has changed, except for some methods of the builder, which `map_inner` reaches:
//!
//! ```no_run
//! use telemark_reqwest as reqwest; // or: use telemark::reqwest;
//!
//! # async fn run() -> Result<(), reqwest::Error> {
//! let client = reqwest::Client::builder().timeout(std::time::Duration::from_secs(5)).build()?;
//! let response = client.get("https://stock.example/items/7").header("x-tenant", "a").send().await?;
//! let text = response.error_for_status()?.text().await?;
//! # Ok(())
//! # }
//! ```
//!
//! ```text
//! client.get(url).send() ─▶ span "GET", and `traceparent` in the headers
//!     │ redirect            an event of the span
//!     ▼
//! head of the response ───▶ metrics are recorded and the span ends; the body is read afterwards
//! ```
//!
//! # The span
//! A call is one span, even if reqwest follows redirects or repeats the request inside of it, and `url.full` is the URL that
//! was asked for. Each redirect is an event named `telemark.redirect` with `http.response.status_code` and `url.full`, if the
//! client was built by [`ClientBuilder`].
//!
//! | end | `http.response.status_code` | `error.type` | status | `telemark.outcome` |
//! |---|---|---|---|---|
//! | a response below 400 | yes | | | |
//! | a response from 400 on | yes | the code | `Error` | |
//! | no response | | see below | `Error` | |
//! | the future is dropped | | | | `cancelled` |
//!
//! | `error.type` | reason |
//! |---|---|
//! | `timeout` | a timeout of the client or of the request |
//! | `dns` | the name of the host was not resolved |
//! | `connection_refused`, `connection_reset`, `broken_pipe` and others of [`io_error_type`] | an error of the operating system |
//! | `connect` | any other failure to connect, such as a TLS error |
//! | `redirect` | too many redirects, or a redirect that the policy refused |
//! | `body` | the body of the request failed |
//! | `builder` | the request was invalid |
//! | `request` | any other reason |
//!
//! The description of the status is the message of the innermost cause, which has no URL.
//!
//! # Metrics
//! `http.client.request.duration` equals the duration of the span. [`ClientConfig::with_active_requests`] and
//! [`ClientConfig::with_body_sizes`] add the others, which the conventions make opt-in.
//!
//! # How to
//! - **Name the URL template**: [`RequestBuilder::with_url_template`](InstrumentedRequestBuilder::with_url_template), or
//!   [`ClientConfig::with_url_templates`] for all requests of a client.
//! - **Pass the client to a crate that takes a `reqwest::Client`**: a [`Client`] dereferences to it, and
//!   [`into_inner`](InstrumentedClient::into_inner) returns it. Requests that are sent on it have no span.
//! - **Wrap a client that another crate built**: `Client::from(client)`.
//! - **Change the settings**: [`ClientBuilder::map_config`](InstrumentedClientBuilder::map_config).
//! - **Call a method of reqwest's builder that this one does not have**, such as those for TLS: enable its feature on reqwest
//!   itself, and use [`ClientBuilder::map_inner`](InstrumentedClientBuilder::map_inner).
//! - **See where the time goes before the response**: [`ClientConfig::with_connection_phases`] records the resolution of the
//!   name and the connection as events of the span.
//! - **Retry**: with the feature `middleware`, `Instrumented` is a middleware for `reqwest-middleware`. Below a retry
//!   middleware, each attempt is a span with its `http.request.resend_count`.
//!
//! # Redirects to other hosts
//! reqwest sends the headers of a request to the targets of its redirects. If [`ClientConfig::with_propagation_hosts`] is set,
//! a redirect to a host outside of the list is sent without the trace context. For this, the client stops at the redirect and
//! sends the next request itself, by reqwest's rules for methods, bodies, credentials, `Referer` and the limit of redirects.
//! Timeouts start again with that request, unlike in reqwest.
//!
//! These clients cannot do so. With them, the trace context follows every redirect that they follow, also to hosts outside of
//! the list:
//! - a client with a [`redirect::Policy::custom`] policy, which cannot be asked about the next request
//! - a client with `authorization`, `cookie`, `cookie2`, `proxy-authorization` or `www-authenticate` among its default headers,
//!   which reqwest would add again for the other host; set such headers on the requests instead
//! - a client from `Client::from(reqwest::Client)`, or from `ClientBuilder::from(reqwest::ClientBuilder)` without a
//!   [`redirect`](InstrumentedClientBuilder::redirect) policy of its own
//! - the middleware `Instrumented`
//!
//! If these must not send it, disable their redirects with [`redirect::Policy::none`].
//!
//! # The phases of a connection
//! reqwest connects within the request that needs a connection, so each phase belongs to the request that waited for it. If
//! another connection becomes available first, the request uses that, and the new connection has no events. TLS is a part of
//! `telemark.connect`, because reqwest lets no layer between the connection and its TLS session.
//!
//! A resolver of [`dns_resolver`](InstrumentedClientBuilder::dns_resolver) is observed, and so is the default, except with
//! reqwest's feature `hickory-dns`. Clients from `ClientBuilder::from(reqwest::ClientBuilder)` have only
//! `telemark.connect`, and clients that other crates have built have no events.
//!
//! # Limits
//! A request that is sent while another one is polled, such as by a resolver, is part of it unless a span lies between; see
//! [`HttpClientInstrumentation::begin`].
//!
//! The blocking client, `Upgraded` connections and the connector are reqwest's own and have no spans. Headers from
//! [`ClientBuilder::default_headers`](InstrumentedClientBuilder::default_headers) are added inside of reqwest, so they are not
//! captured.
//!
//! The metrics `http.client.open_connections` and `http.client.connection.duration` are not recorded: reqwest does not reveal when
//! a connection is idle or closed.
//!
//! # Environment variables
//! This crate reads no environment variables itself; see [`ClientConfig::from_env_fn`].

mod body;
mod builder;
mod client;
mod credentials;
mod defaults;
mod failure;
#[cfg(feature = "middleware")]
mod middleware;
mod phases;
mod redirects;
mod request;
mod send;

pub use builder::InstrumentedClientBuilder;
pub use client::InstrumentedClient;
pub use defaults::{Defaults, GlobalTelemetry, scope};
#[cfg(feature = "middleware")]
pub use middleware::Instrumented;
pub use request::InstrumentedRequestBuilder;
// The wrappers below shadow the types of the same names.
pub use reqwest::*;
pub use telemark_http::{
    ClientConfig, ClientMetrics, ClientPolicy, ClientRequestHead, ClientResponseHead, ConfigProblem, GlobalTracer,
    HttpClientInstrumentation, io_error_type,
};

/// reqwest's client with a span and metrics for every request, on the API's global providers.
pub type Client = InstrumentedClient<GlobalTelemetry>;

/// Builds a [`Client`].
pub type ClientBuilder = InstrumentedClientBuilder<GlobalTelemetry>;

/// Builds a request of a [`Client`].
pub type RequestBuilder = InstrumentedRequestBuilder<GlobalTelemetry>;

/// Sends a `GET` request with a new client.
///
/// # Errors
/// Fails like `reqwest::get`.
pub async fn get<U: IntoUrl>(url: U) -> Result<Response> {
    Client::builder().build()?.get(url).send().await
}
