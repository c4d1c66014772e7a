//! The response futures, which are polled in the context of the call until they return a head.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;
use telemark_http::PeerAddr;

use crate::body::{ResponseBody, status_of};
use crate::semantics::call::{Call, End};
use crate::semantics::status::{BoxError, CallStatus};

pin_project! {
    /// The future returned by [`GrpcServerService`](crate::GrpcServerService).
    ///
    /// Ends the call as cancelled if it is dropped before it is ready.
    #[derive(Debug)]
    pub struct ServerFuture<F> {
        #[pin]
        inner: F,
        // `None` for a request without a call, and after the call has been moved to the body.
        call: Option<Call>,
    }
}

pin_project! {
    /// The future returned by [`GrpcClientService`](crate::GrpcClientService).
    ///
    /// Ends the call as cancelled if it is dropped before it is ready.
    #[derive(Debug)]
    pub struct ClientFuture<F> {
        #[pin]
        inner: F,
        call: Option<Call>,
    }
}

impl<F> ServerFuture<F> {
    pub(crate) fn new(inner: F, call: Option<Call>) -> Self {
        ServerFuture { inner, call }
    }
}

impl<F> ClientFuture<F> {
    pub(crate) fn new(inner: F, call: Option<Call>) -> Self {
        ClientFuture { inner, call }
    }
}

impl<F, B, E> Future for ServerFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
    E: 'static,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(call) = this.call.as_mut() else {
            return Poll::Ready(ready!(this.inner.poll(cx)).map(|response| respond(response, None)));
        };
        // Keep the context attached until this function returns, so that an exemplar recorded at the end points to this
        // span.
        let _current = call.context().clone().attach();
        match ready!(call.watch(|| this.inner.poll(cx))) {
            Ok(response) => Poll::Ready(Ok(respond(response, this.call.take()))),
            Err(error) => {
                call.end(End::Status(status_of(&error)));
                Poll::Ready(Err(error))
            }
        }
    }
}

impl<F, B, E> Future for ClientFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
    E: Into<BoxError>,
{
    type Output = Result<Response<ResponseBody<B>>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(call) = this.call.as_mut() else {
            let result = ready!(this.inner.poll(cx));
            return Poll::Ready(result.map(|response| respond(response, None)).map_err(Into::into));
        };
        let _current = call.context().clone().attach();
        match ready!(call.watch(|| this.inner.poll(cx))) {
            Ok(response) => {
                if let Some(PeerAddr(peer)) = response.extensions().get() {
                    call.peer(*peer);
                }
                Poll::Ready(Ok(respond(response, this.call.take())))
            }
            Err(error) => {
                let (error, status) = CallStatus::of_transport(error.into());
                call.end(End::Status(status));
                Poll::Ready(Err(error))
            }
        }
    }
}

/// Records the head, and passes the call on to the body.
fn respond<B: Body>(response: Response<B>, mut call: Option<Call>) -> Response<ResponseBody<B>> {
    if let Some(call) = &mut call {
        call.respond(response.status(), response.headers());
        // Nothing polls such a body.
        if response.body().is_end_stream() {
            call.end(End::WithoutStatus);
        }
    }
    response.map(|body| ResponseBody::new(body, call))
}
