//! The schema of the declarative configuration: every name, with its type, its default, and whether it is supported.
//!
//! The tables are the only list of these names. [`check`] reports everything in a file that they do not allow, [`completed`] adds the
//! defaults, [`to_variables`] finds the settings that have a variable, and [`page`] is the tables in `docs/CONFIGURATION.md`.
//!
//! spec: configuration/data-model.md, configuration/sdk.md; opentelemetry-configuration v1.2.0

mod check;
mod common;
mod completed;
mod instrumentation;
mod logs;
mod metrics;
mod page;
mod resource;
mod root;
mod traces;
mod types;
mod variables;

pub use check::check;
pub(crate) use check::{check_format, is_standard};
pub use completed::completed;
pub use page::{page, types};
pub(crate) use resource::ATTRIBUTE_TYPES;
pub use root::FILE_FORMAT;
pub(crate) use root::ROOT;
pub use types::{Kind, Point, Property, Support, Type};
pub(crate) use variables::set_variable;
pub use variables::{from_variables, to_variables};
