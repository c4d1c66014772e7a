//! The source of a workspace as facts: its functions, the routers of its services, and calls that concern telemetry. `add` and `audit`
//! decide by them.
//!
//! | file | owns |
//! |---|---|
//! | `program` | finds the files that belong to the workspace's authors, and reads them |
//! | `facts` | the facts: functions, calls, handlers |
//! | `walk` | collects them from a syntax tree |
//! | `calls` | which calls are facts |
//! | `routed` | expressions that lead to a router, as values of their own |
//! | `libraries` | the libraries that Telemark instruments, with their versions |
//! | `coverage` | which handlers are below a layer |

mod calls;
pub(crate) mod coverage;
pub(crate) mod facts;
pub(crate) mod libraries;
pub(crate) mod program;
pub(crate) mod routed;
mod walk;
