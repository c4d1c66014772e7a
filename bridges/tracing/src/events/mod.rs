//! Events, which become log records, set a span's status, and become span events if this is enabled.
//!
//! | file | owns |
//! |---|---|
//! | `record` | the effects of an event |
//! | `fields` | its fields |
//! | `text` | the text of messages and of formatted fields |

mod fields;
mod record;
mod text;

pub(crate) use record::record;
pub(crate) use text::{KnownMessage, text};
