//! Limits on spans and log records, so that one runaway loop or one huge value does not crowd out everything else.
//!
//! | limit | what is beyond it |
//! |---|---|
//! | spans of a trace in this process | dropped; the local root says how many, in `telemark.trace.dropped_spans` |
//! | spans a second | dropped before they take up room in the queue |
//! | bytes of a span or log record | the largest attributes are dropped, and the text of a log record is cut |
//!
//! All of them are off by default; the bytes of a whole queue are always limited
//! ([`BatchConfig::with_max_queue_bytes`](crate::batch::BatchConfig::with_max_queue_bytes)). Everything that is dropped or cut is counted in
//! [`Health::limits`](crate::install::Health::limits).
//!
//! The limits of a trace and of bytes are a stage, the last one: the threads of the program do not pay for the state of traces, and what
//! earlier stages drop or cut does not count. The limit of spans a second comes before the queue of the stages.

mod config;
mod records;
mod spans;
mod traces;

pub use crate::diag::LimitsHealth;
pub use config::ItemLimits;
