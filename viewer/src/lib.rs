//! A local viewer for traces, metrics and logs: a bounded store, and a page with a JSON API that shows it.
//!
//! | module | owns |
//! |---|---|
//! | `model` | owned spans, log records and metrics, and the interner of their names |
//! | `store` | everything that the viewer holds, bounded in bytes |

pub mod model;
mod store;

pub use store::{Limits, Running, RunningSpan, Store};
