//! The client side: a layer around a channel.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use opentelemetry::InstrumentationScope;
use opentelemetry::metrics::Meter;
use opentelemetry::trace::Tracer;
use telemark_kit::GlobalTracer;
use tower_layer::Layer;
use tower_service::Service;

use crate::body::ResponseBody;
use crate::future::ClientFuture;
use crate::scope;
use crate::semantics::address::ServerAddress;
use crate::semantics::config::GrpcConfig;
use crate::semantics::instrumentation::Instrumentation;
use crate::semantics::metrics::CallMetrics;
use crate::semantics::status::{BoxError, Side};

/// Wraps a channel so that each call has a client span and metrics, and carries the trace context to the server.
///
/// A request passes through unobserved if another such layer around this one observes it.
///
/// Errors of the channel are boxed, as by tower's own layers, but not changed: tonic's clients report the same status.
#[derive(Clone, Debug)]
pub struct GrpcClientLayer<T = GlobalTracer> {
    config: GrpcConfig,
    tracer: T,
    metrics: CallMetrics,
    target: Option<ServerAddress>,
}

impl GrpcClientLayer {
    /// Returns a layer with the default settings, the global tracer and the global meter, for a channel to `target`.
    ///
    /// The target becomes `server.address` and `server.port`, which no layer can find out from a channel. It is the URI of the
    /// endpoint, or a name in gRPC's syntax:
    ///
    /// | target | `server.address` | `server.port` |
    /// |---|---|---|
    /// | `http://shop.example:50051` | `shop.example` | 50051 |
    /// | `dns:///shop.example:50051` | `shop.example` | 50051 |
    /// | `unix:///run/shop.sock` | `/run/shop.sock` | |
    /// | `ipv4:198.51.100.1:50051,198.51.100.2:50051` | all of it | |
    pub fn new(target: impl fmt::Display) -> Self {
        GrpcClientLayer {
            config: GrpcConfig::new(),
            tracer: GlobalTracer::new(scope()),
            metrics: CallMetrics::global(Side::Client, scope()),
            target: ServerAddress::of_target(&target.to_string()),
        }
    }
}

impl<T> GrpcClientLayer<T> {
    /// Replaces the settings, including those from the environment. The clock is kept unless the new settings have their own.
    ///
    /// To change only some settings, use [`GrpcClientLayer::map_config`].
    pub fn with_config(mut self, config: GrpcConfig) -> Self {
        self.config = config.or_clock_of(&self.config);
        self
    }

    /// Changes the settings. `change` receives the layer's settings, including those from the environment, and returns new ones.
    /// The clock is kept unless the new settings have their own.
    pub fn map_config(self, change: impl FnOnce(GrpcConfig) -> GrpcConfig) -> Self {
        let config = change(self.config.clone());
        self.with_config(config)
    }

    /// Replaces the tracer, usually with a concrete provider's tracer; see [`scope`].
    pub fn with_tracer<U>(self, tracer: U) -> GrpcClientLayer<U>
    where
        U: Tracer<Span: Send + Sync> + Clone + Send + Sync + 'static,
    {
        let GrpcClientLayer { config, metrics, target, .. } = self;
        GrpcClientLayer { config, tracer, metrics, target }
    }

    /// Replaces the global meter; see [`scope`]. The first call creates the instruments.
    pub fn with_meter(mut self, meter: &Meter) -> Self {
        self.metrics = CallMetrics::new(Side::Client, meter);
        self
    }

    /// Records on the global meter with another scope, for crates that wrap this one.
    pub fn with_global_meter(mut self, scope: InstrumentationScope) -> Self {
        self.metrics = CallMetrics::global(Side::Client, scope);
        self
    }
}

impl<S, T> Layer<S> for GrpcClientLayer<T>
where
    T: Tracer<Span: Send + Sync + 'static> + Clone + Send + Sync + 'static,
{
    type Service = GrpcClientService<S, T>;

    fn layer(&self, inner: S) -> Self::Service {
        let GrpcClientLayer { config, tracer, metrics, target } = self.clone();
        let client = Arc::new(Instrumentation::new(Side::Client, config, metrics, tracer, target));
        GrpcClientService { inner, client }
    }
}

/// A channel whose calls have a client span and metrics; created by [`GrpcClientLayer`].
pub struct GrpcClientService<S, T = GlobalTracer> {
    inner: S,
    client: Arc<Instrumentation<T>>,
}

// Not derived, because the tracer need not be `Clone`.
impl<S: Clone, T> Clone for GrpcClientService<S, T> {
    fn clone(&self) -> Self {
        GrpcClientService { inner: self.inner.clone(), client: Arc::clone(&self.client) }
    }
}

impl<S: fmt::Debug, T> fmt::Debug for GrpcClientService<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcClientService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, T, ReqBody, ResBody> Service<Request<ReqBody>> for GrpcClientService<S, T>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>, Error: Into<BoxError>>,
    ResBody: Body<Error: 'static>,
    T: Tracer<Span: Send + Sync + 'static> + Send + Sync + 'static,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = BoxError;
    type Future = ClientFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let mut call = self.client.send(&mut request);
        let future = match &mut call {
            None => self.inner.call(request),
            Some(call) => {
                // Attach the context, because a service may start its work before it returns the future.
                let _current = call.context().clone().attach();
                call.watch(|| self.inner.call(request))
            }
        };
        ClientFuture::new(future, call)
    }
}
