//! Applies new versions of the configuration file while the program runs.
//!
//! | file | owns |
//! |---|---|
//! | `start` | what the builder sets, and what the build remembers of the file |
//! | `reloader` | reads, checks and applies a version, and remembers what is in effect |
//! | `watch` | looks at the file, and asks for a reload once a new version is still |
//! | `differences` | finds the values in which two versions differ |
//! | `outcome` | what a reload reports: to its caller, in the health, and in messages |

mod differences;
mod outcome;
mod reloader;
mod start;
mod watch;

#[cfg(all(test, not(loom)))]
pub(super) use differences::Step;
pub(super) use differences::{Difference, Path};
pub use outcome::{ConfigHealth, Reload};
pub(super) use reloader::Reloader;
pub(super) use start::Before;
