//! The SDK's own health: what was started, exported, rejected and dropped, and the only place that logs.
//!
//! | file | owns |
//! |---|---|
//! | `message` | messages on standard error, one a minute per topic |
//! | `counters` | what became of the items of one pipeline |
//! | `span_counts` | how many spans start and end, for each thread apart |
//! | `durations` | how long exports and collections take, while somebody wants to know |
//!
//! Everything is counted here; [`SelfMetrics`](crate::self_metrics::SelfMetrics) shows it as the `otel.sdk.*` metrics.

mod counters;
mod durations;
mod message;
mod span_counts;

pub(crate) use counters::Queue;
pub use counters::{Counters, SignalHealth};
pub(crate) use durations::{Durations, Listener};
pub use message::{Level, is_shown, log, set_max_level, set_sink};
pub(crate) use message::{guard_is_gone, level_of, started, warn_always};
pub(crate) use span_counts::{Origin, Outcome, SpanCounts};
