//! The configuration: a table of all variables, fixed sets of them for tests, and configuration files.
//!
//! With the feature `config-file`, `OTEL_CONFIG_FILE` names a file of OpenTelemetry's declarative configuration, or code passes one to
//! [`Builder::with_config`](crate::Builder::with_config). [`Guard::config`](crate::Guard::config) returns the effective
//! configuration, and [`Printed`] writes it.
//!
//! [`Builder::with_config_watch`](crate::Builder::with_config_watch) and
//! [`Builder::with_reload_on_sighup`](crate::Builder::with_reload_on_sighup) apply new versions of the file while the program runs, and
//! [`Control::reload`](crate::Control::reload) does so in code:
//!
//! ```no_run
//! let telemetry = telemark::builder().with_reload_on_sighup(true).init()?;
//! match telemetry.control().reload() {
//!     Ok(reload) => println!("changed: {:?}, after a restart: {:?}", reload.applied, reload.needs_restart),
//!     Err(error) => println!("everything stays as it was: {error}"),
//! }
//! # Ok::<(), telemark::ConfigError>(())
//! ```
//!
//! A custom component reads its part of a file with [`Settings`], which the
//! [`Node`](crate::export::Node) of its factory has.

#[cfg(any(feature = "http", feature = "sqlx", feature = "tracing"))]
mod live;

#[cfg(any(feature = "http", feature = "sqlx", feature = "tracing"))]
pub(crate) use live::LIVE_SETTINGS;
#[cfg(feature = "config-file")]
pub use telemark_config::{parse, read};
pub use telemark_sdk::config::tree::Printed;
pub use telemark_sdk::config::{Data, Env, Item, Origin, Settings, Tree, VARIABLES, Variable};
pub use telemark_sdk::install::{ConfigHealth, Reload};
