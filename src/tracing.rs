//! `telemark::tracing`: additions for programs that log through the crate `tracing`.

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
        Format, LineLayer, Standard, StandardStream, dropped_lines, filter, init, init_with, install, subscriber,
        subscriber_with,
    };
}
