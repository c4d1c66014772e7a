//! The life of a span over the items of a stream or an iterator.

use super::duration::End;
use super::live::{Active, Live, State};
use super::measured::{Measurement, Watch};

/// The attribute with the number of items that came out.
const ITEMS: &str = "telemark.items";

/// A span over a sequence of items, each of which it sees.
///
/// The first item that is an error sets the status of the span. Later errors change nothing, and none ends the span: it ends
/// with the sequence.
#[derive(Debug)]
pub(super) struct Sequence<O, R, M> {
    span: State,
    measurement: M,
    outcome: O,
    record: R,
    failed: Option<&'static str>,
    items: i64,
}

impl<O, R, M: Measurement> Sequence<O, R, M> {
    #[inline]
    pub(super) fn new(active: Active, measurement: M, outcome: O, record: R) -> Self {
        Sequence { span: active.0, measurement, outcome, record, failed: None, items: 0 }
    }

    /// Returns true while a span or a measurement is open.
    #[inline]
    pub(super) fn is_watched(&self) -> bool {
        !self.span.is_off() || self.measurement.is_running()
    }

    /// Makes the span current for one step.
    #[inline]
    pub(super) fn step(&mut self) -> Watch<'_, M> {
        Watch::new(&mut self.span, &mut self.measurement)
    }

    /// Counts an item that came out, and records it if it is an error.
    #[inline]
    pub(super) fn item<T>(&mut self, item: &T)
    where
        O: Fn(&T) -> Option<&'static str>,
        R: Fn(&Live, &T),
    {
        self.items = self.items.saturating_add(1);
        if self.failed.is_some() {
            return;
        }
        self.failed = (self.outcome)(item);
        if let (Some(_), Some(live)) = (self.failed, self.span.live().and_then(Live::recording)) {
            (self.record)(live, item);
        }
    }

    /// Ends the span: there are no more items.
    #[inline]
    pub(super) fn finish(&mut self) {
        let end = self.measurement.end(self.failed.map_or(End::Returned, End::Failed));
        if let State::Live(live) = std::mem::take(&mut self.span) {
            live.set(ITEMS, &self.items);
            live.end(end);
        }
    }

    /// Ends the span of a sequence that is dropped before its end; `release` drops what makes the items, in the span.
    pub(super) fn cancel(&mut self, release: impl FnOnce()) {
        if !self.is_watched() {
            return;
        }
        let mut span = std::mem::take(&mut self.span);
        let current = span.enter();
        release();
        let end = self.measurement.end(End::Cancelled);
        // Left first, so that the processors that see the end run in the context of the caller.
        span.leave(current);
        if let State::Live(live) = span {
            live.set(ITEMS, &self.items);
            live.cancelled();
            live.end(end);
        }
    }
}
