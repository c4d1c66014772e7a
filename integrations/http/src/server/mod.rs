//! The server side: from the head of a request to the end of its response.
//!
//! | module | owns |
//! |---|---|
//! | `settings`, `environment`, `opt_in` | the data that a user decides with, from code and from variables |
//! | `policy` | the code that a framework or an application decides with |
//! | `facts` | the facts about a request that its span and its measurement tell |
//! | `instrumentation` | [`HttpServer`]: the start of span and measurement |
//! | `span` | [`RequestSpan`]: the one place where both end |
//! | `outcome` | the facts about the end of a request |
//! | `measurement`, `metric_attributes` | the measurements of one request, and their attributes |
//! | `metrics` | the instruments, and the choice of those that record |

mod environment;
mod facts;
mod instrumentation;
mod measurement;
mod metric_attributes;
mod metrics;
mod opt_in;
mod outcome;
mod policy;
mod settings;
mod span;

pub use instrumentation::HttpServer;
pub use metrics::ServerMetrics;
pub use outcome::{End, RequestOutcome};
pub use policy::{DefaultPolicy, HttpPolicy, LocalAddr, PeerAddr, RequestHead, ResponseHead, Route};
pub use settings::{ServerSettings, SettingProblem};
pub use span::RequestSpan;
