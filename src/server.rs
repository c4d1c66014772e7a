//! The HTTP server layers, to which the facade adds the installed tracer, the engine's clock, and settings from the
//! environment. The meter is the API's global one, which `init` sets if metrics are read. A layer created in a test uses
//! the tracer, the meter and the clock of the test's telemetry.

#[cfg(feature = "tower")]
use {
    opentelemetry::{Context, InstrumentationScope, metrics::MeterProvider},
    telemark_sdk::{
        config::Env,
        diag, metrics,
        time::Clock,
        trace::active::{self, ActiveTracer},
        trace::record_error_beside,
    },
    telemark_tower::{HttpPolicy, HttpServerLayer, ServerConfig},
};
#[cfg(feature = "http")]
use {std::borrow::Cow, telemark_http::ServedRoute, telemark_sdk::diag::RouteHealth};

/// The HTTP server layer for axum.
#[cfg(feature = "axum")]
pub mod axum {
    pub use telemark_axum::{
        AxumPolicy, ConfigProblem, HttpPolicy, HttpServerLayer, HttpServerService, LocalAddr, RequestHead,
        ResponseBody, ResponseFuture, ResponseHead, Route, ServerConfig,
    };

    use super::{ActiveTracer, on_current_telemetry};

    /// Returns the layer for `Router::layer`, using the telemetry started by [`init`](crate::init) and settings from the
    /// environment. It records spans and request durations. `OTEL_RUST_HTTP_SERVER_METRICS=duration,active_requests` adds
    /// the number of active requests, which the conventions make opt-in.
    ///
    /// Call `Router::layer` after the last route, because it applies to the routes before it. `client.address` needs the
    /// addresses of connections: serve `app.into_make_service_with_connect_info::<SocketAddr>()`.
    ///
    /// A layer created before `init` starts recording with `init`. [`HttpServerLayer::map_config`] changes individual
    /// settings and keeps the others from the environment.
    ///
    /// A layer created in a test records into the [`TestTelemetry`](crate::testing::TestTelemetry) attached there.
    pub fn layer() -> HttpServerLayer<AxumPolicy, ActiveTracer> {
        on_current_telemetry(telemark_axum::layer(), telemark_axum::scope(), "axum")
    }
}

/// The HTTP server layer for any tower service.
#[cfg(feature = "tower")]
pub mod tower {
    pub use telemark_tower::{
        ClientConfig, ClientExchange, ClientMetrics, ClientPolicy, ClientRequestHead, ClientResponseBody,
        ClientResponseHead, ConfigProblem, DefaultPolicy, HttpClientInstrumentation, HttpClientLayer,
        HttpClientService, HttpPolicy, HttpServerLayer, HttpServerService, LocalAddr, PeerAddr, RequestHead,
        ResendCounter, ResponseBody, ResponseFuture, ResponseHead, Route, ServerConfig, UrlTemplate,
    };

    use super::{ActiveTracer, on_current_telemetry};

    /// Returns the layer for clients, using the telemetry started by [`init`](crate::init) and settings from the environment:
    /// each request is a client span, is measured, and carries its trace context in its headers.
    ///
    /// A layer created in a test records into the [`TestTelemetry`](crate::testing::TestTelemetry) attached there.
    pub fn client_layer() -> HttpClientLayer {
        HttpClientLayer::with_instrumentation(crate::client::on_current_telemetry(telemark_tower::scope(), "tower"))
    }

    /// Returns the layer, using the telemetry started by [`init`](crate::init) and settings from the environment. It
    /// records spans and request durations. `OTEL_RUST_HTTP_SERVER_METRICS=duration,active_requests` adds the number of
    /// active requests, which the conventions make opt-in.
    ///
    /// A layer created before `init` starts recording with `init`. [`HttpServerLayer::map_config`] changes individual
    /// settings and keeps the others from the environment.
    ///
    /// A layer created in a test records into the [`TestTelemetry`](crate::testing::TestTelemetry) attached there.
    pub fn layer() -> HttpServerLayer<DefaultPolicy, ActiveTracer> {
        on_current_telemetry(HttpServerLayer::new(), telemark_tower::scope(), "tower")
    }
}

/// Returns the requests that the HTTP servers of this process have ended, by their route and the origin of the parent of their span.
#[cfg(feature = "http")]
pub(crate) fn routes() -> Vec<RouteHealth> {
    let served = telemark_http::served_requests().into_iter();
    served
        .map(|ServedRoute { route, without_parent, local_parent, remote_parent }| {
            RouteHealth::new(route.map(Cow::Borrowed), [without_parent, local_parent, remote_parent])
        })
        .collect()
}

/// Returns the layer with the current test's telemetry, or else with the program's telemetry.
#[cfg(feature = "tower")]
pub(crate) fn on_current_telemetry<P: HttpPolicy + Clone, T>(
    layer: HttpServerLayer<P, T>,
    scope: InstrumentationScope,
    integration: &str,
) -> HttpServerLayer<P, ActiveTracer> {
    let context = Context::current();
    let layer =
        layer.with_config(config(&context, integration, &Env::process())).with_tracer(ActiveTracer::new(scope.clone()));
    match metrics::active::in_context(&context) {
        Some(of_test) => layer.with_meter(&of_test.meter_with_scope(scope)),
        None => layer,
    }
}

