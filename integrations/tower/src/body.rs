//! The response body, which is polled in the span's context and ends the request.

use std::any::type_name;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use telemark_http::{End, RequestSpan};

pin_project! {
    /// The body of a response that is part of a span.
    ///
    /// Delegates frames, the size hint and the end of the stream to the inner body. The span ends with the last frame, or as
    /// cancelled if the body is dropped earlier.
    #[derive(Debug)]
    pub struct ResponseBody<B> {
        #[pin]
        inner: B,
        span: Option<RequestSpan>,
        remaining: Option<u64>,
    }
}

impl<B> ResponseBody<B> {
    pub(crate) fn new(inner: B, span: Option<RequestSpan>, length: Option<u64>) -> Self {
        ResponseBody { inner, span, remaining: length }
    }
}

impl<B: Default> Default for ResponseBody<B> {
    /// Returns an empty body without a span, for code that creates its own responses.
    fn default() -> Self {
        ResponseBody::new(B::default(), None, None)
    }
}

impl<B: Body> Body for ResponseBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let (mut inner, remaining) = (this.inner, this.remaining);
        let Some(span) = this.span.as_mut() else {
            return inner.poll_frame(cx);
        };
        // Keep the context attached until this function returns, so that an exemplar recorded at the end points to this
        // span.
        let _current = span.context().clone().attach();
        let polled = ready!(span.watch(|| inner.as_mut().poll_frame(cx)));
        let is_over = match &polled {
            None => {
                span.end(End::Completed);
                true
            }
            Some(Err(_)) => {
                span.end(End::Failed { error_type: type_name::<B::Error>() });
                true
            }
            Some(Ok(frame)) => {
                let sent = frame.data_ref().map_or(0, |data| u64::try_from(data.remaining()).unwrap_or(u64::MAX));
                span.add_response_bytes(sent);
                if let Some(remaining) = remaining.as_mut() {
                    *remaining = remaining.saturating_sub(sent);
                }
                // In each of these cases, a server drops the body without polling it again.
                let is_over = frame.is_trailers() || inner.is_end_stream();
                if is_over || *remaining == Some(0) {
                    span.end(End::Completed);
                }
                is_over
            }
        };
        if is_over {
            // Whoever polls again only learns that nothing is left, which needs no context.
            *this.span = None;
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
