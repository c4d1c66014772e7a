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
use hyper::body::{Body, Incoming};
use telemark_sdk::diag::{self, Level};
use telemark_sdk::error::catch;

use crate::hosts::{Hosts, Refusal};
use crate::socket::{Phase, Socket};

/// Responds to requests. Any closure from a request head to a response is a handler.
///
/// Called on the server's thread, one request at a time, and only for GET and HEAD, or also for POST if
/// [`ServerBuilder::with_max_body`](crate::ServerBuilder::with_max_body) allows bodies. All other requests wait
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
    /// Returns the response to a GET or HEAD request.
    fn handle(&self, request: &Parts) -> Response<Vec<u8>>;

    /// Returns the response to a POST request, after its whole body has arrived. Responds with 405 by default.
    fn handle_post(&self, request: &Parts, body: &[u8]) -> Response<Vec<u8>> {
        let _ = (request, body);
        refused(NOT_ALLOWED)
    }
}

/// Refuses a method.
const NOT_ALLOWED: Refusal = (StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are allowed");
/// Refuses a body.
const TOO_LARGE: Refusal = (StatusCode::PAYLOAD_TOO_LARGE, "the body of the request is too large");

impl<F: Fn(&Parts) -> Response<Vec<u8>> + Send + Sync + 'static> Handler for F {
    fn handle(&self, request: &Parts) -> Response<Vec<u8>> {
        self(request)
    }
}

/// State shared by all connections of a server.
pub(crate) struct Site {
    pub(crate) hosts: Hosts,
    pub(crate) handler: Box<dyn Handler>,
    /// The maximum size of a request body in bytes. Zero refuses POST.
    pub(crate) max_body: usize,
    /// The number of bytes in unsent responses.
    pub(crate) unsent: Arc<AtomicUsize>,
}

impl Site {
    /// Responds to a request. POST requests have a body, or were refused before it was read.
    fn respond(&self, request: &Parts, body: Result<Option<&[u8]>, Refusal>) -> Response<Full<Bytes>> {
        let mut response = match self.accept(request).and(body) {
            Ok(body) => catch(|| match body {
                Some(body) => self.handler.handle_post(request, body),
                None => self.handler.handle(request),
            })
            .unwrap_or_else(|_| {
                diag::log(Level::Warn, "serve.panic", format_args!("the handler of a page panicked"));
                refused((StatusCode::INTERNAL_SERVER_ERROR, "the handler failed"))
            }),
            Err(refusal) => refused(refusal),
        };
        if response.status() == StatusCode::METHOD_NOT_ALLOWED && !response.headers().contains_key(header::ALLOW) {
            let methods = if self.max_body > 0 { "GET, HEAD, POST" } else { "GET, HEAD" };
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(methods));
        }
        let length = HeaderValue::from(response.body().len());
        response.headers_mut().insert(header::CONTENT_LENGTH, length);
        response.map(|body| Full::new(Bytes::from_owner(Unsent::new(body, self.unsent.clone()))))
    }

    fn accept(&self, request: &Parts) -> Result<(), Refusal> {
        self.hosts.check(request)?;
        match request.method {
            Method::GET | Method::HEAD => Ok(()),
            Method::POST if self.max_body > 0 => Ok(()),
            _ if self.max_body > 0 => Err((StatusCode::METHOD_NOT_ALLOWED, "only GET, HEAD and POST are allowed")),
            _ => Err(NOT_ALLOWED),
        }
    }

    /// Returns true if the body of this request is read.
    fn reads_body(&self, request: &Parts) -> bool {
        request.method == Method::POST && self.accept(request).is_ok()
    }
}

fn refused((status, why): Refusal) -> Response<Vec<u8>> {
    let mut response = Response::new(format!("{why}\n").into_bytes());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
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
        let (head, body) = request.into_parts();
        // The time limit for sending a request includes its body.
        let body = self.site.reads_body(&head).then(|| Upload { incoming: body, bytes: Vec::new() });
        if body.is_none() {
            self.socket.begin(Phase::Responding);
        }
        Turn { site: self.site.clone(), socket: self.socket.clone(), head: Some(head), body, waited: false }
    }
}

/// A request body, as far as it has arrived.
struct Upload {
    incoming: Incoming,
    bytes: Vec<u8>,
}

impl Upload {
    /// Reads the whole body, or as much as is allowed.
    fn poll(&mut self, max_body: usize, context: &mut Context<'_>) -> Poll<Result<(), Refusal>> {
        if self.incoming.size_hint().lower() > u64::try_from(max_body).unwrap_or(u64::MAX) {
            return Poll::Ready(Err(TOO_LARGE));
        }
        loop {
            let frame = match Pin::new(&mut self.incoming).poll_frame(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Ready(Some(Err(_))) => {
                    return Poll::Ready(Err((StatusCode::BAD_REQUEST, "the body of the request is incomplete")));
                }
                Poll::Ready(Some(Ok(frame))) => frame,
            };
            // Trailers carry no data.
            let Ok(data) = frame.into_data() else { continue };
            if self.bytes.len() + data.len() > max_body {
                return Poll::Ready(Err(TOO_LARGE));
            }
            self.bytes.extend_from_slice(&data);
        }
    }
}

/// Responds on the connection's next turn, so that a client with many pipelined requests does not delay other
/// connections. Waits for the body of a POST request.
pub(crate) struct Turn {
    site: Arc<Site>,
    socket: Arc<Socket>,
    head: Option<Parts>,
    body: Option<Upload>,
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
        let max_body = self.site.max_body;
        let read = match &mut self.body {
            None => Ok(()),
            Some(body) => match body.poll(max_body, context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(read) => read,
            },
        };
        let Some(head) = self.head.take() else { return Poll::Pending };
        let body = self.body.take();
        self.socket.begin(Phase::Responding);
        let response = self.site.respond(&head, read.map(|()| body.as_ref().map(|body| &*body.bytes)));
        // Restart the client's time limit, because the handler has used up some of it.
        self.socket.begin(Phase::Responding);
        Poll::Ready(Ok(response))
    }
}
