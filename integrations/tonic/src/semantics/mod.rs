//! The RPC conventions for gRPC, on both sides of a call.
//!
//! | file | owns |
//! |---|---|
//! | `address` | the server's address: from a request's authority, or from a client's target |
//! | `call` | one call: its context, its measurement, and the only place where both end |
//! | `choice` | what is captured and excluded, by code, variables and changes of them |
//! | `config` | the settings in code |
//! | `environment` | the settings from environment variables |
//! | `instrumentation` | the start of a call |
//! | `metadata` | headers and trailers that become attributes |
//! | `methods` | method names, and which of them are known |
//! | `metrics` | the instruments, and the attributes of a measurement |
//! | `status` | status codes: their names, where to find them, and which are errors |

pub(crate) mod address;
pub(crate) mod call;
mod choice;
pub(crate) mod config;
mod environment;
pub(crate) mod instrumentation;
pub(crate) mod metadata;
pub(crate) mod methods;
pub(crate) mod metrics;
pub(crate) mod status;
