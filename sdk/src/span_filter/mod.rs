//! The filter that selects spans by target and level, shared by `#[traced]` and the bridge for `tracing`.
//!
//! [`SpanFilter`] is the filter, whose grammar is that of `RUST_LOG`. The live filter applies to the whole program:
//! [`current`] returns it, and [`set`] can replace it at any time. Code that starts spans can cache the filter's
//! decision in two ways:
//!
//! - with a [`SpanSwitch`] in a `static`, for a single call site, so that a call that is switched off costs one
//!   relaxed load;
//! - with [`generation`], which changes with every new filter, and [`on_change`], which calls a function after each
//!   change.
//!
//! | file | owns |
//! |---|---|
//! | `directives` | the filter: its grammar, its defaults, and how it makes decisions |
//! | `level` | the levels |
//! | `live` | the filter in use, and the switches that depend on it |

mod directives;
mod level;
mod live;

pub use directives::SpanFilter;
pub use level::Level;
pub(crate) use live::wake;
pub use live::{SpanSwitch, current, generation, on_change, set};
