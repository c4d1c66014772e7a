//! The store: everything that the viewer holds, bounded in bytes.
//!
//! ```text
//! add_spans ──▶ cut, measure ──▶ lock: insert, make room ──▶ unlock: free, sweep the interner
//!                                    │
//! readers ◀── clones of `Arc`s ◀─────┘  rendered without the lock
//! ```
//!
//! | module | owns |
//! |---|---|
//! | `held` | everything behind the lock, and the order in which it makes room |
//! | `traces`, `trace` | the traces by id, arrival and last change; one trace with the facts that lists show |
//! | `records` | the log records by arrival and by trace |
//! | `metrics`, `series` | the instruments; the history of one series |
//! | `services`, `rate` | hues and numbers of spans for each service; spans a second |
//! | `running` | the spans of this process that have not ended |
//! | `shared` | `Store`, with its limits |

mod held;
mod metrics;
mod rate;
mod records;
mod running;
mod series;
mod services;
mod shared;
mod trace;
mod traces;

pub(crate) use held::EvictedCounts;
pub(crate) use metrics::{Instrument, MAX_SERIES, kind_name};
pub use running::{Running, RunningSpan};
pub(crate) use series::{Sample, Series};
pub(crate) use services::{Service, fnv1a};
pub use shared::{Limits, Store};
pub(crate) use trace::{Trace, is_error};
