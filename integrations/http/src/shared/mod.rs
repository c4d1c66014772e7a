//! The parts of the conventions that servers and clients share.
//!
//! | module | owns |
//! |---|---|
//! | `captured` | what is captured and excluded, by code, variables and changes of them |
//! | `content_length` | parsing `Content-Length` and other numbers sent by a peer |
//! | `forwarded` | the original request as described by proxies |
//! | `headers` | headers as carriers of a propagator and as attributes |
//! | `host` | parsing `host[:port]` |
//! | `kept` | user agents and addresses, kept for the life of the program |
//! | `methods` | the known methods, and `_OTHER` |
//! | `names` | span names and routes, cached for the life of the program |
//! | `query` | redacting secrets in the query string |
//! | `settings` | parsing of settings, and the ignored values |
//! | `status` | status codes as text |
//! | `url` | URLs and paths: parts, patterns and names |
//! | `version` | the names of the protocol versions |

pub(crate) mod captured;
pub(crate) mod content_length;
pub(crate) mod forwarded;
pub(crate) mod headers;
pub(crate) mod host;
pub(crate) mod kept;
pub(crate) mod methods;
pub(crate) mod names;
pub(crate) mod query;
pub(crate) mod settings;
pub(crate) mod status;
pub(crate) mod url;
pub(crate) mod version;
