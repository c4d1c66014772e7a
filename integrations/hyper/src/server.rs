//! A service for hyper's server, with a span and a measurement for each request.

use std::net::SocketAddr;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use hyper::service::Service as HyperService;
use opentelemetry::trace::Tracer;
use telemark_tower::{DefaultPolicy, GlobalTracer, HttpPolicy, HttpServerLayer, HttpServerService, PeerAddr};
use telemark_tower::{ResponseBody, ResponseFuture};
use tower_layer::Layer;
use tower_service::Service as TowerService;

/// A service of hyper whose requests have a server span and metrics.
///
/// Cheap to clone if the service is.
#[derive(Debug)]
pub struct HttpService<S, P = DefaultPolicy, T = GlobalTracer> {
    inner: HttpServerService<AsTower<S>, P, T>,
    peer: Option<SocketAddr>,
}

impl<S, P, T> HttpService<S, P, T>
where
    P: HttpPolicy + Clone,
    T: Tracer<Span: Send + Sync + 'static> + Clone + Send + Sync + 'static,
{
    /// Wraps a service with the settings, the policy, the tracer and the meter of a layer, which all connections should share.
    pub fn new(layer: &HttpServerLayer<P, T>, service: S) -> Self {
        HttpService { inner: layer.layer(AsTower(service)), peer: None }
    }

    /// Sets the address of the connection's other end, for `client.address` and `network.peer.address`. A [`PeerAddr`] in the
    /// extensions of a request takes precedence.
    pub fn with_peer(mut self, peer: SocketAddr) -> Self {
        self.peer = Some(peer);
        self
    }
}

// Not derived, because the policy and the tracer need not be `Clone`.
impl<S: Clone, P, T> Clone for HttpService<S, P, T> {
    fn clone(&self) -> Self {
        HttpService { inner: self.inner.clone(), peer: self.peer }
    }
}

impl<S, P, T, ReqBody, ResBody> HyperService<Request<ReqBody>> for HttpService<S, P, T>
where
    S: HyperService<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    ResBody: Body,
    P: HttpPolicy,
    T: Tracer<Span: Send + Sync + 'static> + Send + Sync + 'static,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn call(&self, mut request: Request<ReqBody>) -> Self::Future {
        if let Some(peer) = self.peer.filter(|_| request.extensions().get::<PeerAddr>().is_none()) {
            request.extensions_mut().insert(PeerAddr(peer));
        }
        // A service of tower needs exclusive access.
        self.inner.clone().call(request)
    }
}

/// A service of hyper as one of tower.
#[derive(Clone, Debug)]
struct AsTower<S>(S);

impl<S, R> TowerService<R> for AsTower<S>
where
    S: HyperService<R>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> S::Future {
        self.0.call(request)
    }
}
