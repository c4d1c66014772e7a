//! The heads of outgoing requests and of their responses, independent of the library that sends them.

use std::net::SocketAddr;

use http::{Extensions, HeaderMap, Method, Request, Response, StatusCode, Version};

use crate::shared::url::target::Target;

/// An outgoing request without its body.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ClientRequestHead<'r> {
    /// The method.
    pub method: &'r Method,
    /// The URL that the caller asked for.
    pub target: Target<'r>,
    /// The headers.
    pub headers: &'r HeaderMap,
    /// The values attached to the request, if the library has any.
    pub extensions: Option<&'r Extensions>,
    /// The URL template, such as `/users/{id}`, if the caller named it.
    pub url_template: Option<&'r str>,
    /// The number of earlier attempts to send this request, if known.
    pub resend_count: Option<u32>,
    /// The size of the body in bytes, if known.
    pub body_bytes: Option<u64>,
}

impl<'r> ClientRequestHead<'r> {
    /// Returns a head with neither extensions nor a template, for libraries with request types of their own.
    pub fn from_parts(method: &'r Method, target: Target<'r>, headers: &'r HeaderMap) -> Self {
        ClientRequestHead {
            method,
            target,
            headers,
            extensions: None,
            url_template: None,
            resend_count: None,
            body_bytes: None,
        }
    }

    /// Returns the head of a request.
    pub fn new<B>(request: &'r Request<B>) -> Self {
        let target = Target::of(request.uri(), request.headers());
        let mut head = ClientRequestHead::from_parts(request.method(), target, request.headers());
        head.extensions = Some(request.extensions());
        head
    }
}

/// A response without its body.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ClientResponseHead<'r> {
    /// The status code.
    pub status: StatusCode,
    /// The HTTP version of the response.
    pub version: Version,
    /// The headers.
    pub headers: &'r HeaderMap,
    /// The values that the library attached to the response.
    pub extensions: &'r Extensions,
    /// The address of the connection's other end, which may be a proxy, if known.
    pub peer: Option<SocketAddr>,
}

impl<'r> ClientResponseHead<'r> {
    /// Returns a head with an unknown peer, for libraries with response types of their own.
    pub fn from_parts(
        status: StatusCode,
        version: Version,
        headers: &'r HeaderMap,
        extensions: &'r Extensions,
    ) -> Self {
        ClientResponseHead { status, version, headers, extensions, peer: None }
    }

    /// Returns the head of a response.
    pub fn new<B>(response: &'r Response<B>) -> Self {
        let (status, version) = (response.status(), response.version());
        ClientResponseHead::from_parts(status, version, response.headers(), response.extensions())
    }
}
