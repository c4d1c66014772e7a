//! The settings that all integrations have in common: whether one is enabled, and what may change while the program runs.

mod enabled;
mod live;

pub use enabled::{DEFAULT_ENABLED, Enabled};
pub use live::{ChangeError, ChangedText, LIVE_SETTINGS, Live, change_settings};
