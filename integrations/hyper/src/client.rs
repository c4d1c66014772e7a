//! The client, which records a span and a measurement for each request.

use std::error::Error as StdError;
use std::fmt;
use std::net::SocketAddr;
use std::ops::Deref;
use std::task::{Context, Poll};

use http::{Extensions, Request, Response, Uri};
use http_body::Body;
use hyper_util::client::legacy::connect::{Connect, HttpInfo};
use hyper_util::client::legacy::{self, Error};
use telemark_http::{
    ClientConfig, ClientExchange, ClientLibrary, ClientMetrics, ClientResponseBody, Failure, GlobalTracer,
    HttpClientInstrumentation,
};
use tower_service::Service;

use crate::exchange::Exchange;
use crate::scope;

/// The future of a response, whose body is [`ClientResponseBody`].
pub type ResponseFuture = ClientExchange<Exchange, Error>;

/// hyper-util's client, whose requests have a client span and metrics. Cheap to clone.
pub struct Client<C, B> {
    inner: legacy::Client<C, B>,
    instrumentation: HttpClientInstrumentation,
}

impl<C, B> Client<C, B> {
    /// Returns a client on the API's global tracer and meter, with the default settings.
    pub fn new(inner: legacy::Client<C, B>) -> Self {
        let instrumentation = HttpClientInstrumentation::new(ClientConfig::new(), GlobalTracer::new(scope()));
        let instrumentation = instrumentation.with_metrics(ClientMetrics::global(scope()));
        Client { inner, instrumentation }
    }

    /// Replaces the telemetry and the settings of this client.
    pub fn with_instrumentation(mut self, instrumentation: HttpClientInstrumentation) -> Self {
        self.instrumentation = instrumentation;
        self
    }

    /// Changes the settings. `change` receives the client's settings, including those from the environment, and returns new
    /// ones.
    pub fn map_config(mut self, change: impl FnOnce(ClientConfig) -> ClientConfig) -> Self {
        self.instrumentation = self.instrumentation.map_config(change);
        self
    }

    /// Returns the client without the instrumentation.
    pub fn into_inner(self) -> legacy::Client<C, B> {
        self.inner
    }
}

impl<C, B> Client<C, B>
where
    C: Connect + Clone + Send + Sync + 'static,
    B: Body<Data: Send, Error: Into<Box<dyn StdError + Send + Sync>>> + Send + Unpin + 'static,
{
    /// Sends a request, whose URI must be absolute.
    pub fn request(&self, request: Request<B>) -> ResponseFuture {
        let library = ClientLibrary::new(failure).with_peer(peer);
        let counts = self.instrumentation.config().counts_connections();
        let send = |request: Request<B>| Exchange::new(request, counts, |request| self.inner.request(request));
        self.instrumentation.exchange(request, library, send)
    }

    /// Sends a `GET` request with an empty body.
    pub fn get(&self, uri: Uri) -> ResponseFuture
    where
        B: Default,
    {
        let mut request = Request::new(B::default());
        *request.uri_mut() = uri;
        self.request(request)
    }
}

/// Returns the failure that an error describes; the table in the crate's documentation lists its names.
fn failure(error: &Error) -> Failure {
    Failure::from_error(error, if error.is_connect() { "connect" } else { "request" })
}

fn peer(extensions: &Extensions) -> Option<SocketAddr> {
    extensions.get::<HttpInfo>().map(HttpInfo::remote_addr)
}

impl<C, B> From<legacy::Client<C, B>> for Client<C, B> {
    fn from(inner: legacy::Client<C, B>) -> Self {
        Client::new(inner)
    }
}

impl<C, B> Deref for Client<C, B> {
    type Target = legacy::Client<C, B>;

    fn deref(&self) -> &legacy::Client<C, B> {
        &self.inner
    }
}

impl<C: Clone, B> Clone for Client<C, B> {
    fn clone(&self) -> Self {
        Client { inner: self.inner.clone(), instrumentation: self.instrumentation.clone() }
    }
}

impl<C, B> fmt::Debug for Client<C, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl<C, B> Service<Request<B>> for Client<C, B>
where
    C: Connect + Clone + Send + Sync + 'static,
    B: Body<Data: Send, Error: Into<Box<dyn StdError + Send + Sync>>> + Send + Unpin + 'static,
{
    type Response = Response<ClientResponseBody<hyper::body::Incoming>>;
    type Error = Error;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture {
        self.request(request)
    }
}
