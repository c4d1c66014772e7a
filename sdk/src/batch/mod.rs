//! Batching for every signal: a bounded queue that never blocks, and the processors that fill and drain it.
//!
//! | file | owns |
//! |---|---|
//! | `config` | [`BatchConfig`] |
//! | `budget` | a limit shared by the shards of a queue |
//! | `queue` | the queue, bounded in both items and bytes |
//! | `inlet` | the producer side of a processor: the queue and the task that drains it |
//! | `processor` | the seam [`Processor`], [`BatchProcessor`] and [`SimpleProcessor`] |
//! | `worker` | the task behind both processors: exports batch by batch |
//! | `stage` | the seam [`Stage`], and the processor that runs stages in front of all exporters |
//! | `outlets` | what surrounds the stages: the processors behind them, and who hears of lost items |
//! | `way` | the way of an item through stages |
//! | `rate` | the limit on the number of items in a second |
//! | `held` | [`Held`], `HeldChunk` and `HeldGroup`: items that a stage holds until it reaches a verdict |

mod budget;
mod config;
mod held;
mod inlet;
mod outlets;
mod processor;
mod queue;
mod rate;
mod stage;
mod way;
mod worker;

pub use config::BatchConfig;
pub use held::Held;
#[doc(hidden)]
pub use held::HeldChunk;
pub(crate) use held::HeldGroup;
pub use processor::{BatchProcessor, ExportProcessor, Processor, SimpleProcessor};
pub(crate) use rate::RateLimited;
#[doc(hidden)]
pub use stage::OnLoss;
pub use stage::{Stage, StagedProcessor, Verdict};
