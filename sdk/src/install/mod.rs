//! Everything together: providers and propagators from code and the environment, made global, flushed at the end.

mod builder;
mod telemetry;

pub use builder::TelemetryBuilder;
pub use telemetry::Telemetry;
