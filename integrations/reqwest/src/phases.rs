//! The phases of new connections: a resolver and a connector that report to the request that waits for them.

use std::sync::Arc;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::dns::{GaiResolver, Name as HyperName};
use reqwest::ClientBuilder;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use telemark_http::{BoxError, ConnectionPhase, PhaseFuture};
use tower_layer::Layer;
use tower_service::Service;

/// A resolver whose work is a phase of the request that waits for it, if that request asks for phases.
pub(crate) struct ObservedResolver<R: ?Sized>(pub(crate) Arc<R>);

impl<R: Resolve + ?Sized> Resolve for ObservedResolver<R> {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(PhaseFuture::new(ConnectionPhase::Dns, true, || self.0.resolve(name)))
    }
}

/// The system's resolver, which is reqwest's default.
struct SystemResolver(GaiResolver);

impl Resolve for SystemResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let mut resolver = self.0.clone();
        Box::pin(async move {
            let name: HyperName = name.as_str().parse()?;
            let addresses = resolver.call(name).await?;
            Ok::<Addrs, BoxError>(Box::new(addresses))
        })
    }
}

/// Observes reqwest's default resolver, unless that is hickory's, which this crate cannot create.
pub(crate) fn observe_default_resolver(builder: ClientBuilder) -> ClientBuilder {
    if is_hickory_default() {
        return builder;
    }
    builder.dns_resolver(ObservedResolver(Arc::new(SystemResolver(GaiResolver::new()))))
}

/// Returns true if reqwest was built with its feature `hickory-dns`, which makes that resolver the default. A dependent crate cannot
/// see reqwest's features, but the method below exists only with this one, and otherwise the trait's method takes its place.
fn is_hickory_default() -> bool {
    #[allow(dead_code, reason = "reqwest's own method takes precedence if it exists")]
    trait WithoutHickory: Sized {
        fn hickory_dns(self, _enable: bool) -> Absent {
            Absent
        }
    }
    impl WithoutHickory for ClientBuilder {}

    #[allow(dead_code, reason = "only the trait's method returns it")]
    struct Absent;

    trait Answer {
        const IS_HICKORY: bool;
    }
    impl Answer for Absent {
        const IS_HICKORY: bool = false;
    }
    impl Answer for ClientBuilder {
        const IS_HICKORY: bool = true;
    }

    fn answer<T: Answer>(_method: impl FnOnce(ClientBuilder) -> T) -> bool {
        T::IS_HICKORY
    }
    answer(|builder: ClientBuilder| builder.hickory_dns(true))
}

/// Wraps the connector, so that connecting is a phase.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PhaseLayer;

impl<S> Layer<S> for PhaseLayer {
    type Service = ObservedConnector<S>;

    fn layer(&self, inner: S) -> ObservedConnector<S> {
        ObservedConnector(inner)
    }
}

/// A connector whose work is a phase of the request that waits for it.
#[derive(Clone, Debug)]
pub(crate) struct ObservedConnector<S>(S);

impl<S, T> Service<T> for ObservedConnector<S>
where
    S: Service<T, Error = BoxError>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = PhaseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, target: T) -> Self::Future {
        PhaseFuture::new(ConnectionPhase::Connect, true, || self.0.call(target))
    }
}
