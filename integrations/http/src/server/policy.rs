//! The extension point for code: a framework's or an application's knowledge about its requests.

use std::borrow::Cow;
use std::net::SocketAddr;

use http::{Extensions, HeaderMap, Method, Request, Response, StatusCode, Uri, Version};
use opentelemetry::KeyValue;

use crate::shared::content_length;

/// Decisions in code, where settings are not enough. A policy implements only the methods it changes; the others call
/// its [`base`](HttpPolicy::base).
///
/// The methods are called on the thread that serves the request, once per request, and must not block. A panic in a method is
/// caught, and the request is served with less telemetry.
pub trait HttpPolicy: Send + Sync + 'static {
    /// Returns the policy that provides the methods not implemented here. Must not return this policy itself.
    ///
    /// The default is [`DefaultPolicy`]. An application that customizes its framework's policy returns that policy.
    fn base(&self) -> &dyn HttpPolicy {
        &DefaultPolicy
    }

    /// Returns the route template, such as `/users/{id}`, for the span name and `http.route`.
    ///
    /// The template must have low cardinality, so never return the path itself. Return `None` if no route matched.
    /// [`DefaultPolicy`] returns the [`Route`] in the request's extensions.
    fn route<'r>(&self, request: &RequestHead<'r>) -> Option<Cow<'r, str>> {
        self.base().route(request)
    }

    /// Returns the route template if only the response reveals it. Called if [`HttpPolicy::route`] returned `None`.
    ///
    /// Samplers do not see it. [`DefaultPolicy`] returns the [`Route`] in the response's extensions.
    fn response_route<'r>(&self, response: &ResponseHead<'r>) -> Option<Cow<'r, str>> {
        self.base().response_route(response)
    }

    /// Returns the target as the client sent it, before a router changed the URI.
    /// [`DefaultPolicy`] returns the URI.
    fn target<'r>(&self, request: &RequestHead<'r>) -> &'r Uri {
        self.base().target(request)
    }

    /// Returns the address of the peer. [`DefaultPolicy`] returns a [`PeerAddr`] or a [`SocketAddr`] in the extensions.
    fn peer(&self, request: &RequestHead<'_>) -> Option<SocketAddr> {
        self.base().peer(request)
    }

    /// Returns the local address of the connection, for `network.local.*`, which are off by default. [`DefaultPolicy`] returns
    /// a [`LocalAddr`] in the extensions.
    fn local(&self, request: &RequestHead<'_>) -> Option<SocketAddr> {
        self.base().local(request)
    }

    /// Returns the scheme of the connection. Called if neither the request target nor a trusted proxy specifies it.
    /// [`DefaultPolicy`] returns `http`.
    fn scheme(&self, request: &RequestHead<'_>) -> &'static str {
        self.base().scheme(request)
    }

    /// Returns a span name to use instead of `{method} {route}`, with low cardinality. [`DefaultPolicy`] returns `None`.
    fn span_name(&self, request: &RequestHead<'_>) -> Option<Cow<'static, str>> {
        self.base().span_name(request)
    }

    /// Returns true to exclude this request from spans and metrics; no context is attached. Called after the excluded paths
    /// of the settings were checked.
    /// [`DefaultPolicy`] returns false.
    fn is_excluded(&self, request: &RequestHead<'_>) -> bool {
        self.base().is_excluded(request)
    }

    /// Returns true if a response with this status is an error, in the span and in metrics. [`DefaultPolicy`] returns true
    /// for 5xx.
    fn is_error(&self, status: StatusCode) -> bool {
        self.base().is_error(status)
    }

    /// Adds attributes at the creation of the span, so that a sampler sees them. [`DefaultPolicy`] adds none.
    fn request_attributes(&self, request: &RequestHead<'_>, attributes: &mut Vec<KeyValue>) {
        self.base().request_attributes(request, attributes);
    }

    /// Adds attributes once the head of the response is known. Called only for recorded spans.
    /// [`DefaultPolicy`] adds none.
    fn response_attributes(&self, response: &ResponseHead<'_>, attributes: &mut Vec<KeyValue>) {
        self.base().response_attributes(response, attributes);
    }
}

/// The policy of a server without a router, and the base of all other policies: it implements every method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DefaultPolicy;

impl HttpPolicy for DefaultPolicy {
    fn route<'r>(&self, request: &RequestHead<'r>) -> Option<Cow<'r, str>> {
        request.extensions.get::<Route>().map(|route| Cow::Borrowed(&*route.0))
    }

    fn response_route<'r>(&self, response: &ResponseHead<'r>) -> Option<Cow<'r, str>> {
        response.extensions.get::<Route>().map(|route| Cow::Borrowed(&*route.0))
    }

    fn target<'r>(&self, request: &RequestHead<'r>) -> &'r Uri {
        request.uri
    }

    fn peer(&self, request: &RequestHead<'_>) -> Option<SocketAddr> {
        let extensions = request.extensions;
        extensions.get::<PeerAddr>().map(|peer| peer.0).or_else(|| extensions.get::<SocketAddr>().copied())
    }

    fn local(&self, request: &RequestHead<'_>) -> Option<SocketAddr> {
        request.extensions.get::<LocalAddr>().map(|local| local.0)
    }

    fn scheme(&self, _request: &RequestHead<'_>) -> &'static str {
        "http"
    }

    fn span_name(&self, _request: &RequestHead<'_>) -> Option<Cow<'static, str>> {
        None
    }

    fn is_excluded(&self, _request: &RequestHead<'_>) -> bool {
        false
    }

    // spec: http/http-spans.md#status: 4xx must be left unset on the server
    fn is_error(&self, status: StatusCode) -> bool {
        status.is_server_error()
    }

    fn request_attributes(&self, _request: &RequestHead<'_>, _attributes: &mut Vec<KeyValue>) {}

    fn response_attributes(&self, _response: &ResponseHead<'_>, _attributes: &mut Vec<KeyValue>) {}
}

/// The matched route template. Insert it into the extensions of a request, or of its response, to name the span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route(pub Cow<'static, str>);

/// The peer's address; an accept loop inserts it into the extensions of each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddr(pub SocketAddr);

/// The local address of the connection; an accept loop inserts it into the extensions of each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalAddr(pub SocketAddr);

/// A request without its body.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RequestHead<'r> {
    /// The method, as sent.
    pub method: &'r Method,
    /// The request target.
    pub uri: &'r Uri,
    /// The HTTP version.
    pub version: Version,
    /// The headers.
    pub headers: &'r HeaderMap,
    /// The values that the server or an outer layer attached to the request.
    pub extensions: &'r Extensions,
}

impl<'r> RequestHead<'r> {
    /// Returns the head of a request.
    pub fn new<B>(request: &'r Request<B>) -> Self {
        RequestHead {
            method: request.method(),
            uri: request.uri(),
            version: request.version(),
            headers: request.headers(),
            extensions: request.extensions(),
        }
    }
}

/// A response without its body.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ResponseHead<'r> {
    /// The status code.
    pub status: StatusCode,
    /// The headers.
    pub headers: &'r HeaderMap,
    /// The values that the handler or an inner layer attached to the response.
    pub extensions: &'r Extensions,
}

impl<'r> ResponseHead<'r> {
    /// Returns the head of a response.
    pub fn new<B>(response: &'r Response<B>) -> Self {
        ResponseHead { status: response.status(), headers: response.headers(), extensions: response.extensions() }
    }

    /// Returns the length declared by `Content-Length`, in bytes; `None` if it is absent or invalid.
    ///
    /// spec: RFC 9110 section 8.6
    pub fn content_length(&self) -> Option<u64> {
        content_length::declared(self.headers)
    }
}
