//! Everything together: providers and propagators from code and the environment, made global, flushed at the end.
//!
//! | file | owns |
//! |---|---|
//! | `builder` | settings in code, then those of the environment |
//! | `telemetry` | the telemetry of a program and its installation |
//! | `handle` | the flush and the end, for whoever asks for them |
//! | `termination` | the end without the guard: signals and `exit` |
//! | `ending` | the end on a thread of the SDK, for which the host waits no longer than the flush timeout |

mod builder;
mod ending;
mod handle;
mod telemetry;
mod termination;

pub use builder::TelemetryBuilder;
pub use handle::TelemetryHandle;
pub use telemetry::Telemetry;
