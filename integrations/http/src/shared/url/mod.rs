//! URLs and paths: their parts, patterns that match them, and names for what matches.
//!
//! | module | owns |
//! |---|---|
//! | `paths` | path patterns |
//! | `pattern` | URL patterns: a host, with a port and a path |
//! | `services` | the names of remote services, by address or URL |
//! | `target` | the parts of an absolute URL, and `url.full` |
//! | `templates` | path templates, for servers without a router and for clients |

pub(crate) mod paths;
pub(crate) mod pattern;
pub(crate) mod services;
pub(crate) mod target;
pub(crate) mod templates;
