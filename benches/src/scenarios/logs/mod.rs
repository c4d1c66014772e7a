//! Log records and log lines.
//!
//! - `events`: events of `tracing` that become exported records
//! - `flood`: more records than the receiver takes
//! - `lines`: log lines on standard output

pub(super) mod events;
pub(super) mod flood;
pub(super) mod lines;
