//! Batching, the same for every signal: a bounded queue that never blocks, a worker that exports, and the processor that
//! joins them.

mod config;
mod processor;
mod queue;
mod worker;

pub use config::BatchConfig;
pub use processor::{BatchProcessor, SimpleProcessor};
