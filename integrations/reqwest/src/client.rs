//! The client, which records a span and a measurement for each request.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll};

use reqwest::{Error, IntoUrl, Method, Request, Response};
use telemark_http::HttpClientInstrumentation;
use tower_service::Service;

use crate::builder::InstrumentedClientBuilder;
use crate::defaults::{Defaults, GlobalTelemetry};
use crate::redirects::Redirects;
use crate::request::InstrumentedRequestBuilder;
use crate::send;

/// A [`reqwest::Client`] whose requests have a client span and metrics. Cheap to clone.
///
/// `D` provides the telemetry of clients that are created without one.
pub struct InstrumentedClient<D = GlobalTelemetry> {
    inner: reqwest::Client,
    instrumentation: HttpClientInstrumentation,
    redirects: Redirects,
    defaults: PhantomData<fn() -> D>,
}

impl<D: Defaults> InstrumentedClient<D> {
    /// Returns a client with reqwest's defaults.
    ///
    /// # Panics
    /// Panics if reqwest cannot initialize TLS or its resolver, like `reqwest::Client::new`. [`InstrumentedClient::builder`]
    /// returns an error instead.
    #[allow(clippy::expect_used, reason = "the signature and the panic are reqwest's")]
    pub fn new() -> Self {
        InstrumentedClient::builder().build().expect("Client::new()")
    }

    /// Returns a builder.
    pub fn builder() -> InstrumentedClientBuilder<D> {
        InstrumentedClientBuilder::new()
    }
}

impl<D> InstrumentedClient<D> {
    pub(crate) fn from_parts(
        inner: reqwest::Client,
        instrumentation: HttpClientInstrumentation,
        redirects: Redirects,
    ) -> Self {
        InstrumentedClient { inner, instrumentation, redirects, defaults: PhantomData }
    }

    /// Replaces the telemetry and the settings of this client. Its clones keep theirs.
    pub fn with_instrumentation(mut self, instrumentation: HttpClientInstrumentation) -> Self {
        self.instrumentation = instrumentation;
        self.redirects.replaced();
        self
    }

    /// Returns the client without the instrumentation.
    pub fn into_inner(self) -> reqwest::Client {
        self.inner
    }

    pub(crate) fn inner(&self) -> &reqwest::Client {
        &self.inner
    }

    /// Begins a `GET` request.
    pub fn get<U: IntoUrl>(&self, url: U) -> InstrumentedRequestBuilder<D> {
        self.request(Method::GET, url)
    }

    /// Begins a `POST` request.
    pub fn post<U: IntoUrl>(&self, url: U) -> InstrumentedRequestBuilder<D> {
        self.request(Method::POST, url)
    }

    /// Begins a `PUT` request.
    pub fn put<U: IntoUrl>(&self, url: U) -> InstrumentedRequestBuilder<D> {
        self.request(Method::PUT, url)
    }

    /// Begins a `PATCH` request.
    pub fn patch<U: IntoUrl>(&self, url: U) -> InstrumentedRequestBuilder<D> {
        self.request(Method::PATCH, url)
    }

    /// Begins a `DELETE` request.
    pub fn delete<U: IntoUrl>(&self, url: U) -> InstrumentedRequestBuilder<D> {
        self.request(Method::DELETE, url)
    }

    /// Begins a `HEAD` request.
    pub fn head<U: IntoUrl>(&self, url: U) -> InstrumentedRequestBuilder<D> {
        self.request(Method::HEAD, url)
    }

    /// Begins a request. An invalid URL fails when the request is sent.
    pub fn request<U: IntoUrl>(&self, method: Method, url: U) -> InstrumentedRequestBuilder<D> {
        InstrumentedRequestBuilder::new(self.clone(), self.inner.request(method, url))
    }

    /// Sends a request.
    ///
    /// # Errors
    /// Fails like `reqwest::Client::execute`.
    pub fn execute(&self, request: Request) -> impl Future<Output = Result<Response, Error>> + Send + use<D> {
        self.send(request, None)
    }

    pub(crate) fn send(
        &self,
        request: Request,
        template: Option<&str>,
    ) -> impl Future<Output = Result<Response, Error>> + Send + use<D> {
        send::send(&self.inner, &self.instrumentation, &self.redirects, request, template)
    }
}

// Not derived, because `D` need not be `Clone`.
impl<D> Clone for InstrumentedClient<D> {
    fn clone(&self) -> Self {
        InstrumentedClient::from_parts(self.inner.clone(), self.instrumentation.clone(), self.redirects)
    }
}

impl<D: Defaults> Default for InstrumentedClient<D> {
    fn default() -> Self {
        InstrumentedClient::new()
    }
}

impl<D> fmt::Debug for InstrumentedClient<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl<D: Defaults> From<reqwest::Client> for InstrumentedClient<D> {
    /// Redirects of this client are not events, because only a builder can observe them. The trace context follows them,
    /// also to hosts outside of [`ClientConfig::with_propagation_hosts`](crate::ClientConfig::with_propagation_hosts).
    fn from(client: reqwest::Client) -> Self {
        InstrumentedClient::from_parts(client, D::instrumentation(), Redirects::unobserved())
    }
}

impl<D> From<InstrumentedClient<D>> for reqwest::Client {
    fn from(client: InstrumentedClient<D>) -> Self {
        client.into_inner()
    }
}

impl<D> Deref for InstrumentedClient<D> {
    type Target = reqwest::Client;

    fn deref(&self) -> &reqwest::Client {
        &self.inner
    }
}

impl<D> AsRef<reqwest::Client> for InstrumentedClient<D> {
    fn as_ref(&self) -> &reqwest::Client {
        &self.inner
    }
}

type BoxFuture = Pin<Box<dyn Future<Output = Result<Response, Error>> + Send>>;

impl<D: 'static> Service<Request> for InstrumentedClient<D> {
    type Response = Response;
    type Error = Error;
    type Future = BoxFuture;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> BoxFuture {
        Box::pin(self.execute(request))
    }
}

impl<D: 'static> Service<Request> for &InstrumentedClient<D> {
    type Response = Response;
    type Error = Error;
    type Future = BoxFuture;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> BoxFuture {
        Box::pin(self.execute(request))
    }
}
