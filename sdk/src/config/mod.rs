//! Configuration from the environment: a table of every variable, and the only code that reads them.
//!
//! - [`Env`] reads and parses variables. It reports invalid values and treats them as unset.
//! - [`warn_of_unknown`] reports variables that resemble known ones but have no effect.
//! - [`warn_of_old_conventions`] reports requests for the old semantic conventions, which are never recorded.
//! - [`VARIABLES`] lists every variable that the project reads.
//! - `limits` reads the span limits.

mod env;
mod limits;
mod stability;
mod unknown;
mod variables;

pub use env::Env;
pub use stability::warn_of_old_conventions;
pub(crate) use unknown::edits;
pub use unknown::warn_of_unknown;
pub use variables::{VARIABLES, Variable};
