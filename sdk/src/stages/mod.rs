//! Stages of the SDK itself, which run before all exporters of a signal.
//!
//! | module | owns |
//! |---|---|
//! | `redaction` | the redaction of spans and of log records |
//! | `tail` | tail sampling: the decision about a trace once its local root has ended |
//! | `limits` | the number of spans of a trace, and the bytes of a span or log record |

pub mod limits;
mod redaction;
pub mod tail;

pub(crate) use redaction::{LogRedaction, SpanRedaction};
