//! The client side: from the description of a call to its end, and the pools from which connections come.
//!
//! | module | owns |
//! |---|---|
//! | `config` | the settings, from code and from variables |
//! | `database` | [`Database`] and its [`System`] |
//! | `call` | [`Call`], the description of a call by its driver |
//! | `instrumentation` | [`DbClientInstrumentation`], which starts the span and the measurement |
//! | `operation` | [`Operation`], the only place where both end |
//! | `current` | [`CurrentCall`]: the call on which a thread works |
//! | `metrics` | the instruments for calls |
//! | `pool` | the metrics of connection pools |
//! | `comment` | comments in statements |

mod call;
mod comment;
mod config;
mod current;
mod database;
mod instrumentation;
mod metrics;
mod operation;
mod pool;

pub use call::Call;
pub use comment::Commenter;
pub use config::{ClientConfig, ConfigProblem, QueryText};
pub use current::CurrentCall;
pub use database::{Database, System};
pub use instrumentation::DbClientInstrumentation;
pub use operation::{End, Failure, Operation};
pub use pool::{InUse, PoolMeasurements, PoolState, Waiting};
