//! The HTTP server layers with what the facade adds to them: the installed tracer, the engine's clock, and settings from
//! the environment. The meter is the API's global one, which `init` sets if metrics are read.

#[cfg(feature = "tower")]
use {
    telemark_sdk::{config::Env, diag, time::Clock, trace::active::ActiveTracer},
    telemark_tower::ServerSettings,
};

/// The HTTP server layer for axum.
#[cfg(feature = "axum")]
pub mod axum {
    pub use telemark_axum::*;

    use super::{ActiveTracer, settings};

    /// The layer for `Router::layer`, on the telemetry of [`init`](crate::init), with settings from the environment: spans,
    /// and the durations of requests. `OTEL_RUST_HTTP_SERVER_METRICS=duration,active_requests` also counts those that are
    /// being served, which the conventions want to be asked for.
    ///
    /// It may be made before `init` and then records from there on. [`HttpServerLayer::map_settings`] changes settings and
    /// keeps those from the environment.
    pub fn layer() -> HttpServerLayer<AxumPolicy, ActiveTracer> {
        telemark_axum::layer().with_settings(settings()).with_tracer(ActiveTracer::new(telemark_axum::scope()))
    }
}

/// The HTTP server layer for any tower service.
#[cfg(feature = "tower")]
pub mod tower {
    pub use telemark_tower::*;

    use super::{ActiveTracer, settings};

    /// The layer, on the telemetry of [`init`](crate::init), with settings from the environment: spans, and the durations
    /// of requests. `OTEL_RUST_HTTP_SERVER_METRICS=duration,active_requests` also counts those that are being served, which
    /// the conventions want to be asked for.
    ///
    /// It may be made before `init` and then records from there on. [`HttpServerLayer::map_settings`] changes settings and
    /// keeps those from the environment.
    pub fn layer() -> HttpServerLayer<DefaultPolicy, ActiveTracer> {
        HttpServerLayer::new().with_settings(settings()).with_tracer(ActiveTracer::new(telemark_tower::scope()))
    }
}

#[cfg(feature = "tower")]
fn settings() -> ServerSettings {
    let env = Env::process();
    let settings = ServerSettings::from_env_fn(|name| env.string(name));
    for problem in settings.problems() {
        diag::log(diag::Level::Warn, "http.settings", format_args!("{problem}"));
    }
    // Spans inside of a request have the same clock.
    settings.with_clock(|| Clock::system().now().into())
}
