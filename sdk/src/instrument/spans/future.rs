//! The future for asynchronous code: its span is current during each poll and ends when the future does.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use pin_project_lite::pin_project;

use super::call_duration::CallEnd;
use super::open::{OpenSpan, StartedSpan, State};
use super::stopwatch::{Cancelling, Judge, Stopwatch, Watch};
use crate::instrument::shield::shielded;
use crate::time::Timestamp;
use crate::unsampled;

pin_project! {
    /// A future with a span that is current during each poll and during the drop, and that ends when the future is
    /// ready.
    ///
    /// If the future is dropped before it is ready, its span gets `telemark.outcome = "cancelled"`. If it panics, the span
    /// gets the status error, `error.type = "panic"` and `telemark.outcome = "panicked"`. A disabled span costs one branch
    /// per poll.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Traced<F, R, M = ()>
    where
        M: Stopwatch,
    {
        // Set to `None` to drop the future while the span is still current.
        #[pin]
        future: Option<F>,
        span: State,
        record: Option<R>,
        // Stopped exactly once: when the future is ready, panics, or is dropped early.
        stopwatch: M,
    }

    impl<F, R, M: Stopwatch> PinnedDrop for Traced<F, R, M> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Some(cancelling) = Cancelling::begin(this.span, this.stopwatch) {
                this.future.set(None);
                cancelling.end(this.stopwatch, nothing);
            }
        }
    }
}

impl<F, R> Traced<F, R>
where
    F: Future,
    R: FnOnce(&OpenSpan, &F::Output),
{
    /// Runs `future` in a started span. If the span is recording, `record` is called with the output before the span ends.
    #[inline]
    pub fn new(span: StartedSpan, future: F, record: R) -> Self {
        Traced::timed(span, future, record, ())
    }
}

impl<F, R, M> Traced<F, R, M>
where
    F: Future,
    R: FnOnce(&OpenSpan, &F::Output),
    M: Judge<F::Output>,
{
    /// Runs `future` in a started span, and stops the stopwatch, which is already running, when the future ends.
    #[inline]
    pub(in crate::instrument) fn timed(span: StartedSpan, future: F, record: R, stopwatch: M) -> Self {
        Traced { future: Some(future), span: span.0, record: Some(record), stopwatch }
    }
}

impl<F, R, M> Future for Traced<F, R, M>
where
    F: Future,
    R: FnOnce(&OpenSpan, &F::Output),
    M: Judge<F::Output>,
{
    type Output = F::Output;

    // Compiled for each function, so what does not depend on the future is elsewhere.
    #[inline]
    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<F::Output> {
        let this = self.project();
        let Some(future) = this.future.as_pin_mut() else { return Poll::Pending };
        if this.span.is_off() && !this.stopwatch.is_running() {
            return future.poll(task);
        }
        let polling = Polling::begin(this.span, this.stopwatch);
        let poll = future.poll(task);
        let Poll::Ready(output) = &poll else { return poll };
        if let Some(ending) = polling.finish(|stopwatch| stopwatch.judge(output)) {
            ending.end(|span| {
                if let Some(record) = this.record.take() {
                    shielded(|| record(span, output));
                }
            });
        }
        poll
    }
}

/// A poll of a future, during which its span is current.
pub(super) enum Polling<'a, M: Stopwatch> {
    Unsampled(Unsampling<'a>),
    /// There may be no span, only a measurement.
    Watched(Watch<'a, M>),
}

impl<'a, M: Stopwatch> Polling<'a, M> {
    #[inline]
    pub(super) fn begin(span: &'a mut State, stopwatch: &'a mut M) -> Self {
        match (&*span, stopwatch.is_running()) {
            (State::Unsampled(unsampled), false) => Polling::Unsampled(Unsampling { entered: unsampled.enter(), span }),
            _ => Polling::Watched(Watch::new(span, stopwatch)),
        }
    }

    /// Leaves the span of a future that is ready. `judge` determines how the call ended. Returns what is still to be ended.
    #[inline]
    pub(super) fn finish(self, judge: impl FnOnce(&mut M) -> CallEnd) -> Option<Ending> {
        match self {
            Polling::Unsampled(unsampling) => {
                *unsampling.span = State::Off;
                None
            }
            Polling::Watched(mut watch) => {
                let end = judge(watch.stopwatch());
                let at = watch.stopwatch().stop(end);
                match watch.finish() {
                    State::Open(span) => Some(Ending { span, at }),
                    State::Off | State::Unsampled(_) => None,
                }
            }
        }
    }
}

/// Keeps the span current. Dropping this leaves it.
pub(super) struct Unsampling<'a> {
    span: &'a mut State,
    entered: unsampled::Entered,
}

impl Drop for Unsampling<'_> {
    #[inline]
    fn drop(&mut self) {
        if let State::Unsampled(span) = self.span {
            *span = self.entered.span();
        }
    }
}

/// A span that is no longer current and has not ended.
pub(super) struct Ending {
    span: OpenSpan,
    at: Option<Timestamp>,
}

impl Ending {
    /// Ends the span, after `record` if the span is recording.
    #[inline]
    pub(super) fn end(self, record: impl FnOnce(&OpenSpan)) {
        if let Some(span) = self.span.recording() {
            record(span);
        }
        self.span.end(self.at);
    }
}

fn nothing(_: &OpenSpan) {}
