//! A measurement that may be running, and the scope in which the work of a traced call runs.
//!
//! The stopwatch of `#[traced(metrics)]` stops just before its span ends, and supplies the span's end time.

use super::call_duration::{CallEnd, Timing};
use super::open::{Current, OpenSpan, State};
use crate::time::Timestamp;

/// The measurement of a call. `()` measures nothing.
pub trait Stopwatch {
    /// Returns true until [`Stopwatch::stop`] is called.
    fn is_running(&self) -> bool;

    /// Records the duration. Returns the end time if the span must end at the same moment. Later calls do nothing.
    fn stop(&mut self, end: CallEnd) -> Option<Timestamp>;
}

/// A stopwatch for a call that returns a `T`.
pub trait Judge<T>: Stopwatch {
    /// Determines from the output how the call ended.
    fn judge(&mut self, output: &T) -> CallEnd;
}

impl Stopwatch for () {
    #[inline]
    fn is_running(&self) -> bool {
        false
    }

    #[inline]
    fn stop(&mut self, _: CallEnd) -> Option<Timestamp> {
        None
    }
}

impl<T> Judge<T> for () {
    #[inline]
    fn judge(&mut self, _: &T) -> CallEnd {
        CallEnd::Returned
    }
}

impl Stopwatch for Timing {
    #[inline]
    fn is_running(&self) -> bool {
        Timing::is_running(self)
    }

    #[inline]
    fn stop(&mut self, end: CallEnd) -> Option<Timestamp> {
        Timing::stop(self, end)
    }
}

/// A stopwatch that checks the output for an error.
#[derive(Debug)]
pub struct JudgedTiming<O> {
    timing: Timing,
    outcome: Option<O>,
}

impl<O> JudgedTiming<O> {
    /// Creates a stopwatch. `outcome` returns the error type of an output, if any.
    #[inline]
    pub(in crate::instrument) fn new(timing: Timing, outcome: O) -> Self {
        JudgedTiming { timing, outcome: Some(outcome) }
    }
}

impl<O> Stopwatch for JudgedTiming<O> {
    #[inline]
    fn is_running(&self) -> bool {
        self.timing.is_running()
    }

    #[inline]
    fn stop(&mut self, end: CallEnd) -> Option<Timestamp> {
        self.timing.stop(end)
    }
}

impl<T, O: FnOnce(&T) -> Option<&'static str>> Judge<T> for JudgedTiming<O> {
    #[inline]
    fn judge(&mut self, output: &T) -> CallEnd {
        self.outcome.take().and_then(|outcome| outcome(output)).map_or(CallEnd::Returned, CallEnd::Failed)
    }
}

/// The scope in which work runs in its span. If the work panics, the stopwatch stops and the span ends immediately,
/// because the future, stream or iterator that panicked may be kept for a long time.
pub(in crate::instrument) struct Watch<'a, M: Stopwatch> {
    span: &'a mut State,
    current: Current,
    stopwatch: &'a mut M,
    /// True if the thread was already unwinding when the work began.
    unwinding: bool,
}

impl<'a, M: Stopwatch> Watch<'a, M> {
    /// Makes the span, if there is one, current until the returned value is dropped.
    #[inline]
    pub(in crate::instrument) fn new(span: &'a mut State, stopwatch: &'a mut M) -> Self {
        Watch { current: span.enter(), span, stopwatch, unwinding: std::thread::panicking() }
    }

    /// Returns the stopwatch while the span is still current.
    #[inline]
    pub(super) fn stopwatch(&mut self) -> &mut M {
        self.stopwatch
    }

    /// Leaves the span of work that has finished, and returns it.
    #[inline]
    pub(super) fn finish(mut self) -> State {
        self.span.leave(std::mem::take(&mut self.current));
        std::mem::take(self.span)
    }
}

impl<M: Stopwatch> Drop for Watch<'_, M> {
    #[inline]
    fn drop(&mut self) {
        let has_panicked = std::thread::panicking() && !self.unwinding;
        let end = if has_panicked { self.stopwatch.stop(CallEnd::Panicked) } else { None };
        // Leave first, so that processors run in the caller's context.
        self.span.leave(std::mem::take(&mut self.current));
        if has_panicked {
            if let Some(span) = self.span.open() {
                span.panicked();
                // The span has ended now, so it ignores anything that is set when the work is dropped.
                span.end(end);
            }
        }
    }
}

/// The end of work that is dropped before it has finished. Its span is current while the work is dropped.
pub(super) struct Cancelling {
    // Dropped first, if dropping the work panics.
    current: Current,
    span: State,
}

impl Cancelling {
    /// Makes the span current. Returns `None` if there is nothing to end.
    #[inline]
    pub(super) fn begin(span: &mut State, stopwatch: &impl Stopwatch) -> Option<Self> {
        if span.is_off() && !stopwatch.is_running() {
            return None;
        }
        let current = span.enter();
        Some(Cancelling::of(span, current))
    }

    /// Returns the end of a span that `current` has made current.
    #[inline]
    pub(super) fn of(span: &mut State, current: Current) -> Self {
        Cancelling { current, span: std::mem::take(span) }
    }

    /// Stops the stopwatch and ends the span, after `complete` has set the last attributes.
    #[inline]
    pub(super) fn end(mut self, stopwatch: &mut impl Stopwatch, complete: impl FnOnce(&OpenSpan)) {
        let end = stopwatch.stop(CallEnd::Cancelled);
        // Leave first, so that processors run in the caller's context.
        self.span.leave(self.current);
        if let State::Open(span) = self.span {
            complete(&span);
            span.cancelled();
            span.end(end);
        }
    }
}
