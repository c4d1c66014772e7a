//! The client side: from the head of an outgoing request to the end of its response.
//!
//! | module | owns |
//! |---|---|
//! | `config`, `environment` | the settings, from code and from variables |
//! | `policy` | decisions made in code by an application, and the values that it attaches to a request |
//! | `head` | the heads of requests and responses, independent of the library that sends them |
//! | `instrumentation` | [`HttpClientInstrumentation`], which starts the span and the measurement |
//! | `call` | [`ClientCall`], the only place where both end |
//! | `opt_in` | the opt-in attributes of spans and of metrics |
//! | `connection` | the phases of new connections, and the number of open ones |
//! | `current` | the call that the current thread is polling |
//! | `exchange` | requests of the `http` crate: the future of a response, and its body |
//! | `failure` | `error.type` and a description for an error without a response |
//! | `measurement` | the measurements of one request, and their attributes |
//! | `metrics` | the instruments, the choice of metrics, and the cache key for their attribute sets |

mod call;
mod config;
mod connection;
mod current;
mod environment;
mod exchange;
mod failure;
mod head;
mod instrumentation;
mod measurement;
mod metrics;
mod opt_in;
mod policy;

pub use call::{ClientCall, ResponseBodyMeter};
pub use config::ClientConfig;
pub use connection::{BoxError, ConnectionHandle, ConnectionPhase, ConnectionUse, OpenConnection, PhaseFuture};
pub use current::Entered;
pub use exchange::{ClientExchange, ClientLibrary, ClientResponseBody};
pub use failure::{Failure, io_error_type};
pub use head::{ClientRequestHead, ClientResponseHead};
pub use instrumentation::HttpClientInstrumentation;
pub use metrics::ClientMetrics;
pub use policy::{ClientPolicy, ResendCounter, UrlTemplate};
