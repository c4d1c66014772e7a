//! Requests of the `http` crate: the future of a response, and its body.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use http::{Extensions, Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::call::{ClientCall, ResponseBodyMeter};
use super::connection::ConnectionUse;
use super::failure::Failure;
use super::head::{ClientRequestHead, ClientResponseHead};
use super::instrumentation::HttpClientInstrumentation;

/// The knowledge about a library that sends requests, whose errors have the type `E`.
pub struct ClientLibrary<E> {
    failure: fn(&E) -> Failure,
    peer: fn(&Extensions) -> Option<SocketAddr>,
}

impl<E> ClientLibrary<E> {
    /// Returns a library whose errors `failure` describes, and whose peers are unknown.
    pub fn new(failure: fn(&E) -> Failure) -> Self {
        ClientLibrary { failure, peer: |_extensions| None }
    }

    /// Finds the address of the connection's other end among the extensions of a response.
    pub fn with_peer(mut self, peer: fn(&Extensions) -> Option<SocketAddr>) -> Self {
        self.peer = peer;
        self
    }
}

// Not derived, because `E` need not be `Clone`.
impl<E> Clone for ClientLibrary<E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for ClientLibrary<E> {}

impl<E> fmt::Debug for ClientLibrary<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientLibrary")
    }
}

impl HttpClientInstrumentation {
    /// Begins a span, writes its context into the headers, and sends the request within it.
    pub fn exchange<B: Body, F, E>(
        &self,
        mut request: Request<B>,
        library: ClientLibrary<E>,
        send: impl FnOnce(Request<B>) -> F,
    ) -> ClientExchange<F, E> {
        let mut head = ClientRequestHead::new(&request);
        head.body_bytes = request.body().size_hint().exact();
        let mut call = self.begin(head);
        call.inject(request.headers_mut());
        let inner = {
            // Attach the context, because a service may start its work before it returns the future.
            let _entered = call.enter();
            call.watch(|| send(request))
        };
        ClientExchange { inner, call, library }
    }
}

pin_project! {
    /// The future of a response, which is polled in the span's context until it returns a head.
    ///
    /// Ends the call as cancelled if it is dropped before it is ready.
    #[derive(Debug)]
    pub struct ClientExchange<F, E> {
        // Dropped before the future, so that the phase of a connection that the call waits for is known when the call ends.
        call: ClientCall,
        #[pin]
        inner: F,
        library: ClientLibrary<E>,
    }
}

impl<F, B, E> Future for ClientExchange<F, E>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
{
    type Output = Result<Response<ClientResponseBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        // Keep the context attached until this function returns, so that an exemplar recorded at the end points to this
        // span.
        let _entered = this.call.enter();
        let inner = this.inner;
        match ready!(this.call.watch(|| inner.poll(cx))) {
            Ok(mut response) => {
                let connection = response.extensions_mut().remove::<ConnectionUse>();
                let mut head = ClientResponseHead::new(&response);
                head.peer = (this.library.peer)(response.extensions());
                let meter = this.call.respond(head);
                Poll::Ready(Ok(response.map(|body| {
                    let body = ClientResponseBody::new(body, meter, |_error| "body");
                    // An empty body may never be polled.
                    ClientResponseBody { connection: connection.filter(|_| !body.inner.is_end_stream()), ..body }
                })))
            }
            Err(error) => {
                if this.call.is_recording() {
                    this.call.fail((this.library.failure)(&error));
                }
                Poll::Ready(Err(error))
            }
        }
    }
}

pin_project! {
    /// The body of a response, whose bytes are counted if the settings ask for their number.
    ///
    /// Delegates everything to the inner body.
    pub struct ClientResponseBody<B: Body> {
        #[pin]
        inner: B,
        meter: Option<ResponseBodyMeter>,
        // The connection is idle when the body has ended.
        connection: Option<ConnectionUse>,
        error_type: fn(&B::Error) -> &'static str,
    }
}

impl<B: Body> ClientResponseBody<B> {
    /// Returns a body whose bytes are counted by `meter`. `error_type` names the error of a body that fails.
    pub fn new(inner: B, meter: Option<ResponseBodyMeter>, error_type: fn(&B::Error) -> &'static str) -> Self {
        ClientResponseBody { inner, meter, connection: None, error_type }
    }
}

impl<B: Body> Body for ClientResponseBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let polled = ready!(this.inner.poll_frame(cx));
        match &polled {
            None => {
                *this.meter = None;
                *this.connection = None;
            }
            Some(Err(error)) => {
                *this.connection = None;
                if let Some(meter) = this.meter.take() {
                    meter.fail((this.error_type)(error));
                }
            }
            Some(Ok(frame)) => {
                if let (Some(meter), Some(data)) = (this.meter.as_mut(), frame.data_ref()) {
                    meter.add(u64::try_from(data.remaining()).unwrap_or(u64::MAX));
                }
            }
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B: Body + Default> Default for ClientResponseBody<B> {
    /// Returns an empty body, for code that creates its own responses.
    fn default() -> Self {
        ClientResponseBody::new(B::default(), None, |_error| "body")
    }
}

impl<B: Body + fmt::Debug> fmt::Debug for ClientResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ClientResponseBody { inner, meter, connection: _, error_type: _ } = self;
        f.debug_struct("ClientResponseBody").field("inner", inner).field("meter", meter).finish_non_exhaustive()
    }
}
