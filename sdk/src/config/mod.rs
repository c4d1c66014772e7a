//! The configuration from the environment: every variable with its grammar and default, and the only reader of them.
//!
//! - [`Env`] reads and parses; it reports a value that it cannot use and treats it as not set.
//! - [`warn_of_unknown`] reports names that look like known ones and have no effect.
//! - [`VARIABLES`] lists every variable that the project reads.
//! - `limits` reads the limits of spans.

mod env;
mod limits;
mod unknown;
mod variables;

pub use env::Env;
pub use unknown::warn_of_unknown;
pub use variables::{VARIABLES, Variable};
