//! A local viewer for traces, metrics and logs: a bounded store, and a page with a JSON API that shows it.
//!
//! | module | owns |
//! |---|---|
//! | `analysis` | reading traces: tree, critical path, origin of an error, map, findings |
//! | `model` | owned spans, log records and metrics, and the interner of their names |
//! | `page` | the document, scripts and sheets that a browser gets |
//! | `store` | everything that the viewer holds, bounded in bytes |

#[expect(dead_code, reason = "the API, which uses it, follows")]
mod analysis;
pub mod model;
#[expect(dead_code, reason = "the API, which serves it, follows")]
mod page;
mod store;

pub use store::{Limits, Running, RunningSpan, Store};
