//! Stages of the SDK itself, which run before all exporters of a signal.
//!
//! | folder | owns |
//! |---|---|
//! | `tail` | tail sampling: the decision about a trace once its local root has ended |
//! | `limits` | the number of spans of a trace, and the bytes of a span or log record |

pub mod limits;
pub mod tail;
