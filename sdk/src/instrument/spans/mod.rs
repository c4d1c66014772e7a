//! Spans: what `#[traced]` expands to, and the manual API in the same spirit.
//!
//! | file | owns |
//! |---|---|
//! | `start` | the start of a span: its options, and the decision to record it |
//! | `open` | a span after its start: how it becomes current, and its end |
//! | `entered` | the guard of synchronous code |
//! | `future` | the future of asynchronous code |
//! | `sequence` | streams and iterators: one span over many items |
//! | `output` | [`Output`](super::private::Output): the error in a return value, found by type |
//! | `outcome` | how an error becomes a status and `error.type` |
//! | `call_duration` | the histogram of `#[traced(metrics)]` |
//! | `stopwatch` | the optional timing of a call, and the scope in which its work runs |
//! | `builder` | [`span()`] and [`SpanBuilder`] |
//! | `current` | the current span and context: [`set_attribute`], [`propagate`], [`suppress`] and their kin |
//!
//! A call below a span that is not sampled allocates nothing, attaches nothing and evaluates no field, and still has a span
//! id of its own ([`current_span_context`]); without an installed tracer it costs one relaxed load.

mod builder;
pub(super) mod call_duration;
mod current;
pub(super) mod entered;
pub(super) mod future;
pub(super) mod open;
pub(super) mod outcome;
pub(super) mod output;
pub(super) mod sequence;
pub(super) mod start;
pub(super) mod stopwatch;
#[cfg(test)]
mod tests;

pub use builder::{InSpan, SpanBuilder, span};
pub use current::{
    add_event, current_span_context, propagate, propagate_fn, record_error, set_attribute, suppress, suppress_future,
    use_global_tracer,
};
pub use entered::Entered;
pub use future::Traced;
pub use outcome::{ErrorType, RecordError};
pub use sequence::{InSpanStream, IteratorInSpan, StreamInSpan, TracedIterator, TracedStream};
pub use start::{IntoLink, IntoParent};
