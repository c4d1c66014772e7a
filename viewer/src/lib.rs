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
//! | `export` | the viewer in the process: exporters, running spans |
//! | `receive` | OTLP over gRPC and HTTP |
//! | `file` | files of JSON lines |

mod analysis;
mod api;
mod export;
#[cfg(feature = "program")]
mod file;
mod mcp;
pub mod model;
mod page;
mod query;
#[cfg(feature = "program")]
mod receive;
mod search;
mod store;
mod viewer;

pub use export::{InProcess, RunningSpans, Settings, ViewerExporter, link, parse_bytes, parse_origin};
#[cfg(feature = "program")]
pub use file::{Opened, open, read, save};
#[cfg(feature = "program")]
pub use receive::Receiver;
pub use store::{Limits, Running, RunningSpan, Store};
pub use viewer::{Viewer, ViewerBuilder};

/// For fuzz targets. No stable API.
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing {
    #[cfg(feature = "program")]
    pub use crate::receive::fuzzing::{decode_request, decompress, grpc_message};

    /// Parses a query in every way, and panics if a property is broken.
    pub fn query(text: &str) {
        crate::query::fuzz(text);
    }
}
