//! Redaction: rules and presets that hide values in spans, log records, metrics and the resource before they are exported. The tables in
//! [`telemark_redaction`] say which places are redacted, and what each preset takes and leaves.
//!
//! ```
//! use telemark::redaction::{Action, Preset, Redaction, Rule};
//!
//! let redaction = Redaction::new()
//!     .with_presets([Preset::Password, Preset::EmailAddress])
//!     .with_rule(Rule::for_keys(["enduser.*"]).with_action(Action::Delete));
//! let builder = telemark::builder().with_redaction(redaction);
//! # drop(builder);
//! ```
//!
//! Log lines on standard output are not redacted. [`Redactor`] is the trait for a redactor of your own.

pub use telemark_redaction::{Action, HashKey, Preset, Redaction, Rule};
pub use telemark_sdk::redaction::Redactor;
