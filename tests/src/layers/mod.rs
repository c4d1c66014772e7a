//! The architecture's rules, as checks on the workspace's sources. Each check returns its violations as text. An empty
//! list means that the check passes.
//!
//! - `workspace` reads packages and sources.
//! - `dependencies` checks the dependencies between crates.
//! - `modules` checks that modules of the sdk and of `integrations/http` use only lower layers.
//! - `macros` checks the paths in the expansion of `#[traced]`.
//! - `shape` checks the first line and the length of each file, and the number of files per folder.
//! - `code` separates code from comments, literals and tests.

mod code;
mod dependencies;
mod macros;
mod modules;
mod shape;
mod workspace;

pub use dependencies::dependency_violations;
pub use macros::macro_violations;
pub use modules::module_violations;
pub use shape::shape_violations;
pub use workspace::{Dependency, Kind, Package, SourceFile, Workspace};
