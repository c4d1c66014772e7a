//! The response future, which is polled in the span's context until it returns a head.

use std::any::type_name;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Method, Response, StatusCode};
use http_body::Body;
use pin_project_lite::pin_project;
use telemark_http::{End, RequestSpan, ResponseHead};

use crate::body::ResponseBody;

pin_project! {
    /// The future returned by [`HttpServerService`](crate::HttpServerService).
    ///
    /// Ends the request as cancelled if it is dropped before it is ready.
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        // `None` for an excluded request, and after the span has been moved to the body.
        span: Option<RequestSpan>,
        method: BodyMethod,
    }
}

/// The request's method, reduced to its effect on the response body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyMethod {
    Head,
    Connect,
    Other,
}

impl BodyMethod {
    pub(crate) fn new(method: &Method) -> Self {
        match *method {
            Method::HEAD => BodyMethod::Head,
            Method::CONNECT => BodyMethod::Connect,
            _ => BodyMethod::Other,
        }
    }
}

impl<F> ResponseFuture<F> {
    pub(crate) fn new(inner: F, span: Option<RequestSpan>, method: BodyMethod) -> Self {
        ResponseFuture { inner, span, method }
    }
}

impl<F, ResBody, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<ResBody>, E>>,
    ResBody: Body,
{
    type Output = Result<Response<ResponseBody<ResBody>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(span) = this.span.as_mut() else {
            let result = ready!(this.inner.poll(cx));
            return Poll::Ready(result.map(|response| response.map(|body| ResponseBody::new(body, None, None))));
        };
        // Keep the context attached until this function returns, so that an exemplar recorded at the end points to this
        // span.
        let _current = span.context().clone().attach();
        let mut response = match ready!(span.watch(|| this.inner.poll(cx))) {
            Ok(response) => response,
            Err(error) => {
                span.end(End::Failed { error_type: type_name::<E>() });
                return Poll::Ready(Err(error));
            }
        };
        let length = respond(&mut response, span, *this.method);
        Poll::Ready(Ok(response.map(|body| ResponseBody::new(body, this.span.take(), length))))
    }
}

/// Records the head. Returns the length of the body if it is both known and needed.
fn respond<B: Body>(response: &mut Response<B>, span: &mut RequestSpan, method: BodyMethod) -> Option<u64> {
    if let Some((name, value)) = span.respond(ResponseHead::new(response)) {
        response.headers_mut().insert(name, value);
    }
    if !span.is_recording() {
        return None;
    }
    let length = content_length(response);
    if has_no_body(response, method, length) {
        span.end(End::Completed);
    }
    length
}

/// Returns the length on the wire. A server stops polling a body that has delivered this many bytes.
fn content_length<B: Body>(response: &Response<B>) -> Option<u64> {
    ResponseHead::new(response).content_length().or_else(|| response.body().size_hint().exact())
}

/// Returns true if the server will never poll this body.
///
/// spec: RFC 9110 section 6.4.1; after an upgrade, the connection no longer belongs to this request
fn has_no_body<B: Body>(response: &Response<B>, method: BodyMethod, length: Option<u64>) -> bool {
    let status = response.status();
    method == BodyMethod::Head
        || matches!(status, StatusCode::SWITCHING_PROTOCOLS | StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        || (method == BodyMethod::Connect && status.is_success())
        || length == Some(0)
        || response.body().is_end_stream()
}
