//! The layer: settings, policy and tracer, before they are shared by the services.

use std::sync::Arc;

use opentelemetry::InstrumentationScope;
use opentelemetry::trace::Tracer;
use telemark_http::{DefaultPolicy, GlobalTracer, HttpPolicy, HttpServer, ServerSettings};
use tower_layer::Layer;

use crate::service::HttpServerService;

/// Wraps services so that each request has a server span.
///
/// Cheap to clone; services made from one layer share its settings and its tracer.
#[derive(Debug, Clone)]
pub struct HttpServerLayer<P = DefaultPolicy, T = GlobalTracer> {
    settings: ServerSettings,
    policy: P,
    tracer: T,
}

/// The instrumentation scope of this crate, to make a tracer for [`HttpServerLayer::with_tracer`].
pub fn scope() -> InstrumentationScope {
    telemark_http::scope(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
}

impl HttpServerLayer {
    /// A layer with the default settings, no routes, and the global tracer.
    pub fn new() -> Self {
        Self { settings: ServerSettings::new(), policy: DefaultPolicy, tracer: GlobalTracer::new(scope()) }
    }
}

impl Default for HttpServerLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<P, T> HttpServerLayer<P, T> {
    /// Replaces the settings.
    pub fn with_settings(mut self, settings: ServerSettings) -> Self {
        self.settings = settings;
        self
    }

    /// Replaces the policy.
    pub fn with_policy<Q: HttpPolicy + Clone>(self, policy: Q) -> HttpServerLayer<Q, T> {
        HttpServerLayer { settings: self.settings, policy, tracer: self.tracer }
    }

    /// Replaces the tracer, usually by that of a provider whose type is known; see [`scope`].
    pub fn with_tracer<U>(self, tracer: U) -> HttpServerLayer<P, U>
    where
        U: Tracer<Span: Send + Sync> + Clone + Send + Sync + 'static,
    {
        HttpServerLayer { settings: self.settings, policy: self.policy, tracer }
    }
}

impl<S, P, T> Layer<S> for HttpServerLayer<P, T>
where
    P: HttpPolicy + Clone,
    T: Tracer<Span: Send + Sync + 'static> + Clone,
{
    type Service = HttpServerService<S, P, T>;

    fn layer(&self, inner: S) -> Self::Service {
        let Self { settings, policy, tracer } = self.clone();
        HttpServerService::new(inner, Arc::new(HttpServer::new(settings, policy, tracer)))
    }
}
