//! Manages a span that covers all items of a stream or an iterator.
//!
//! | file | owns |
//! |---|---|
//! | `stream`, `iterator` | the adapters around a [`Sequence`] |

mod iterator;
mod stream;

pub use iterator::{IteratorInSpan, TracedIterator, traced_iterator};
pub use stream::{InSpanStream, StreamInSpan, TracedStream, traced_stream};

use super::call_duration::CallEnd;
use super::open::{OpenSpan, StartedSpan, State};
use super::stopwatch::{Cancelling, Stopwatch, Watch};
use crate::instrument::shield;

/// Attribute that holds the number of items.
const ITEMS: &str = "telemark.items";

/// A span that covers a sequence and observes each item.
///
/// The first item that is an error sets the status of the span; later errors have no effect. The span ends with the sequence,
/// not at the first error.
#[derive(Debug)]
pub(super) struct Sequence<O, R, M> {
    span: State,
    stopwatch: M,
    outcome: O,
    record: R,
    failed: Option<&'static str>,
    items: i64,
}

impl<O, R, M: Stopwatch> Sequence<O, R, M> {
    #[inline]
    pub(super) fn new(span: StartedSpan, stopwatch: M, outcome: O, record: R) -> Self {
        Sequence { span: span.0, stopwatch, outcome, record, failed: None, items: 0 }
    }

    /// Returns true if there is a span to end or a running stopwatch.
    #[inline]
    pub(super) fn is_watched(&self) -> bool {
        !self.span.is_off() || self.stopwatch.is_running()
    }

    /// Makes the span current for one step, until the guard is dropped.
    #[inline]
    pub(super) fn step(&mut self) -> Watch<'_, M> {
        Watch::new(&mut self.span, &mut self.stopwatch)
    }

    /// Counts an item, and records the first error.
    #[inline]
    pub(super) fn item<T>(&mut self, item: &T)
    where
        O: Fn(&T) -> Option<&'static str>,
        R: Fn(&OpenSpan, &T),
    {
        self.items = self.items.saturating_add(1);
        if self.failed.is_some() {
            return;
        }
        self.failed = (self.outcome)(item);
        if let (Some(_), Some(span)) = (self.failed, self.span.open().and_then(OpenSpan::recording)) {
            shield::record(&self.record, span, item);
        }
    }

    /// Ends the span after the last item.
    #[inline]
    pub(super) fn finish(&mut self) {
        let end = self.stopwatch.stop(self.failed.map_or(CallEnd::Returned, CallEnd::Failed));
        if let State::Open(span) = std::mem::take(&mut self.span) {
            span.set(ITEMS, &self.items);
            span.end(end);
        }
    }

    /// Ends the span of a sequence that is dropped before its end. `release` drops the source of the items while the
    /// span is current.
    pub(super) fn cancel(&mut self, release: impl FnOnce()) {
        if let Some(cancelling) = Cancelling::begin(&mut self.span, &self.stopwatch) {
            release();
            cancelling.end(&mut self.stopwatch, |span| span.set(ITEMS, &self.items));
        }
    }
}
