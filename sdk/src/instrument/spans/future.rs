//! The future for asynchronous code: its span is current during each poll and ends when the future does.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use pin_project_lite::pin_project;

use super::open::{OpenSpan, StartedSpan, State};
use super::stopwatch::{Judge, Stopwatch, Watch, cancel};

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
            cancel(this.span, this.stopwatch, || this.future.set(None), |_| ());
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

    #[inline]
    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<F::Output> {
        let this = self.project();
        let Some(future) = this.future.as_pin_mut() else { return Poll::Pending };
        match (&mut *this.span, this.stopwatch.is_running()) {
            (State::Off, false) => return future.poll(task),
            (State::Unsampled(span), false) => {
                let entered = span.enter();
                let poll = future.poll(task);
                let left = entered.leave();
                if poll.is_ready() {
                    *this.span = State::Off;
                } else {
                    *span = left;
                }
                return poll;
            }
            _ => {}
        }
        let mut watch = Watch::new(this.span, this.stopwatch);
        let poll = future.poll(task);
        let Poll::Ready(output) = &poll else { return poll };
        let end = watch.stopwatch().judge(output);
        let end = watch.stopwatch().stop(end);
        drop(watch);
        if let State::Open(span) = std::mem::take(this.span) {
            if let (Some(span), Some(record)) = (span.recording(), this.record.take()) {
                record(span, output);
            }
            span.end(end);
        }
        poll
    }
}
