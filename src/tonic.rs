//! The gRPC layers, to which the facade adds the installed tracer, the engine's clock, and settings from the environment.
//!
//! ```no_run
//! # async fn example(routes: tonic::service::Routes) -> Result<(), Box<dyn std::error::Error>> {
//! // The server: every service, or, with `use tower::Layer`, `.add_service(telemark::tonic::server_layer().layer(service))`.
//! let server = tonic::transport::Server::builder().layer(telemark::tonic::server_layer()).add_routes(routes);
//!
//! // The client: pass the channel to the generated client.
//! let target = "http://inventory:50051";
//! let channel = tonic::transport::Channel::from_static(target).connect_lazy();
//! let channel = tower::ServiceBuilder::new().layer(telemark::tonic::client_layer(target)).service(channel);
//! # let _ = (server, channel);
//! # Ok(())
//! # }
//! ```
//!
//! The program depends on `tower` for `ServiceBuilder` and `Layer`. The channel's type is [`Traced<Channel>`](Traced), and that of a
//! generated client `ShopClient<Traced<Channel>>`. `telemark-tonic` describes how a call ends, and its metrics. tonic 0.14.9
//! requires Rust 1.88, and tonic 0.14.5 builds with 1.85.

use opentelemetry::Context;
use opentelemetry::metrics::{Meter, MeterProvider};
pub use telemark_tonic::{
    BoxError, ClientFuture, ConfigProblem, GrpcClientLayer, GrpcClientService, GrpcConfig, GrpcServerLayer,
    GrpcServerService, PeerAddr, ResponseBody, ServerFuture,
};

use telemark_sdk::config::Env;
use telemark_sdk::time::Clock;
use telemark_sdk::trace::active::{self, ActiveTracer};
use telemark_sdk::trace::record_error_beside;
use telemark_sdk::{diag, metrics};

/// A channel whose calls report to the telemetry of the program: the type that [`client_layer`] makes of `S`.
///
/// ```
/// use telemark::tonic::Traced;
/// use tonic::transport::Channel;
///
/// struct Stock {
///     channel: Traced<Channel>, // or, with generated code, `client: StockClient<Traced<Channel>>`
/// }
/// # fn is_channel(_: Traced<Channel>) {}
/// # let _ = |stock: Stock| is_channel(stock.channel);
/// ```
pub type Traced<S> = GrpcClientService<S, ActiveTracer>;

/// Returns the layer for `Server::builder().layer(..)`, or for one service, using the telemetry started by [`init`](crate::init)
/// and settings from the environment. It records spans and durations of calls, with the status from the trailers.
///
/// A layer created before `init` starts recording with `init`. [`GrpcServerLayer::map_config`] changes individual settings and
/// keeps the others from the environment. A layer created in a test records into the
/// [`TestTelemetry`](crate::testing::TestTelemetry) attached there.
pub fn server_layer() -> GrpcServerLayer<ActiveTracer> {
    let env = Env::process();
    let config = GrpcConfig::server_from_env_fn(|name| env.string(name));
    let layer = GrpcServerLayer::new().with_config(completed(config, &env)).with_tracer(tracer());
    match meter() {
        Some(of_test) => layer.with_meter(&of_test),
        None => layer,
    }
}

/// Returns the layer for a channel to `target`, using the telemetry started by [`init`](crate::init) and settings from the
/// environment. It records spans and durations of calls, and sends the trace context and baggage along, to any host:
/// `OTEL_RUST_HTTP_CLIENT_PROPAGATION_HOSTS` does not apply to gRPC.
///
/// `target` becomes `server.address` and `server.port`; see [`GrpcClientLayer::new`].
///
/// A layer created before `init` starts recording with `init`. [`GrpcClientLayer::map_config`] changes individual settings and
/// keeps the others from the environment. A layer created in a test records into the
/// [`TestTelemetry`](crate::testing::TestTelemetry) attached there.
pub fn client_layer(target: impl std::fmt::Display) -> GrpcClientLayer<ActiveTracer> {
    let env = Env::process();
    let config = GrpcConfig::client_from_env_fn(|name| env.string(name));
    let layer = GrpcClientLayer::new(target).with_config(completed(config, &env)).with_tracer(tracer());
    match meter() {
        Some(of_test) => layer.with_meter(&of_test),
        None => layer,
    }
}

