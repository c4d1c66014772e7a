//! The decision whether a span is recorded.
//!
//! | file | owns |
//! |---|---|
//! | `config` | the config of a tracer |
//! | `glance` | the decision as far as it follows from the parent, without asking the sampler |
//! | `tail` | what a tracer does for a tail sampler |
//! | `state` | the parts of a provider that decide and may change while it runs: the switches, the sampler and the configurator |

mod config;
mod glance;
mod state;
mod tail;

pub use config::TracerConfig;
pub(crate) use glance::Glance;
pub(super) use glance::without_threshold;
pub(super) use state::Decisions;
pub(crate) use tail::{Asks, Tail};
