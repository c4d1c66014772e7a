//! The telemetry of clients whose code names none.

use opentelemetry::InstrumentationScope;
use telemark_http::{ClientConfig, ClientMetrics, GlobalTracer, HttpClientInstrumentation};

/// Provides the instrumentation of clients that are created without one, such as with `Client::new()`.
///
/// The facade implements it for its own types, so that they use the program's telemetry and its settings.
pub trait Defaults: 'static {
    /// Returns the instrumentation. Called once for each client, on the thread that creates it.
    fn instrumentation() -> HttpClientInstrumentation;
}

/// The API's global tracer and meter, and the default settings.
#[derive(Clone, Copy, Debug)]
pub struct GlobalTelemetry;

impl Defaults for GlobalTelemetry {
    fn instrumentation() -> HttpClientInstrumentation {
        HttpClientInstrumentation::new(ClientConfig::new(), GlobalTracer::new(scope()))
            .with_metrics(ClientMetrics::global(scope()))
    }
}

/// Returns this crate's instrumentation scope.
pub fn scope() -> InstrumentationScope {
    telemark_kit::scope(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
}
