//! Batching for every signal: a bounded queue that never blocks, and the processors that fill and drain it.
//!
//! | file | owns |
//! |---|---|
//! | `config` | [`BatchConfig`] |
//! | `queue` | the bounded queue |
//! | `inlet` | the producer side of a processor: the queue and the task that drains it |
//! | `processor` | the seam [`Processor`], [`BatchProcessor`] and [`SimpleProcessor`] |
//! | `worker` | the task behind both processors: exports batch by batch |
//! | `stage` | the seam [`Stage`], and the processor that runs stages before all exporters |

mod config;
mod inlet;
mod processor;
mod queue;
mod stage;
mod worker;

pub use config::BatchConfig;
pub use processor::{BatchProcessor, Processor, SimpleProcessor};
pub use stage::{Stage, StagedProcessor, Verdict};
