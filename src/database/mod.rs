//! Calls of databases: the telemetry that they report to, and the two ways in which calls of sqlx are observed.
//!
//! | module | owns |
//! |---|---|
//! | `client` | the instrumentation, with settings from the environment |
//! | `sqlx` | sqlx's types with observed calls |
//! | `events` | the events that sqlx emits for the statements of its own types, as spans and measurements |

mod client;
#[cfg(feature = "tracing")]
pub(crate) mod events;
#[cfg(feature = "sqlx")]
pub mod sqlx;

use client::instrumentation;
