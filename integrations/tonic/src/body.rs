//! The response body, which is polled in the context of the call and ends it.

use std::any::Any;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tonic::{Code, Status};

use crate::semantics::call::{Call, End};
use crate::semantics::status::{BoxError, CallStatus};

pin_project! {
    /// The body of a response that is part of a call.
    ///
    /// Delegates frames, the size hint and the end of the stream to the inner body. The call ends with the trailers, or as
    /// cancelled if the body is dropped earlier.
    #[derive(Debug)]
    pub struct ResponseBody<B> {
        #[pin]
        inner: B,
        call: Option<Call>,
    }
}

impl<B> ResponseBody<B> {
    pub(crate) fn new(inner: B, call: Option<Call>) -> Self {
        ResponseBody { inner, call }
    }
}

impl<B: Default> Default for ResponseBody<B> {
    /// Returns an empty body without a call, for code that creates its own responses.
    fn default() -> Self {
        ResponseBody::new(B::default(), None)
    }
}

impl<B: Body<Error: 'static>> Body for ResponseBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let mut inner = this.inner;
        let Some(call) = this.call.as_mut() else {
            return inner.poll_frame(cx);
        };
        // Keep the context attached until this function returns, so that an exemplar recorded at the end points to this
        // span.
        let _current = call.context().clone().attach();
        let polled = ready!(call.watch(|| inner.as_mut().poll_frame(cx)));
        match &polled {
            None => call.end(End::WithoutStatus),
            Some(Err(error)) => call.end(End::Status(status_of(error))),
            Some(Ok(frame)) => match frame.trailers_ref() {
                Some(trailers) => call.trailers(trailers),
                // A server drops such a body without polling it again.
                None if inner.is_end_stream() => call.end(End::WithoutStatus),
                None => {}
            },
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

/// Returns the status in an error of any type: tonic's own, or a boxed one.
pub(crate) fn status_of<E: 'static>(error: &E) -> CallStatus {
    let error: &dyn Any = error;
    match (error.downcast_ref::<Status>(), error.downcast_ref::<BoxError>()) {
        (Some(status), _) => CallStatus::in_error(status),
        (None, Some(error)) => CallStatus::in_error(&**error),
        (None, None) => CallStatus::new(Code::Unknown),
    }
}
