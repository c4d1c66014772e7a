//! Stages of the SDK itself, which run before all exporters of a signal.
//!
//! | folder | owns |
//! |---|---|
//! | `tail` | tail sampling: the decision about a trace once its local root has ended |

pub mod tail;
