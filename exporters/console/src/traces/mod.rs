//! Trace trees, with the log records of their spans.
//!
//! | file | owns |
//! |---|---|
//! | `exporter` | the trace exporter |
//! | `trees` | the state that it shares with the log exporter: what waits, when it is printed, and the output |
//! | `held` | spans that wait for the rest of their trace |
//! | `records` | log records that wait for their trace |
//! | `tree` | the arrangement of a trace |
//! | `render` | a trace as text |
//! | `details` | the details of a span |

mod details;
mod exporter;
mod held;
mod records;
mod render;
mod tree;
mod trees;

pub(crate) use details::Piece;
pub use exporter::ConsoleTraceExporter;
pub(crate) use trees::{Kind, Shared, shared_stdout};
