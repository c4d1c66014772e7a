//! The parts of the conventions that servers and clients share.
//!
//! | module | owns |
//! |---|---|
//! | `content_length` | parsing `Content-Length` and other numbers sent by a peer |
//! | `forwarded` | the original request as described by proxies |
//! | `headers` | headers as carriers of a propagator and as attributes |
//! | `host` | parsing `host[:port]` |
//! | `kept` | user agents and addresses, kept for the life of the program |
//! | `methods` | the known methods, and `_OTHER` |
//! | `names` | span names and routes, cached for the life of the program |
//! | `paths` | path patterns |
//! | `query` | redacting secrets in the query string |
//! | `services` | the names of remote services, by address or URL |
//! | `settings` | parsing of settings, and the ignored values |
//! | `status` | status codes as text |
//! | `target` | the parts of an absolute URL, and `url.full` |
//! | `templates` | path templates, for servers without a router and for clients |
//! | `urls` | URL patterns: a host, with a port and a path |
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
pub(crate) mod services;
pub(crate) mod settings;
pub(crate) mod status;
pub(crate) mod target;
pub(crate) mod templates;
pub(crate) mod urls;
pub(crate) mod version;
