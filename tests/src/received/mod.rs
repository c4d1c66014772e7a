//! What a receiver took.
//!
//! - `span` is its form in common; values are text in one notation: `"text"`, `4`, `0.5`, `true`, `["a", "b"]`,
//!   `{"key": 1}`, `0x0102` for bytes.
//! - `metric` is the same for points of metrics.
//! - `rotel` and `mockotlpserver` read what these receivers write.

mod metric;
pub(crate) mod mockotlpserver;
mod mockotlpserver_metrics;
pub(crate) mod rotel;
mod rotel_metrics;
mod span;

pub use metric::{Exemplar, Point, Points};
pub use span::{Event, Link, Received, Span};

#[cfg(test)]
mod tests;
