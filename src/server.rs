//! The HTTP server layers, with the parts that the facade adds: the installed tracer, the engine's clock, and settings from
//! the environment. The meter is the API's global one, which `init` sets if metrics are read. A layer that a test creates has
//! the tracer, the meter and the clock of the test's telemetry.

#[cfg(feature = "tower")]
use {
    opentelemetry::{Context, InstrumentationScope, metrics::MeterProvider},
    telemark_sdk::{
        config::Env,
        diag, metrics,
        time::Clock,
        trace::active::{self, ActiveTracer},
    },
    telemark_tower::{HttpPolicy, HttpServerLayer, ServerSettings},
};

/// The HTTP server layer for axum.
#[cfg(feature = "axum")]
pub mod axum {
    pub use telemark_axum::{
        AxumPolicy, HttpPolicy, HttpServerLayer, HttpServerService, LocalAddr, RequestHead, ResponseBody,
        ResponseFuture, ResponseHead, Route, ServerSettings, SettingProblem,
    };

    use super::{ActiveTracer, on_current_telemetry};

    /// Returns the layer for `Router::layer`, on the telemetry of [`init`](crate::init), with settings from the environment. It
    /// records spans and the durations of requests; `OTEL_RUST_HTTP_SERVER_METRICS=duration,active_requests` adds the number of
    /// active requests, which the conventions make opt-in.
    ///
    /// A layer that is created before `init` records from `init` on. [`HttpServerLayer::map_settings`] changes settings and
    /// keeps those from the environment.
    ///
    /// A layer that is created in a test records into the [`TestTelemetry`](crate::testing::TestTelemetry) attached there.
    pub fn layer() -> HttpServerLayer<AxumPolicy, ActiveTracer> {
        on_current_telemetry(telemark_axum::layer(), telemark_axum::scope())
    }
}

/// The HTTP server layer for any tower service.
#[cfg(feature = "tower")]
pub mod tower {
    pub use telemark_tower::{
        DefaultPolicy, HttpPolicy, HttpServerLayer, HttpServerService, LocalAddr, PeerAddr, RequestHead, ResponseBody,
        ResponseFuture, ResponseHead, Route, ServerSettings, SettingProblem,
    };

    use super::{ActiveTracer, on_current_telemetry};

    /// Returns the layer, on the telemetry of [`init`](crate::init), with settings from the environment. It records spans and the
    /// durations of requests; `OTEL_RUST_HTTP_SERVER_METRICS=duration,active_requests` adds the number of active requests,
    /// which the conventions make opt-in.
    ///
    /// A layer that is created before `init` records from `init` on. [`HttpServerLayer::map_settings`] changes settings and
    /// keeps those from the environment.
    ///
    /// A layer that is created in a test records into the [`TestTelemetry`](crate::testing::TestTelemetry) attached there.
    pub fn layer() -> HttpServerLayer<DefaultPolicy, ActiveTracer> {
        on_current_telemetry(HttpServerLayer::new(), telemark_tower::scope())
    }
}

/// Returns the layer on the telemetry of the current test, or else of the program.
#[cfg(feature = "tower")]
fn on_current_telemetry<P: HttpPolicy + Clone, T>(
    layer: HttpServerLayer<P, T>,
    scope: InstrumentationScope,
) -> HttpServerLayer<P, ActiveTracer> {
    let context = Context::current();
    let layer = layer.with_settings(settings(&context)).with_tracer(ActiveTracer::new(scope.clone()));
    match metrics::active::in_context(&context) {
        Some(of_test) => layer.with_meter(&of_test.meter_with_scope(scope)),
        None => layer,
    }
}

#[cfg(feature = "tower")]
fn settings(context: &Context) -> ServerSettings {
    let env = Env::process();
    let settings = ServerSettings::from_env_fn(|name| env.string(name));
    for problem in settings.problems() {
        diag::log(diag::Level::Warn, "http.settings", format_args!("{problem}"));
    }
    // Spans inside a request have the same clock.
    let clock = active::clock_in_context(context).unwrap_or_else(Clock::system);
    settings.with_clock(move || clock.now().into())
}
