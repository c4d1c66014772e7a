//! Assembles providers and propagators from code and the environment, installs them globally, and flushes them at exit.
//!
//! | file | owns |
//! |---|---|
//! | `builder` | the methods that set the model from code, and `build` |
//! | `model` | the settings from code, completed from the environment |
//! | `declarative` | completes the model from a configuration file instead |
//! | `redaction` | the redactor, from code, a variable or a configuration file |
//! | `registry` | component factories, by their names in the configuration |
//! | `components` | the lists of factories, propagators and resource detectors that a crate provides |
//! | `pipeline` | the exporters of one signal, and the pipelines that they start |
//! | `signals` | the list of signals, and the model, provider and methods of each |
//! | `telemetry` | a program's telemetry, and how it is installed |
//! | `control` | the changes while a program runs |
//! | `reload` | new versions of the configuration file, applied while a program runs |
//! | `handle` | flush and shutdown, shared by the guard, termination signals and `exit` |
//! | `panics` | panics as log records, in the program's panic hook |
//! | `termination` | shutdown without the guard: signals and `exit` |
//! | `ending` | the shutdown on an SDK thread; the host waits for it, but no longer than the flush timeout |

mod builder;
mod components;
mod control;
mod declarative;
mod ending;
mod handle;
mod model;
mod panics;
mod pipeline;
mod redaction;
mod registry;
mod reload;
mod signals;
mod telemetry;
mod termination;

pub use builder::TelemetryBuilder;
pub use components::{Components, LiveSettings, MakeRedactor, ReadFile};
pub use control::Control;
pub use declarative::Extension;
pub use handle::TelemetryHandle;
pub use pipeline::{Pipeline, PipelineSignal};
pub use registry::{Factory, Node};
pub use reload::{ConfigHealth, Reload};
pub use signals::Health;
pub use telemetry::Telemetry;
