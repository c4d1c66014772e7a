//! Instruments a program with spans, and with metrics that are declared once and find the installed telemetry
//! automatically.
//!
//! | module | owns |
//! |---|---|
//! | [`spans`] | the expansion of `#[traced]`, and manually created spans |
//! | [`statics`] | metrics in statics |
//! | [`bridge`] | spans of other instrumentation libraries, for the crates that connect them |
//! | [`handover`] | the current context for other threads, channels and streams |
//! | `exception` | an error as the exception of a log record, and the records for the exceptions of spans |
//! | `shield` | runs user code and prevents its panics from reaching the program |
//! | [`private`] | exactly the items used by the expansion of `#[traced]` |
//!
//! Until telemetry is installed, each of these costs one relaxed load.

pub mod bridge;
mod exception;
pub mod handover;
pub mod private;
mod shield;
pub mod spans;
pub mod statics;

pub use crate::value::{Element, ToValue};
