//! What a receiver took.
//!
//! - `span` is its form in common; values are text in one notation: `"text"`, `4`, `0.5`, `true`, `["a", "b"]`,
//!   `{"key": 1}`, `0x0102` for bytes.
//! - `rotel` and `mockotlpserver` read what these receivers write.

pub(crate) mod mockotlpserver;
pub(crate) mod rotel;
mod span;

pub use span::{Event, Link, Received, Span};

#[cfg(test)]
mod tests;
