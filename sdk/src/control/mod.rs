//! What a provider reads on its way and a program may change meanwhile.
//!
//! | file | owns |
//! |---|---|
//! | `configurator` | configurators, which give tracers, meters and loggers their configs, and the configs in use |
//! | `switches` | whether a provider records: its end, and the pauses that the program makes |

mod configurator;
mod switches;

pub(crate) use configurator::{ConfigOf, Configs, packed};
pub use configurator::{Configurator, ScopeConfig};
pub(crate) use switches::{Flags, State, Switch, Switches};
