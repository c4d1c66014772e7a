//! The filter of spans by target and level, shared by `#[traced]` and the bridge for `tracing`.
//!
//! [`SpanFilter`] is the filter, written in the grammar of `RUST_LOG`. The live filter belongs to the whole program: [`current`]
//! reads it and [`set`] replaces it at any time. Code that starts spans caches the decision in two ways:
//!
//! - a [`SpanSwitch`] in a `static`, for one call site. A call that is off costs one relaxed load;
//! - [`generation`], which changes with every new filter, and [`on_change`], which calls a function after each change.
//!
//! | file | owns |
//! |---|---|
//! | `directives` | the filter: its grammar, its defaults, and the decision |
//! | `level` | the levels |
//! | `live` | the filter in use, and the switches that depend on it |

mod directives;
mod level;
mod live;

pub use directives::SpanFilter;
pub use level::Level;
pub use live::{SpanSwitch, current, generation, on_change, set};
