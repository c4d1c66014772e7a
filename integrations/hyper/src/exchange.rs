//! The future of hyper-util's response, which notes the connection that the request uses.

use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Extensions, Request, Response};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::{CaptureConnection, capture_connection};
use hyper_util::client::legacy::{self, Error};
use pin_project_lite::pin_project;
use telemark_http::{ConnectionHandle, ConnectionUse};

pin_project! {
    /// The future of a response.
    #[derive(Debug)]
    pub struct Exchange {
        #[pin]
        inner: legacy::ResponseFuture,
        // `None` unless connections are counted.
        capture: Option<CaptureConnection>,
        used: Option<ConnectionUse>,
    }
}

impl Exchange {
    /// Sends the request. Notes its connection if `counts` is true.
    pub(crate) fn new<B>(
        mut request: Request<B>,
        counts: bool,
        send: impl FnOnce(Request<B>) -> legacy::ResponseFuture,
    ) -> Self {
        let capture = counts.then(|| capture_connection(&mut request));
        Exchange { inner: send(request), capture, used: None }
    }
}

impl Future for Exchange {
    type Output = Result<Response<Incoming>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut polled = this.inner.poll(cx);
        if let Some(capture) = this.capture {
            // The client may send the request again on another connection.
            if let Some(connection) = connection(capture) {
                if !this.used.as_ref().is_some_and(|used| used.is_of(&connection)) {
                    *this.used = Some(connection.begin_use());
                }
            }
        }
        if let Poll::Ready(Ok(response)) = &mut polled {
            if let Some(used) = this.used.take() {
                response.extensions_mut().insert(used);
            }
        }
        polled
    }
}

fn connection(capture: &CaptureConnection) -> Option<ConnectionHandle> {
    let connected = capture.connection_metadata();
    let mut extensions = Extensions::new();
    connected.as_ref()?.get_extras(&mut extensions);
    extensions.remove()
}