#[cfg(feature = "tower")]
fn config(context: &Context, integration: &str, env: &Env) -> ServerConfig {
    let is_enabled = crate::enabled::is_enabled(integration, env);
    let config = ServerConfig::from_env_fn(|name| env.string(name)).with_enabled(is_enabled);
    for problem in config.problems() {
        diag::log(diag::Level::Warn, "http.config", format_args!("{problem}"));
    }
    // Uses the same clock as spans inside a request.
    let clock = active::clock_in_context(context).unwrap_or_else(Clock::system);
    // Keeps the status and `error.type` that a handler set on the span.
    config.with_clock(move || clock.now().into()).with_error_recorder(record_error_beside)
}

#[cfg(all(test, feature = "axum"))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use ::axum::{Router, body::Body, http::Request, http::StatusCode, routing::get};
    use opentelemetry::trace::{Status, TraceContextExt, Tracer};
    use tower::ServiceExt;

    use super::Env;
    use crate::testing::TestTelemetry;

    #[test]
    fn a_layer_that_the_environment_disables_records_nothing() {
        let telemetry = TestTelemetry::new();
        let _attached = telemetry.attach();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let spans = |variables: &[(&'static str, &'static str)]| {
            let env = Env::from_pairs(variables.iter().copied());
            let config = super::config(&opentelemetry::Context::current(), "axum", &env);
            let router =
                Router::new().route("/", get(async || "hello")).layer(super::axum::layer().with_config(config));
            let request = Request::get("/").body(Body::empty()).unwrap();
            let before = telemetry.spans().len();
            assert_eq!(runtime.block_on(router.oneshot(request)).unwrap().status(), StatusCode::OK);
            telemetry.spans().len() - before
        };
        assert_eq!(spans(&[]), 1);
        assert_eq!(spans(&[("OTEL_RUST_INSTRUMENTATION_AXUM_ENABLED", "false")]), 0);
        assert_eq!(spans(&[("OTEL_RUST_INSTRUMENTATION_TOWER_ENABLED", "false")]), 1);
        assert_eq!(spans(&[("OTEL_RUST_INSTRUMENTATION_COMMON_DEFAULT_ENABLED", "false")]), 0);
    }

    #[test]
    fn requests_are_counted_by_route_and_origin_without_being_asked_for() {
        use std::collections::BTreeSet;

        let telemetry = TestTelemetry::new();
        let _attached = telemetry.attach();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let router = Router::new()
            .route("/orphans/{id}", get(async || "hello"))
            .route("/orphans/none/told", get(async || "hello"))
            .layer(super::axum::layer());
        let answered = |path: &str, parent: Option<&str>| {
            let request =
                parent.iter().fold(Request::get(path), |request, parent| request.header("traceparent", *parent));
            let request = request.body(Body::empty()).unwrap();
            assert_eq!(runtime.block_on(router.clone().oneshot(request)).unwrap().status(), StatusCode::OK);
        };
        let [sampled, unsampled] = ["01", "00"].map(|flags| format!("00-{:032x}-{:016x}-{flags}", 7, 7));
        answered("/orphans/1", None);
        answered("/orphans/2", Some(&sampled));
        answered("/orphans/3", Some(&unsampled));
        answered("/orphans/4", Some("nonsense"));
        answered("/orphans/none/told", Some(&sampled));
        telemetry.tracer("test").in_span("outside", |_| answered("/orphans/5", None));

        let built = crate::builder().with_env(Env::from_pairs([("OTEL_TRACES_EXPORTER", "none")])).build().unwrap();
        let routes = built.health().routes.into_iter().filter_map(|one| {
            let route = one.route.clone().filter(|route| route.starts_with("/orphans/"))?;
            let share = format!("{:.2}", one.share_without_remote_parent());
            Some((route.into_owned(), [one.without_parent, one.local_parent, one.remote_parent], share))
        });
        let expected = [
            ("/orphans/none/told".to_owned(), [0, 0, 1], "0.00".to_owned()),
            ("/orphans/{id}".to_owned(), [2, 1, 2], "0.60".to_owned()),
        ];
        assert_eq!(routes.collect::<BTreeSet<_>>(), BTreeSet::from(expected));
    }

    #[test]
    fn what_a_handler_records_on_the_span_of_a_request_that_fails_stays() {
        let telemetry = TestTelemetry::new();
        let _attached = telemetry.attach();
        let router = Router::new()
            .route(
                "/described",
                get(async || {
                    opentelemetry::Context::current().span().set_status(Status::error("my reason"));
                    crate::set_attribute("error.type", "my_type");
                    StatusCode::BAD_GATEWAY
                }),
            )
            .route("/plain", get(async || StatusCode::BAD_GATEWAY))
            .layer(super::axum::layer());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for path in ["/described", "/plain"] {
            let request = Request::get(path).body(Body::empty()).unwrap();
            let response = runtime.block_on(router.clone().oneshot(request)).unwrap();
            assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
        }
        let ended: Vec<_> = (telemetry.spans().iter())
            .map(|span| {
                let error_type = span.attributes().find(|attribute| attribute.key.as_str() == "error.type");
                (span.status.clone(), error_type.map(|attribute| attribute.value.to_string()).unwrap_or_default())
            })
            .collect();
        assert_eq!(ended, [(Status::error("my reason"), "my_type".to_owned()), (Status::error(""), "502".to_owned())]);
    }
}
