//! Telemark for programs that use the `tracing` crate: layers for `tracing-subscriber`.
//!
//! With the features `tracing` and `tracing-fmt`, one line installs everything: spans of `tracing` become real spans, events
//! become log records, and log lines on standard output carry the ids of their span.
//!
//! ```no_run
//! let _telemetry = telemark::builder().with_instrumentation(telemark::tracing::install).init()?;
//! tracing::info!("started");
//! # Ok::<(), telemark::ConfigError>(())
//! ```
//!
//! A program that builds its own subscriber adds the layer to it:
//!
//! ```
//! use tracing_subscriber::prelude::*;
//!
//! # fn main() -> Result<(), telemark::ConfigError> {
//! # let env = telemark::config::Env::from_pairs([("OTEL_SDK_DISABLED", "true")]);
//! # let _telemetry = telemark::builder().with_env(env).init()?;
//! // let _telemetry = telemark::init()?;
//! tracing_subscriber::registry().with(telemark::tracing::layer()).init();
//! tracing::info_span!("import", import.rows = 3).in_scope(|| tracing::info!("imported"));
//! # Ok(())
//! # }
//! ```

#[cfg(feature = "tracing")]
pub use telemark_tracing::{
    Bridge, BridgeFilter, LayerBuilder, MetricsBridge, MetricsFilter, MetricsLayer, OpenTelemetrySpanExt,
    SetParentError, TelemarkLayer, builder, install_log_tracer, layer, metrics_layer, span_context,
};

/// Installs the program's subscriber: [`layer()`] for telemetry, and log lines as [`fmt::install`] configures them. If the
/// program already has a global subscriber, keeps it and logs a warning. Records of the `log` crate are treated like events of
/// `tracing`, unless the program has set a logger.
///
/// `RUST_LOG` filters the lines only. `OTEL_RUST_SPANS` filters the spans.
#[cfg(all(feature = "tracing", feature = "tracing-fmt"))]
pub fn install(telemetry: &telemark_sdk::install::Telemetry) {
    let lines = fmt::LineLayer::from_env(&telemark_sdk::config::Env::process());
    let lines = lines.with_resource(telemetry.tracer_provider().resource()).with_ids_of_spans(span_context);
    fmt::install_lines(layer(), lines);
    install_log_tracer();
}

/// Log lines that contain the current span's ids.
///
/// ```no_run
/// // JSON to standard output, with the resource of this telemetry. `RUST_LOG` filters, by default `info`.
/// let _telemetry = telemark::builder().with_instrumentation(telemark::tracing::fmt::install).init()?;
/// # Ok::<(), telemark::ConfigError>(())
/// ```
///
/// The ids are correct regardless of how the span was created: by `#[traced]`, an HTTP layer, the OpenTelemetry API, or a layer
/// that converts `tracing` spans to OpenTelemetry spans. A program that builds its own subscriber adds a
/// [`LineLayer`](fmt::LineLayer) to it:
///
/// ```
/// use telemark::tracing::fmt::{Format, LineLayer};
/// use tracing_subscriber::prelude::*;
///
/// let subscriber = tracing_subscriber::registry().with(LineLayer::new(Format::Ecs));
/// # drop(subscriber);
/// ```
#[cfg(feature = "tracing-fmt")]
pub mod fmt {
    pub use telemark_tracing_fmt::{
        Format, LineLayer, Standard, StandardStream, dropped_lines, filter, init, init_with, install, install_lines,
        install_with, subscriber, subscriber_with,
    };
}
