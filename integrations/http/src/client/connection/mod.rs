//! New and open connections of a client.
//!
//! | module | owns |
//! |---|---|
//! | `phases` | the phases of a connection that a request waits for, as events of its span |
//! | `open` | the number of open connections, and their durations |

mod open;
mod phases;

pub use open::{ConnectionHandle, ConnectionUse, OpenConnection};
pub(crate) use phases::PhaseLog;
pub use phases::{BoxError, ConnectionPhase, PhaseFuture};
