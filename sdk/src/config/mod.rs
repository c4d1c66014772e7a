//! Configuration from the environment: a table of every variable, and the only code that reads them.
//!
//! - [`Env`] reads and parses variables. It reports invalid values and treats them as unset.
//! - [`warn_of_unknown`] reports variables that resemble known ones but have no effect.
//! - [`warn_of_old_conventions`] reports requests for the old semantic conventions, which are never recorded.
//! - [`VARIABLES`] lists every variable that the project reads.
//! - `limits` reads the span limits.
//! - [`tree`] is a configuration file as data, and [`schema`] lists all names that it may contain.

mod env;
mod limits;
pub mod schema;
mod stability;
pub mod tree;
mod unknown;
mod variables;

pub use env::Env;
pub(crate) use env::FileVariables;
pub use stability::warn_of_old_conventions;
pub use tree::{Data, Item, Origin, Report, Settings, Tree};
pub(crate) use unknown::edits;
pub use unknown::warn_of_unknown;
pub use variables::{VARIABLES, Variable};
