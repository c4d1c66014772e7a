//! A local viewer for traces, metrics and logs: a bounded store, and a page with a JSON API that shows it.
//!
//! ```text
//! exporters, receivers ──▶ Store ◀── search ◀── api ◀── Viewer (telemark-serve) ◀── page, scripts, assistants
//!                            ▲                   │  ╲
//!                          model              analysis  query
//! ```
//!
//! | module | owns |
//! |---|---|
//! | `viewer` | the web server in front of a store |
//! | `api` | the JSON API, the page's files, and the checks of every request |
//! | `mcp` | the tools for assistants |
//! | `search` | searches that remember their matches |
//! | `query` | the query language |
//! | `analysis` | reading traces: tree, critical path, origin of an error, map, findings |
//! | `model` | owned spans, log records and metrics, and the interner of their names |
//! | `page` | the document, scripts and sheets that a browser gets |
//! | `store` | everything that the viewer holds, bounded in bytes |

mod analysis;
mod api;
mod mcp;
pub mod model;
mod page;
mod query;
mod search;
mod store;
mod viewer;

pub use store::{Limits, Running, RunningSpan, Store};
pub use viewer::{Viewer, ViewerBuilder};

/// For fuzz targets. No stable API.
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing {
    /// Parses a query in every way, and panics if a property is broken.
    pub fn query(text: &str) {
        crate::query::fuzz(text);
    }
}
