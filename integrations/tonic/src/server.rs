//! The server side: a layer for a whole server, or for one of its services.

use std::fmt;
use std::sync::{Arc, OnceLock};
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
use crate::future::ServerFuture;
use crate::scope;
use crate::semantics::config::GrpcConfig;
use crate::semantics::instrumentation::Instrumentation;
use crate::semantics::metrics::CallMetrics;
use crate::semantics::status::Side;

/// Wraps services so that each call has a server span and metrics.
///
/// A request passes through unobserved if another such layer observes it, for example one for the whole server.
///
/// Cheap to clone; all services of a layer share its settings, its tracer and its instruments.
#[derive(Clone, Debug)]
pub struct GrpcServerLayer<T = GlobalTracer> {
    config: GrpcConfig,
    tracer: T,
    metrics: CallMetrics,
    /// Created from the other fields on first use, and shared by clones.
    server: Arc<OnceLock<Arc<Instrumentation<T>>>>,
}

impl GrpcServerLayer {
    /// Returns a layer with the default settings, the global tracer and the global meter.
    pub fn new() -> Self {
        GrpcServerLayer {
            config: GrpcConfig::new(),
            tracer: GlobalTracer::new(scope()),
            metrics: CallMetrics::global(Side::Server, scope()),
            server: Arc::default(),
        }
    }
}

impl Default for GrpcServerLayer {
    fn default() -> Self {
        GrpcServerLayer::new()
    }
}

impl<T> GrpcServerLayer<T> {
    /// Replaces the settings, including those from the environment. The clock is kept unless the new settings have their own.
    ///
    /// To change only some settings, use [`GrpcServerLayer::map_config`].
    pub fn with_config(mut self, config: GrpcConfig) -> Self {
        self.config = config.or_clock_of(&self.config);
        self.server = Arc::default();
        self
    }

    /// Changes the settings. `change` receives the layer's settings, including those from the environment, and returns new ones.
    /// The clock is kept unless the new settings have their own.
    pub fn map_config(self, change: impl FnOnce(GrpcConfig) -> GrpcConfig) -> Self {
        let config = change(self.config.clone());
        self.with_config(config)
    }

    /// Replaces the tracer, usually with a concrete provider's tracer; see [`scope`].
    pub fn with_tracer<U>(self, tracer: U) -> GrpcServerLayer<U>
    where
        U: Tracer<Span: Send + Sync> + Clone + Send + Sync + 'static,
    {
        let GrpcServerLayer { config, metrics, .. } = self;
        GrpcServerLayer { config, tracer, metrics, server: Arc::default() }
    }

    /// Replaces the global meter; see [`scope`]. The first call creates the instruments.
    pub fn with_meter(mut self, meter: &Meter) -> Self {
        self.metrics = CallMetrics::new(Side::Server, meter);
        self.server = Arc::default();
        self
    }

    /// Records on the global meter with another scope, for crates that wrap this one.
    pub fn with_global_meter(mut self, scope: InstrumentationScope) -> Self {
        self.metrics = CallMetrics::global(Side::Server, scope);
        self.server = Arc::default();
        self
    }
}

impl<S, T> Layer<S> for GrpcServerLayer<T>
where
    T: Tracer<Span: Send + Sync + 'static> + Clone + Send + Sync + 'static,
{
    type Service = GrpcServerService<S, T>;

    fn layer(&self, inner: S) -> Self::Service {
        let server = self.server.get_or_init(|| {
            let (config, metrics, tracer) = (self.config.clone(), self.metrics.clone(), self.tracer.clone());
            Arc::new(Instrumentation::new(Side::Server, config, metrics, tracer, None))
        });
        GrpcServerService { inner, server: Arc::clone(server) }
    }
}

/// A service whose calls have a server span and metrics; created by [`GrpcServerLayer`].
pub struct GrpcServerService<S, T = GlobalTracer> {
    inner: S,
    server: Arc<Instrumentation<T>>,
}

// Not derived, because the tracer need not be `Clone`.
impl<S: Clone, T> Clone for GrpcServerService<S, T> {
    fn clone(&self) -> Self {
        GrpcServerService { inner: self.inner.clone(), server: Arc::clone(&self.server) }
    }
}

impl<S: fmt::Debug, T> fmt::Debug for GrpcServerService<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcServerService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

/// The name of the inner service, by which tonic's router finds it.
impl<S: tonic::server::NamedService, T> tonic::server::NamedService for GrpcServerService<S, T> {
    const NAME: &'static str = S::NAME;
}

impl<S, T, ReqBody, ResBody> Service<Request<ReqBody>> for GrpcServerService<S, T>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>, Error: 'static>,
    ResBody: Body<Error: 'static>,
    T: Tracer<Span: Send + Sync + 'static> + Send + Sync + 'static,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ServerFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let mut call = self.server.receive(&mut request);
        let future = match &mut call {
            None => self.inner.call(request),
            Some(call) => {
                // Attach the context, because a service may start its work before it returns the future.
                let _current = call.context().clone().attach();
                call.watch(|| self.inner.call(request))
            }
        };
        ServerFuture::new(future, call)
    }
}
