//! A configuration file as data: its values with their places, and the readers of these values.
//!
//! - [`Tree`] is the parsed file. It does not depend on the syntax: the crate `telemark-config` creates it from YAML and JSON.
//! - [`Settings`] reads one mapping of it, as the factory of a component does.
//! - [`Report`] collects every problem of a file, so that one run shows all of them.
//! - [`Printed`] writes a tree as YAML, with the origin of each value and without secrets.

mod item;
mod printed;
mod report;
mod settings;

pub use item::{Data, Item, Origin, Tree};
pub use printed::Printed;
pub use report::Report;
pub(super) use report::one_of;
pub use settings::Settings;
pub(super) use settings::{milliseconds, number, whole_number};
