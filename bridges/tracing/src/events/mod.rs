//! Events, which become log records, set a span's status, and become span events if this is enabled.
//!
//! | file | owns |
//! |---|---|
//! | `record` | the effects of an event |
//! | `fields` | its fields |
//! | `handlers` | the functions that record the events of some targets instead |
//! | `text` | the text of messages and of formatted fields |

mod fields;
mod handlers;
mod record;
mod text;

pub(crate) use handlers::Handlers;
pub(crate) use record::record;
pub(crate) use text::{KnownMessage, text};
