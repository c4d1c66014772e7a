//! A local viewer for traces, metrics and logs: a bounded store, and a page with a JSON API that shows it.
//!
//! | module | owns |
//! |---|---|
//! | `model` | owned spans, log records and metrics, and the interner of their names |
//! | `store` | everything that the viewer holds, bounded in bytes |
//! | `export` | the viewer in the process: exporters, running spans |
//! | `receive` | OTLP over gRPC and HTTP |
//! | `file` | files of JSON lines |

mod api;
mod export;
#[cfg(feature = "program")]
mod file;
pub mod model;
#[cfg(feature = "program")]
mod receive;
mod store;

pub use api::{Viewer, ViewerBuilder};
pub use export::{InProcess, RunningSpans, Settings, ViewerExporter, link, parse_bytes};
#[cfg(feature = "program")]
pub use file::{Opened, open, read, save};
#[cfg(feature = "program")]
pub use receive::Receiver;
#[cfg(all(feature = "fuzzing", feature = "program"))]
pub use receive::fuzzing;

pub use store::{Limits, Running, RunningSpan, Store};
