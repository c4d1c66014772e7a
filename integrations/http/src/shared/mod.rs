//! The parts of the conventions that servers and clients share.
//!
//! | module | owns |
//! |---|---|
//! | `content_length` | the grammar of `Content-Length`, and of the other numbers a peer writes |
//! | `forwarded` | the original request as proxies describe it |
//! | `headers` | headers as carriers of a propagator and as attributes |
//! | `host` | `host[:port]` texts |
//! | `kept` | user agents and addresses, kept for the life of the program |
//! | `methods` | the known methods, and `_OTHER` |
//! | `names` | span names and route texts, kept for the life of the program |
//! | `paths` | patterns of paths |
//! | `query` | the query string without its secrets |
//! | `version` | the names of the protocol versions |

pub(crate) mod content_length;
pub(crate) mod forwarded;
pub(crate) mod headers;
pub(crate) mod host;
pub(crate) mod kept;
pub(crate) mod methods;
pub(crate) mod names;
pub(crate) mod paths;
pub(crate) mod query;
pub(crate) mod version;
