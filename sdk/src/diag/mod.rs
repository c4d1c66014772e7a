//! The SDK's own health: what was started, exported, rejected and dropped. This is the only module that logs.
//!
//! | file | owns |
//! |---|---|
//! | `message` | messages on standard error, limited to one per minute and topic |
//! | `counters` | counts of the items of one pipeline |
//! | `losses` | the messages about items of one pipeline that were lost |
//! | `tally` | lost items that no message has reported yet |
//! | `log_count` | the count of emitted log records, striped by thread |
//! | `limit_counts` | counts of what limits drop and cut |
//! | `reload_counts` | counts of new versions of the configuration file |
//! | `served` | the requests of the program's servers by route, which another crate counts |
//! | `span_counts` | counts of started and ended spans, striped by thread |
//! | `decisions` | counts of what tail sampling kept and dropped |
//! | `durations` | durations of exports and collections, measured only if there is a listener |
//!
//! [`SelfMetrics`](crate::self_metrics::SelfMetrics) exposes these counts as metrics.

mod counters;
mod decisions;
mod durations;
mod limit_counts;
mod log_count;
mod losses;
mod message;
mod reload_counts;
mod served;
mod span_counts;
mod tally;

pub(crate) use counters::Queue;
pub use counters::{Counters, SignalHealth};
pub use decisions::{DecisionCount, TailHealth};
pub(crate) use decisions::{Decisions, Unkept};
pub(crate) use durations::{Durations, Listener};
pub(crate) use limit_counts::LimitCounts;
pub use limit_counts::LimitsHealth;
pub(crate) use log_count::LogCount;
pub(crate) use losses::Total;
pub use message::{Level, is_shown, log, set_max_level, set_sink, started};
pub(crate) use message::{end_is_abandoned, guard_is_gone, ignore_variable, level_of, log_always, write_line};
pub(crate) use reload_counts::ReloadCounts;
pub use served::RouteHealth;
pub(crate) use served::ServedRoutes;
pub(crate) use span_counts::{Origin, Outcome, SpanCounts};
pub(crate) use tally::{Tally, Unreported};
