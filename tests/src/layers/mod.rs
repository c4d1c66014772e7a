//! The rules of the architecture, as a program that reads the workspace. Each check answers with what breaks a rule, in
//! words; an empty list is a pass.
//!
//! - `workspace` reads packages and sources.
//! - `dependencies`: which crate may depend on which.
//! - `modules`: which module of the sdk may use which.
//! - `macros`: what the expansion of `#[traced]` may name.
//! - `shape`: how long a file may be and how it begins.
//! - `code` tells code from comments, texts and tests.

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
