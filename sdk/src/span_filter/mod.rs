//! The filter that selects spans by target and level, shared by `#[traced]` and the bridge for `tracing`.
//!
//! The events that become log records have a live filter of their own in [`records`], which is that of spans by default.
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
//! | `live` | the filters in use, for spans and for records, and the switches that depend on them |

mod directives;
mod level;
mod live;

pub(crate) use directives::VARIABLE;
pub use directives::{SpanFilter, is_misspelt_level};
pub use level::Level;
pub(crate) use live::wake;
pub use live::{SpanSwitch, current, generation, on_change, records, set};
