//! The changes that a program makes to its telemetry while it runs.
//!
//! | file | owns |
//! |---|---|
//! | `common` | [`Control`], and its methods for all signals, for the file and for integrations; those of a signal are in [`signals`](super::signals) |
//! | `changes` | what code has changed, for the effective configuration |

mod changes;
mod common;

pub(super) use changes::{Change, Changes};
pub use common::Control;
