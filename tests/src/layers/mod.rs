//! The rules of the architecture, as a program that reads the workspace. Each check returns the violations in words; an empty
//! list is a pass.
//!
//! - `workspace` reads packages and sources.
//! - `dependencies` checks the dependencies between crates.
//! - `modules` checks that a module of the sdk uses lower layers alone.
//! - `macros` checks the paths in the expansion of `#[traced]`.
//! - `shape` checks the first line and the length of a file, and the number of files in a folder.
//! - `code` tells code from comments, literals and tests.

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
