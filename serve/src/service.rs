//! Turns requests into responses: refuses some, and calls the handler for the others.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use telemark_sdk::diag::{self, Level};
use telemark_sdk::error::catch;

use crate::hosts::{Hosts, Refusal};
use crate::socket::{Phase, Socket};

/// Responds to requests. Any closure from a request head to a response is a handler.
///
/// Called on the server's thread, one request at a time, and only for GET and HEAD. All other requests wait
/// while the handler runs. The server sets `Content-Length` and removes the body for HEAD. A panic is caught
/// and logged, and the client gets a response with status 500.
///
/// ```
/// use telemark_serve::Handler;
/// use telemark_serve::http::request::Parts;
/// use telemark_serve::http::{Response, StatusCode};
///
/// struct Health;
///
/// impl Handler for Health {
///     fn handle(&self, request: &Parts) -> Response<Vec<u8>> {
///         let mut response = Response::new(Vec::new());
///         if request.uri.path() != "/health" {
///             *response.status_mut() = StatusCode::NOT_FOUND;
///         }
///         response
///     }
/// }
/// ```
pub trait Handler: Send + Sync + 'static {
    /// Returns the response to a request.
    fn handle(&self, request: &Parts) -> Response<Vec<u8>>;
}

impl<F: Fn(&Parts) -> Response<Vec<u8>> + Send + Sync + 'static> Handler for F {
    fn handle(&self, request: &Parts) -> Response<Vec<u8>> {
        self(request)
    }
}

/// State shared by all connections of a server.
pub(crate) struct Site {
    pub(crate) hosts: Hosts,
    pub(crate) handler: Box<dyn Handler>,
    /// The number of bytes in unsent responses.
    pub(crate) unsent: Arc<AtomicUsize>,
}

impl Site {
    fn respond(&self, request: &Parts) -> Response<Full<Bytes>> {
        let mut response = match self.accept(request) {
            Ok(()) => catch(|| self.handler.handle(request)).unwrap_or_else(|_| {
                diag::log(Level::Warn, "serve.panic", format_args!("the handler of a page panicked"));
                refused((StatusCode::INTERNAL_SERVER_ERROR, "the handler failed"))
            }),
            Err(refusal) => refused(refusal),
        };
        let length = HeaderValue::from(response.body().len());
        response.headers_mut().insert(header::CONTENT_LENGTH, length);
        response.map(|body| Full::new(Bytes::from_owner(Unsent::new(body, self.unsent.clone()))))
    }

    fn accept(&self, request: &Parts) -> Result<(), Refusal> {
        self.hosts.check(request)?;
        match request.method {
            Method::GET | Method::HEAD => Ok(()),
            _ => Err((StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are allowed")),
        }
    }
}

fn refused((status, why): Refusal) -> Response<Vec<u8>> {
    let mut response = Response::new(format!("{why}\n").into_bytes());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}

/// A body whose bytes are counted as unsent until it is dropped.
struct Unsent(Vec<u8>, Arc<AtomicUsize>);

impl Unsent {
    fn new(body: Vec<u8>, unsent: Arc<AtomicUsize>) -> Self {
        unsent.fetch_add(body.len(), Ordering::Relaxed);
        Unsent(body, unsent)
    }
}

impl AsRef<[u8]> for Unsent {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Unsent {
    fn drop(&mut self) {
        self.1.fetch_sub(self.0.len(), Ordering::Relaxed);
    }
}

/// The site, as used by one connection.
pub(crate) struct Service {
    pub(crate) site: Arc<Site>,
    pub(crate) socket: Arc<Socket>,
}

impl hyper::service::Service<Request<Incoming>> for Service {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Turn;

    fn call(&self, request: Request<Incoming>) -> Turn {
        self.socket.begin(Phase::Responding);
        let (head, _unread) = request.into_parts();
        Turn { site: self.site.clone(), socket: self.socket.clone(), head: Some(head), waited: false }
    }
}

/// Responds on the connection's next turn, so that a client with many pipelined requests does not delay other
/// connections.
pub(crate) struct Turn {
    site: Arc<Site>,
    socket: Arc<Socket>,
    head: Option<Parts>,
    waited: bool,
}

impl Future for Turn {
    type Output = Result<Response<Full<Bytes>>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if !self.waited {
            self.waited = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let Some(head) = self.head.take() else { return Poll::Pending };
        let response = self.site.respond(&head);
        // Restart the client's time limit, because the handler has used up some of it.
        self.socket.begin(Phase::Responding);
        Poll::Ready(Ok(response))
    }
}
