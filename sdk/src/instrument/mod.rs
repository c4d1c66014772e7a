//! Instrumentation of a program: spans, and metrics that are declared once and find the installed telemetry by themselves.
//!
//! | module | owns |
//! |---|---|
//! | [`spans`] | what `#[traced]` expands to, and spans by hand |
//! | [`statics`] | metrics in statics |
//! | `shield` | user code whose panics do not reach the program |
//! | [`private`] | everything that the expansion of `#[traced]` names, and nothing else |
//!
//! Before telemetry is installed, each of these costs one relaxed load.

pub mod private;
mod shield;
pub mod spans;
pub mod statics;

pub use crate::value::{Element, ToValue};
