//! The service, which records a span and a measurement for each call.

use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use opentelemetry::trace::Tracer;
use telemark_http::{DefaultPolicy, HttpPolicy, HttpServerInstrumentation, RequestHead};
use telemark_kit::GlobalTracer;
use tower_service::Service;

use crate::body::ResponseBody;
use crate::future::{BodyMethod, ResponseFuture};

/// A service whose requests have a server span and metrics; created by [`HttpServerLayer`](crate::HttpServerLayer).
#[derive(Debug)]
pub struct HttpServerService<S, P = DefaultPolicy, T = GlobalTracer> {
    inner: S,
    server: Arc<HttpServerInstrumentation<P, T>>,
}

impl<S, P, T> HttpServerService<S, P, T> {
    pub(crate) fn new(inner: S, server: Arc<HttpServerInstrumentation<P, T>>) -> Self {
        HttpServerService { inner, server }
    }
}

// Not derived, because the policy and the tracer need not be `Clone`.
impl<S: Clone, P, T> Clone for HttpServerService<S, P, T> {
    fn clone(&self) -> Self {
        HttpServerService { inner: self.inner.clone(), server: Arc::clone(&self.server) }
    }
}

impl<S, P, T, ReqBody, ResBody> Service<Request<ReqBody>> for HttpServerService<S, P, T>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: Body,
    P: HttpPolicy,
    T: Tracer<Span: Send + Sync + 'static> + Send + Sync + 'static,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let method = BodyMethod::new(request.method());
        let mut span = self.server.begin(RequestHead::new(&request));
        let future = match &mut span {
            None => self.inner.call(request),
            Some(span) => {
                // Attach the context, because a service may start its work before it returns the future.
                let _current = span.context().clone().attach();
                span.watch(|| self.inner.call(request))
            }
        };
        ResponseFuture::new(future, span, method)
    }
}
