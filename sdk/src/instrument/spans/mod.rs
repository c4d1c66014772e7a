//! Spans: the expansion of `#[traced]`, and a matching manual API.
//!
//! | file | owns |
//! |---|---|
//! | `start` | the start of a span: its options, and the decision whether to record it |
//! | `fields` | the fields of a call site, and which of them a sampler can look at |
//! | `open` | a started span: how it becomes current, and how it ends |
//! | `entered` | the guard for synchronous code |
//! | `future` | the future for asynchronous code |
//! | `body` | the body of an `async fn`, with few functions to compile for each |
//! | `sequence` | streams and iterators: a single span for all items |
//! | `output` | [`Output`](super::private::Output): finds the error in a return value, based on its type |
//! | `outcome` | turns an error into a status and `error.type` |
//! | `call_duration` | the histogram behind `#[traced(metrics)]` |
//! | `stopwatch` | the optional measurement of a call, and the scope in which its work runs |
//! | `builder` | [`span()`] and [`SpanBuilder`] |
//! | `current` | functions that act on the current span and context, such as [`set_attribute`], [`propagate`] and [`suppress`] |
//!
//! A call inside an unsampled span allocates nothing, attaches no context and evaluates no fields, but still has its
//! own span id ([`current_span_context`]). If no tracer is installed, a call costs one relaxed load.

pub(super) mod body;
mod builder;
pub(super) mod call_duration;
pub(super) mod current;
pub(super) mod entered;
pub(super) mod fields;
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
