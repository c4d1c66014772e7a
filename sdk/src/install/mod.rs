//! Everything together: providers and propagators from code and the environment, made global, flushed at the end.
//!
//! | file | owns |
//! |---|---|
//! | `builder` | settings in code, then those of the environment |
//! | `telemetry` | the telemetry of a program and its installation |
//! | `handle` | the flush and the end, for whoever asks for them |
//! | `termination` | the end without the guard: signals and `exit` |

mod builder;
mod handle;
mod telemetry;
mod termination;

pub use builder::TelemetryBuilder;
pub use handle::TelemetryHandle;
pub use telemetry::Telemetry;
