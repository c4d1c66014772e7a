//! The configuration: a table of all variables, fixed sets of them for tests, and configuration files.
//!
//! With the feature `config-file`, `OTEL_CONFIG_FILE` names a file of OpenTelemetry's declarative configuration, or code passes one to
//! [`Builder::with_config`](crate::Builder::with_config). [`Guard::config`](crate::Guard::config) returns the effective
//! configuration, and [`Printed`] writes it.
//!
//! A custom component reads its part of a file with [`Settings`], which the
//! [`Node`](crate::export::Node) of its factory has.

#[cfg(feature = "config-file")]
pub use telemark_config::{parse, read};
pub use telemark_sdk::config::tree::Printed;
pub use telemark_sdk::config::{Data, Env, Item, Origin, Settings, Tree, VARIABLES, Variable};
