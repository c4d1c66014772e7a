//! What `#[traced]` expands to, and the small manual API in the same spirit.
//!
//! | file | owns |
//! |---|---|
//! | `outcome` | how an error becomes a status and `error.type` |
//! | `span` | the start of a span: what it starts with, and whether it is recorded |
//! | `live` | a span that has started: how it becomes current, and its end |
//! | `entered` | the guard of synchronous code |
//! | `future` | the future of asynchronous code |
//! | `output` | [`Output`](private::Output): the error in what is returned, found by type |
//! | `sequence` | the life of a span over many items |
//! | `stream`, `iterator` | the adapters that have one |
//! | `duration` | the histogram of `#[traced(metrics)]` |
//! | `measured` | what goes with the work of a span: nothing, or its measurement |
//! | `manual` | [`span()`], [`set_attribute`], [`propagate`], [`suppress`] and their kin |
//! | `private` | everything that the macro's expansion names, and nothing else |
//!
//! A call below a span that is not sampled allocates nothing, attaches nothing and evaluates no field, and still has a span
//! id of its own ([`current_span_context`]); without an installed tracer it costs one relaxed load.

mod duration;
mod entered;
mod future;
mod iterator;
mod live;
mod manual;
mod measured;
mod outcome;
mod output;
pub mod private;
mod sequence;
mod span;
mod stream;

pub use crate::value::{Element, ToValue};
pub use entered::Entered;
pub use future::Traced;
pub use iterator::{IteratorInSpan, TracedIterator};
pub use manual::{
    InSpan, SpanBuilder, add_event, current_span_context, propagate, propagate_fn, record_error, set_attribute, span,
    suppress, suppress_future, use_global_tracer,
};
pub use outcome::{ErrorType, RecordError};
pub use span::{IntoLink, IntoParent};
pub use stream::{InSpanStream, StreamInSpan, TracedStream};
