//! The future of a request, which is polled in the span's context until it returns a head.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Extensions;
use pin_project_lite::pin_project;
use reqwest::{Client, Error, Request, Response};
use telemark_http::{ClientCall, ClientRequestHead, ClientResponseHead, HttpClientInstrumentation, Target};

use crate::body::metered;
use crate::failure::failure;
use crate::redirects::{CallState, Redirects};

/// Begins a span, and sends the request within it.
pub(crate) fn send(
    client: &Client,
    instrumentation: &HttpClientInstrumentation,
    redirects: &Redirects,
    mut request: Request,
    template: Option<&str>,
) -> impl Future<Output = Result<Response, Error>> + Send + use<> {
    let mut state = redirects.state(instrumentation, &request).map(Box::new);
    let mut call = begin(instrumentation, &mut request, template, None);
    let client = client.clone();
    let execute = move |request| client.execute(request);
    let inner = {
        // Attach the context, because reqwest starts its work before it returns the future.
        let _entered = call.enter();
        CallState::during(&mut state, || call.watch(|| execute(request)))
    };
    Sending { inner, execute, call, state }
}

/// Begins a span, and writes its context into the headers of the request.
pub(crate) fn begin(
    instrumentation: &HttpClientInstrumentation,
    request: &mut Request,
    template: Option<&str>,
    extensions: Option<&Extensions>,
) -> ClientCall {
    let target = Target::parse(request.url().as_str());
    let mut head = ClientRequestHead::from_parts(request.method(), target, request.headers());
    head.url_template = template;
    head.extensions = extensions;
    head.body_bytes = match request.body() {
        None => Some(0),
        Some(body) => body.as_bytes().and_then(|bytes| u64::try_from(bytes.len()).ok()),
    };
    let call = instrumentation.begin(head);
    call.inject(request.headers_mut());
    call
}

/// Ends the span with the head of the response.
pub(crate) fn respond(call: &mut ClientCall, response: Response) -> Response {
    let (status, version) = (response.status(), response.version());
    let mut head = ClientResponseHead::from_parts(status, version, response.headers(), response.extensions());
    head.peer = response.remote_addr();
    match call.respond(head) {
        Some(meter) => metered(response, meter),
        None => response,
    }
}

/// Ends the span with an error.
pub(crate) fn fail(call: &mut ClientCall, error: &Error) {
    if call.is_recording() {
        call.fail(failure(error));
    }
}

pin_project! {
    /// The future of a request.
    struct Sending<F, S> {
        // Dropped before the future, so that the phase of a connection that the call waits for is known when the call ends.
        call: ClientCall,
        #[pin]
        inner: F,
        execute: S,
        // Only if the redirects of this call need more than the client's builder knew.
        state: Option<Box<CallState>>,
    }
}

impl<F, S> Future for Sending<F, S>
where
    F: Future<Output = Result<Response, Error>>,
    S: Fn(Request) -> F,
{
    type Output = Result<Response, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        // Keep the context attached until this function returns, so that an exemplar recorded at the end points to this
        // span.
        let _entered = this.call.enter();
        loop {
            let (call, inner) = (&mut *this.call, this.inner.as_mut());
            let polled = CallState::during(this.state, || call.watch(|| inner.poll(cx)));
            let response = match ready!(polled) {
                Ok(response) => response,
                Err(error) => {
                    fail(this.call, &error);
                    return Poll::Ready(Err(error));
                }
            };
            match this.state.as_mut().and_then(|state| state.next()) {
                Some(request) => {
                    let (call, execute) = (&mut *this.call, &*this.execute);
                    let next = CallState::during(this.state, || call.watch(|| execute(request)));
                    this.inner.set(next);
                }
                None => return Poll::Ready(Ok(respond(this.call, response))),
            }
        }
    }
}

pin_project! {
    /// The future of a request, or of one that could not be built.
    #[project = EitherProjection]
    pub(crate) enum Either<F> {
        Sent { #[pin] future: F },
        Failed { error: Option<Error> },
    }
}

pub(crate) fn failed<F>(error: Error) -> Either<F> {
    Either::Failed { error: Some(error) }
}

impl<F: Future<Output = Result<Response, Error>>> Future for Either<F> {
    type Output = Result<Response, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            EitherProjection::Sent { future } => future.poll(cx),
            EitherProjection::Failed { error } => match error.take() {
                Some(error) => Poll::Ready(Err(error)),
                None => Poll::Pending,
            },
        }
    }
}
