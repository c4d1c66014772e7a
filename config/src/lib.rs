//! Reads files of OpenTelemetry's declarative configuration: YAML 1.2 or JSON, with references to environment variables.
//!
//! [`read`] and [`parse`] return a [`Tree`](telemark_sdk::config::Tree), in which each value knows its line and column. The sdk checks
//! it and builds from it. With the feature `config-file` of `telemark`, `OTEL_CONFIG_FILE` names a file.
//!
//! ```
//! use telemark_sdk::config::{Data, Env};
//!
//! let env = Env::from_pairs([("RATIO", "0.1")]);
//! let tree = telemark_config::parse("example", "file_format: \"1.2\"\nratio: ${RATIO}\n", &env)?;
//! assert_eq!(tree.root().get("ratio").map(|ratio| &ratio.data), Some(&Data::Number(0.1)));
//! # Ok::<(), telemark_sdk::ConfigError>(())
//! ```
//!
//! | part | what it does |
//! |---|---|
//! | `file` | reads a regular file of at most [`MAX_SIZE`] |
//! | `json` | replaces the escapes that only JSON has |
//! | `parser` | turns the events of the YAML parser into a tree, within bounds on depth and size |
//! | `substitution` | replaces references to variables |
//! | `scalar` | decides whether a plain scalar is a number, a boolean, null or text |
//!
//! A file may come from a person with little time or from an attacker. Its size, its depth and what its aliases and variables expand
//! to are therefore bounded, and reading takes time in proportion to the size.
//!
//! spec: configuration/data-model.md

mod file;
mod json;
mod parser;
mod scalar;
mod substitution;

pub use file::{MAX_SIZE, read};
pub use parser::parse;
