//! The future of hyper-util's response, which notes the connection that the request uses.

use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Extensions, Request, Response, Version};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
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
        let capture = counts.then(|| capture(request.extensions_mut()));
        Exchange { inner: send(request), capture, used: None }
    }
}

impl Future for Exchange {
    type Output = Result<Response<Incoming>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut polled = this.inner.poll(cx);
        let Some(capture) = this.capture else { return polled };
        if let Some(connection) = captured(capture) {
            begin_use(this.used, &connection);
        }
        if let Poll::Ready(Ok(response)) = &mut polled {
            // If the program captures the connection itself, only the response reveals it here.
            if let Some(connection) = response.extensions().get::<ConnectionHandle>() {
                begin_use(this.used, connection);
            }
            match this.used.take() {
                Some(used) if leaves_http(response) => used.keep(),
                Some(used) => drop(response.extensions_mut().insert(used)),
                None => {}
            }
        }
        polled
    }
}

/// Asks hyper-util for the connection of a request, unless the program has done so. Its capture, whose type is private, stays,
/// and this one remains empty.
fn capture(extensions: &mut Extensions) -> CaptureConnection {
    let mut own = Request::new(());
    let capture = capture_connection(&mut own);
    let own = mem::take(own.extensions_mut());
    let of_program = mem::replace(extensions, own);
    extensions.extend(of_program);
    capture
}

fn captured(capture: &CaptureConnection) -> Option<ConnectionHandle> {
    let connected = capture.connection_metadata();
    let mut extensions = Extensions::new();
    connected.as_ref()?.get_extras(&mut extensions);
    extensions.remove()
}

/// Notes the connection. The client may send a request again on another connection.
fn begin_use(used: &mut Option<ConnectionUse>, connection: &ConnectionHandle) {
    if !used.as_ref().is_some_and(|used| used.is_of(connection)) {
        *used = Some(connection.begin_use());
    }
}

/// Returns true if the connection becomes a tunnel or changes its protocol. Over HTTP/2, only a stream of it does.
fn leaves_http(response: &Response<Incoming>) -> bool {
    response.version() < Version::HTTP_2 && response.extensions().get::<OnUpgrade>().is_some()
}
