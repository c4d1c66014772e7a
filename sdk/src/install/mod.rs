//! Everything together: providers and propagators from code and the environment, made global, flushed at the end.
//!
//! | file | owns |
//! |---|---|
//! | `builder` | the methods that set the model from code, and the build |
//! | `model` | what code has said, completed by the variables; later by a configuration file too |
//! | `registry` | factories of components by the names in the configuration |
//! | `pipeline` | the exporters of one signal, and what each becomes when it starts |
//! | `signals` | the list of the signals, and for each its model, its provider and its methods |
//! | `telemetry` | the telemetry of a program and its installation |
//! | `handle` | the flush and the end, shared by the guard, termination signals and `exit` |
//! | `termination` | the end without the guard: signals and `exit` |
//! | `ending` | the end on a thread of the SDK, for which the host waits no longer than the flush timeout |

mod builder;
mod ending;
mod handle;
mod model;
mod pipeline;
mod registry;
mod signals;
mod telemetry;
mod termination;

pub use builder::TelemetryBuilder;
pub use handle::TelemetryHandle;
pub use pipeline::{Pipeline, PipelineSignal};
pub use registry::{Factory, Node};
pub use signals::{Components, Health};
pub use telemetry::Telemetry;
