//! The service, which records a span and a measurement for each request that it sends.

use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use telemark_http::{ClientExchange, ClientLibrary, ClientResponseBody, HttpClientInstrumentation};
use tower_service::Service;

use super::failure::failure;

/// A service whose requests have a client span and metrics; created by [`HttpClientLayer`](crate::HttpClientLayer).
#[derive(Clone, Debug)]
pub struct HttpClientService<S> {
    inner: S,
    instrumentation: HttpClientInstrumentation,
}

impl<S> HttpClientService<S> {
    pub(crate) fn new(inner: S, instrumentation: HttpClientInstrumentation) -> Self {
        HttpClientService { inner, instrumentation }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for HttpClientService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    S::Error: 'static,
    ReqBody: Body,
    ResBody: Body,
{
    type Response = Response<ClientResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ClientExchange<S::Future, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let library = ClientLibrary::new(failure::<S::Error>);
        self.instrumentation.exchange(request, library, |request| self.inner.call(request))
    }
}
