//! The layer, which holds the settings, policy, tracer and instruments of its services.

use std::sync::{Arc, OnceLock};

use opentelemetry::InstrumentationScope;
use opentelemetry::metrics::Meter;
use opentelemetry::trace::Tracer;
use telemark_http::{DefaultPolicy, HttpPolicy, HttpServerInstrumentation, ServerConfig, ServerMetrics};
use telemark_kit::GlobalTracer;
use tower_layer::Layer;

use crate::service::HttpServerService;

/// Wraps services so that each request has a server span and metrics.
///
/// Cheap to clone; all services of a layer share its settings, its tracer and its instruments.
#[derive(Clone, Debug)]
pub struct HttpServerLayer<P = DefaultPolicy, T = GlobalTracer> {
    config: ServerConfig,
    policy: P,
    tracer: T,
    metrics: ServerMetrics,
    /// Created from the other fields on first use. Shared by clones, because a router creates a service for each
    /// route, and some routers create one for each request.
    server: SharedServer<P, T>,
}

type SharedServer<P, T> = Arc<OnceLock<Arc<HttpServerInstrumentation<P, T>>>>;

/// Returns this crate's instrumentation scope, for the tracer passed to [`HttpServerLayer::with_tracer`] and the meter passed to
/// [`HttpServerLayer::with_meter`].
pub fn scope() -> InstrumentationScope {
    telemark_kit::scope(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
}

impl HttpServerLayer {
    /// Returns a layer with the default settings, no routes, the global tracer and the global meter.
    pub fn new() -> Self {
        HttpServerLayer {
            config: ServerConfig::new(),
            policy: DefaultPolicy,
            tracer: GlobalTracer::new(scope()),
            metrics: ServerMetrics::global(scope()),
            server: SharedServer::default(),
        }
    }
}

impl Default for HttpServerLayer {
    fn default() -> Self {
        HttpServerLayer::new()
    }
}

impl<P, T> HttpServerLayer<P, T> {
    /// Replaces the settings, including those from the environment. The clock is kept unless the new settings have their own.
    ///
    /// To change only some settings, use [`HttpServerLayer::map_config`].
    pub fn with_config(mut self, config: ServerConfig) -> Self {
        self.config = config.or_clock_of(&self.config);
        self.server = SharedServer::default();
        self
    }

    /// Changes the settings. `change` receives the layer's settings, including those from the environment, and returns new ones.
    /// Keeps the clock like [`HttpServerLayer::with_config`].
    pub fn map_config(self, change: impl FnOnce(ServerConfig) -> ServerConfig) -> Self {
        let config = change(self.config.clone());
        self.with_config(config)
    }

    /// Replaces the policy.
    pub fn with_policy<Q: HttpPolicy + Clone>(self, policy: Q) -> HttpServerLayer<Q, T> {
        let HttpServerLayer { config, tracer, metrics, .. } = self;
        HttpServerLayer { config, policy, tracer, metrics, server: SharedServer::default() }
    }

    /// Replaces the tracer, usually with a concrete provider's tracer; see [`scope`].
    pub fn with_tracer<U>(self, tracer: U) -> HttpServerLayer<P, U>
    where
        U: Tracer<Span: Send + Sync> + Clone + Send + Sync + 'static,
    {
        let HttpServerLayer { config, policy, metrics, .. } = self;
        HttpServerLayer { config, policy, tracer, metrics, server: SharedServer::default() }
    }

    /// Replaces the global meter; see [`scope`]. The first request creates the instruments.
    pub fn with_meter(mut self, meter: &Meter) -> Self {
        self.metrics = ServerMetrics::new(meter);
        self.server = SharedServer::default();
        self
    }

    /// Records on the global meter with another scope, for crates that wrap this one.
    pub fn with_global_meter(mut self, scope: InstrumentationScope) -> Self {
        self.metrics = ServerMetrics::global(scope);
        self.server = SharedServer::default();
        self
    }
}

impl<S, P, T> Layer<S> for HttpServerLayer<P, T>
where
    P: HttpPolicy + Clone,
    T: Tracer<Span: Send + Sync + 'static> + Clone + Send + Sync + 'static,
{
    type Service = HttpServerService<S, P, T>;

    fn layer(&self, inner: S) -> Self::Service {
        let server = self.server.get_or_init(|| {
            let server = HttpServerInstrumentation::new(self.config.clone(), self.policy.clone(), self.tracer.clone());
            Arc::new(server.with_metrics(self.metrics.clone()))
        });
        HttpServerService::new(inner, Arc::clone(server))
    }
}
