//! The response body: polled in the span's context, and the end of the span.

use std::any::type_name;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use telemark_http::{End, RequestSpan};

use crate::future::watched;

pin_project! {
    /// The body of a response that is part of a span.
    ///
    /// Frames, size hint and end are those of the inner body. The span ends with the last frame; dropped before, it
    /// ends as cancelled.
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
        Self { inner, span, remaining: length }
    }
}

impl<B: Default> Default for ResponseBody<B> {
    /// An empty body without a span, for code that makes responses of its own.
    fn default() -> Self {
        Self::new(B::default(), None, None)
    }
}

impl<B: Body> Body for ResponseBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let Some(span) = this.span.as_mut() else {
            return this.inner.poll_frame(cx);
        };
        let polled = ready!(watched(span, || this.inner.as_mut().poll_frame(cx)));
        match &polled {
            None => span.end(End::Completed),
            Some(Err(_)) => span.end(End::Failed { error_type: type_name::<B::Error>() }),
            Some(Ok(frame)) => {
                if let Some(remaining) = this.remaining.as_mut() {
                    let sent = frame.data_ref().map_or(0, Buf::remaining);
                    *remaining = remaining.saturating_sub(u64::try_from(sent).unwrap_or(u64::MAX));
                }
                // A server does not ask again after any of these, it just drops the body.
                if frame.is_trailers() || *this.remaining == Some(0) || this.inner.is_end_stream() {
                    span.end(End::Completed);
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
