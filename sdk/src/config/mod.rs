//! The configuration from the environment: every variable, its grammar and default, and the only reader of them.
//!
//! - [`Env`] reads and parses; what it cannot use it reports and treats as not set.
//! - [`warn_of_unknown`] reports names that look like ours and have no effect.
//! - [`VARIABLES`] lists every variable the project reads.

mod env;
mod limits;
mod unknown;
mod variables;

pub use env::Env;
pub use unknown::warn_of_unknown;
pub use variables::{VARIABLES, Variable};
