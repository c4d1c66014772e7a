//! The builder of a request, with the methods of reqwest's.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Version};
use reqwest::{Body, Error, Request, Response};
#[cfg(any(feature = "form", feature = "json", feature = "query"))]
use serde::Serialize;

use crate::client::InstrumentedClient;
use crate::defaults::GlobalTelemetry;
use crate::send::{Either, failed};

/// A [`reqwest::RequestBuilder`] whose request has a client span and metrics.
#[must_use = "a request is not sent until `send` is called"]
pub struct InstrumentedRequestBuilder<D = GlobalTelemetry> {
    client: InstrumentedClient<D>,
    inner: reqwest::RequestBuilder,
    url_template: Option<Cow<'static, str>>,
}

impl<D> InstrumentedRequestBuilder<D> {
    pub(crate) fn new(client: InstrumentedClient<D>, inner: reqwest::RequestBuilder) -> Self {
        InstrumentedRequestBuilder { client, inner, url_template: None }
    }

    /// Returns a builder that continues with an existing request.
    pub fn from_parts(client: InstrumentedClient<D>, request: Request) -> Self {
        let inner = reqwest::RequestBuilder::from_parts(client.inner().clone(), request);
        InstrumentedRequestBuilder::new(client, inner)
    }

    fn map(mut self, change: impl FnOnce(reqwest::RequestBuilder) -> reqwest::RequestBuilder) -> Self {
        self.inner = change(self.inner);
        self
    }

    /// Sets the URL template, such as `/users/{id}`, for the span name and `url.template`. It must have low cardinality.
    ///
    /// Not a method of reqwest's. [`InstrumentedRequestBuilder::build`] drops it: for requests that are passed to `execute`, set
    /// [`ClientConfig::with_url_templates`](crate::ClientConfig::with_url_templates).
    pub fn with_url_template(mut self, template: impl Into<Cow<'static, str>>) -> Self {
        self.url_template = Some(template.into());
        self
    }

    /// Adds a header.
    pub fn header<K, V>(self, key: K, value: V) -> Self
    where
        HeaderName: TryFrom<K>,
        <HeaderName as TryFrom<K>>::Error: Into<http::Error>,
        HeaderValue: TryFrom<V>,
        <HeaderValue as TryFrom<V>>::Error: Into<http::Error>,
    {
        self.map(|inner| inner.header(key, value))
    }

    /// Adds headers, which replace those of the same names.
    pub fn headers(self, headers: HeaderMap) -> Self {
        self.map(|inner| inner.headers(headers))
    }

    /// Sets basic authentication.
    pub fn basic_auth<U: fmt::Display, P: fmt::Display>(self, username: U, password: Option<P>) -> Self {
        self.map(|inner| inner.basic_auth(username, password))
    }

    /// Sets bearer authentication.
    pub fn bearer_auth<T: fmt::Display>(self, token: T) -> Self {
        self.map(|inner| inner.bearer_auth(token))
    }

    /// Sets the body.
    pub fn body<T: Into<Body>>(self, body: T) -> Self {
        self.map(|inner| inner.body(body))
    }

    /// Sets the timeout of this request, from its start to the end of the response body.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.map(|inner| inner.timeout(timeout))
    }

    /// Sets the HTTP version.
    pub fn version(self, version: Version) -> Self {
        self.map(|inner| inner.version(version))
    }

    /// Sends a `multipart/form-data` body.
    #[cfg(feature = "multipart")]
    pub fn multipart(self, multipart: reqwest::multipart::Form) -> Self {
        self.map(|inner| inner.multipart(multipart))
    }

    /// Adds parameters to the query.
    #[cfg(feature = "query")]
    pub fn query<T: Serialize + ?Sized>(self, query: &T) -> Self {
        self.map(|inner| inner.query(query))
    }

    /// Sends a form as the body.
    #[cfg(feature = "form")]
    pub fn form<T: Serialize + ?Sized>(self, form: &T) -> Self {
        self.map(|inner| inner.form(form))
    }

    /// Sends JSON as the body.
    #[cfg(feature = "json")]
    pub fn json<T: Serialize + ?Sized>(self, json: &T) -> Self {
        self.map(|inner| inner.json(json))
    }

    /// Returns the request, for [`InstrumentedClient::execute`].
    ///
    /// # Errors
    /// Fails if one of the values was invalid.
    pub fn build(self) -> Result<Request, Error> {
        self.inner.build()
    }

    /// Returns the client and the request.
    pub fn build_split(self) -> (InstrumentedClient<D>, Result<Request, Error>) {
        (self.client, self.inner.build())
    }

    /// Sends the request.
    ///
    /// # Errors
    /// Fails like `reqwest::RequestBuilder::send`.
    pub fn send(self) -> impl Future<Output = Result<Response, Error>> + Send + use<D> {
        let InstrumentedRequestBuilder { client, inner, url_template } = self;
        match inner.build() {
            Ok(request) => Either::Sent { future: client.send(request, url_template.as_deref()) },
            Err(error) => failed(error),
        }
    }

    /// Returns a copy, or `None` if the body is a stream.
    pub fn try_clone(&self) -> Option<Self> {
        let (client, url_template) = (self.client.clone(), self.url_template.clone());
        Some(InstrumentedRequestBuilder { client, inner: self.inner.try_clone()?, url_template })
    }
}

impl<D> fmt::Debug for InstrumentedRequestBuilder<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