fn tracer() -> ActiveTracer {
    ActiveTracer::new(telemark_tonic::scope())
}

/// Returns the meter of the current test.
fn meter() -> Option<Meter> {
    Some(metrics::active::in_context(&Context::current())?.meter_with_scope(telemark_tonic::scope()))
}

fn completed(config: GrpcConfig, env: &Env) -> GrpcConfig {
    for problem in config.problems() {
        diag::log(diag::Level::Warn, "grpc.config", format_args!("{problem}"));
    }
    // Uses the same clock as spans inside a call.
    let clock = active::clock_in_context(&Context::current()).unwrap_or_else(Clock::system);
    let config = config.with_enabled(crate::enabled::is_enabled("tonic", env));
    // Keeps the status and `error.type` that a handler set on the span.
    config.with_clock(move || clock.now().into()).with_error_recorder(record_error_beside)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use http::{HeaderMap, Request, Response};
    use opentelemetry::Context;
    use opentelemetry::trace::{Status, TraceContextExt};
    use tower::{Layer, ServiceExt, service_fn};

    use super::{Env, GrpcConfig};
    use crate::propagation::TraceContextPropagator;
    use crate::testing::TestTelemetry;

    fn call(path: &str) -> Request<tonic::body::Body> {
        let request = Request::post(path).header("content-type", "application/grpc");
        request.body(tonic::body::Body::empty()).unwrap()
    }

    #[test]
    fn both_layers_record_into_the_telemetry_of_a_test_and_keep_what_a_handler_records() {
        let telemetry = TestTelemetry::new();
        let _attached = telemetry.attach();
        let served = service_fn(async |request: Request<tonic::body::Body>| {
            if request.uri().path().ends_with("Described") {
                Context::current().span().set_status(Status::error("my reason"));
                crate::set_attribute("error.type", "my_type");
            }
            let status = tonic::Status::internal("from the status");
            Ok::<Response<tonic::body::Body>, std::convert::Infallible>(status.into_http())
        });
        let server = super::server_layer().layer(served);
        let client = super::client_layer("http://shop.example:50051").layer(server);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for path in ["/test.Facade/Described", "/test.Facade/Plain"] {
            runtime.block_on(client.clone().oneshot(call(path))).unwrap();
        }
        let ended: Vec<_> = (telemetry.spans().iter())
            .map(|span| {
                let error_type = span.attributes().find(|attribute| attribute.key.as_str() == "error.type");
                format!("{:?} {} {}", span.status, span.name, error_type.unwrap().value)
            })
            .collect();
        assert_eq!(
            ended,
            [
                "Error { description: \"my reason\" } test.Facade/Described my_type",
                "Error { description: \"from the status\" } test.Facade/Described INTERNAL",
                "Error { description: \"from the status\" } test.Facade/Plain INTERNAL",
                "Error { description: \"from the status\" } test.Facade/Plain INTERNAL",
            ]
        );
        let metrics = telemetry.metrics();
        assert!(metrics.contains("rpc.server.call.duration[s]{") && metrics.contains("rpc.client.call.duration[s]{"));
    }

    #[test]
    fn layers_that_the_environment_disables_pass_calls_on() {
        let telemetry = TestTelemetry::new();
        let _attached = telemetry.attach();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let headers = |variables: &[(&'static str, &'static str)]| -> HeaderMap {
            let env = Env::from_pairs(variables.iter().copied());
            let config = super::completed(GrpcConfig::new(), &env);
            let service = service_fn(async |request: Request<tonic::body::Body>| {
                let mut response = tonic::Status::ok("").into_http::<tonic::body::Body>();
                *response.headers_mut() = request.headers().clone();
                Ok::<_, std::convert::Infallible>(response)
            });
            let client = super::client_layer("shop").with_config(config).layer(service);
            runtime.block_on(client.oneshot(call("/test.Facade/Disabled"))).unwrap().headers().clone()
        };
        opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
        let enabled = headers(&[]);
        assert!(enabled.contains_key("traceparent"), "{enabled:?}");
        let spans = telemetry.spans().len();
        assert_eq!(spans, 1);
        let disabled = headers(&[("OTEL_RUST_INSTRUMENTATION_TONIC_ENABLED", "false")]);
        assert_eq!((disabled.len(), telemetry.spans().len()), (1, spans), "only the content type");
    }
}
