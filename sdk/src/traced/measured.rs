//! What goes with the work of a span: nothing, or the measurement of `#[traced(metrics)]`. It ends within the span, and
//! before it, and tells it when.

use super::duration::{End, Timing};
use super::live::{Current, State};
use crate::time::Timestamp;

/// A measurement of a call, or none.
pub trait Measurement {
    /// Whether there is something to end.
    fn is_running(&self) -> bool;

    /// Ends it and says when, if that is a time for the span too. Later calls do nothing.
    fn end(&mut self, end: End) -> Option<Timestamp>;
}

/// A measurement of what returns a `T`.
pub trait Judge<T>: Measurement {
    /// How a call ended that has returned this.
    fn judge(&mut self, output: &T) -> End;
}

impl Measurement for () {
    #[inline]
    fn is_running(&self) -> bool {
        false
    }

    #[inline]
    fn end(&mut self, _: End) -> Option<Timestamp> {
        None
    }
}

impl<T> Judge<T> for () {
    #[inline]
    fn judge(&mut self, _: &T) -> End {
        End::Returned
    }
}

impl Measurement for Timing {
    #[inline]
    fn is_running(&self) -> bool {
        Timing::is_running(self)
    }

    #[inline]
    fn end(&mut self, end: End) -> Option<Timestamp> {
        Timing::end(self, end)
    }
}

/// A measurement that names the error in what is returned.
#[derive(Debug)]
pub struct Measured<O> {
    timing: Timing,
    outcome: Option<O>,
}

impl<O> Measured<O> {
    /// `outcome` names the type of the error in an output.
    #[inline]
    pub(super) fn new(timing: Timing, outcome: O) -> Self {
        Measured { timing, outcome: Some(outcome) }
    }
}

impl<O> Measurement for Measured<O> {
    #[inline]
    fn is_running(&self) -> bool {
        self.timing.is_running()
    }

    #[inline]
    fn end(&mut self, end: End) -> Option<Timestamp> {
        self.timing.end(end)
    }
}

impl<T, O: FnOnce(&T) -> Option<&'static str>> Judge<T> for Measured<O> {
    #[inline]
    fn judge(&mut self, output: &T) -> End {
        self.outcome.take().and_then(|outcome| outcome(output)).map_or(End::Returned, End::Failed)
    }
}

/// Work that runs in a span. If it panics, its measurement and its span end: nobody goes on with it, and it may be kept
/// for long.
pub(super) struct Watch<'a, M: Measurement> {
    span: &'a mut State,
    current: Current,
    measurement: &'a mut M,
    /// The thread was unwinding already when the work began.
    unwinding: bool,
}

impl<'a, M: Measurement> Watch<'a, M> {
    /// Makes the span current, if there is one, until this is dropped.
    #[inline]
    pub(super) fn new(span: &'a mut State, measurement: &'a mut M) -> Self {
        Watch { current: span.enter(), span, measurement, unwinding: std::thread::panicking() }
    }

    /// The measurement, while the span is current.
    #[inline]
    pub(super) fn measurement(&mut self) -> &mut M {
        self.measurement
    }
}

impl<M: Measurement> Drop for Watch<'_, M> {
    #[inline]
    fn drop(&mut self) {
        let has_panicked = std::thread::panicking() && !self.unwinding;
        let end = if has_panicked { self.measurement.end(End::Panicked) } else { None };
        // Left first, so that the processors that see the end run in the context of the caller.
        self.span.leave(std::mem::take(&mut self.current));
        if has_panicked {
            if let Some(live) = self.span.live() {
                live.panicked();
                // What the drop of the work adds to an ended span is ignored.
                live.end(end);
            }
        }
    }
}
