//! The server side: from the head of a request to the end of its response.
//!
//! | module | owns |
//! |---|---|
//! | `config`, `environment`, `opt_in` | the settings, from code and from variables |
//! | `policy` | decisions made in code by a framework or an application |
//! | `facts` | the facts about a request that its span and its measurement contain |
//! | `instrumentation` | [`HttpServerInstrumentation`], which starts the span and the measurement |
//! | `span` | [`RequestSpan`], the only place where both end |
//! | `outcome` | the facts about the end of a request |
//! | `measurement` | the measurements of one request, and their attributes |
//! | `served` | [`served_requests`], the requests to each route by the origin of their parent |
//! | `metrics`, `request_key` | the instruments, the choice of metrics, and the cache key for their attribute sets |

mod config;
mod environment;
mod facts;
mod instrumentation;
mod measurement;
mod metrics;
mod opt_in;
mod outcome;
mod policy;
mod request_key;
mod served;
mod span;

pub use config::ServerConfig;
pub use instrumentation::HttpServerInstrumentation;
pub use metrics::ServerMetrics;
pub use outcome::{End, RequestOutcome};
pub use policy::{DefaultPolicy, HttpPolicy, LocalAddr, PeerAddr, RequestHead, ResponseHead, Route};
pub use served::served_requests;
pub use span::RequestSpan;
