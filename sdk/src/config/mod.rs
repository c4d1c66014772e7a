//! The configuration from the environment: every variable, its grammar and default, and the only reader of them.
//!
//! - [`Env`] reads and parses; what it cannot use it reports and treats as not set.
//! - [`VARIABLES`] lists every variable the project reads.

mod env;
mod variables;

pub use env::{Env, percent_decode};
pub use variables::{VARIABLES, Variable};
