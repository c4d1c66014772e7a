//! Batching, the same for every signal: a bounded queue that never blocks, and the processors before and behind it.
//!
//! | file | owns |
//! |---|---|
//! | `config` | [`BatchConfig`] |
//! | `queue` | the bounded queue |
//! | `inlet` | the host's side of a processor: the queue, and the task that empties it |
//! | `processor` | the seam [`Processor`], [`BatchProcessor`] and [`SimpleProcessor`] |
//! | `worker` | the task of those two: exports batch by batch |
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
