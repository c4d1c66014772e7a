//! The telemetry that a receiver accepted.
//!
//! - `span` defines the form that all receivers share. Values are text in one notation: `"text"`, `4`, `0.5`, `true`,
//!   `["a", "b"]`, `{"key": 1}`, `0x0102` for bytes.
//! - `metric` and `log` define the equivalent forms for metric points and log records.
//! - `rotel` and `mockotlpserver` read the output of these receivers.

mod log;
mod metric;
pub(crate) mod mockotlpserver;
mod mockotlpserver_metrics;
pub(crate) mod rotel;
mod rotel_metrics;
mod span;

pub use log::Record;
pub(crate) use log::{of_mockotlpserver, of_rotel};
pub use metric::{Exemplar, Point, Points};
pub use span::{Event, Link, Received, Span};

#[cfg(test)]
mod tests;
