//! The future of asynchronous code: the span is current during every poll, and ends with the future.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use pin_project_lite::pin_project;

use super::duration::End;
use super::live::{Active, Live, State};
use super::measured::{Judge, Measurement, Watch};

pin_project! {
    /// A future with a span: current during each poll and during the drop, ended when the future is ready.
    ///
    /// A future that is dropped before has `telemark.outcome = "cancelled"`, one that panics has the status error,
    /// `error.type = "panic"` and `telemark.outcome = "panicked"`. One that is not recorded costs a branch a poll.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Traced<F, R, M = ()>
    where
        M: Measurement,
    {
        // An option so that it can be dropped while the span is still current.
        #[pin]
        future: Option<F>,
        span: State,
        record: Option<R>,
        // Measured once, too: when the future is ready, when it panics, or else when it is dropped.
        measurement: M,
    }

    impl<F, R, M> PinnedDrop for Traced<F, R, M>
    where
        M: Measurement,
    {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.span.is_off() && !this.measurement.is_running() {
                return;
            }
            let mut span = std::mem::take(this.span);
            let current = span.enter();
            this.future.set(None);
            let end = this.measurement.end(End::Cancelled);
            span.leave(current);
            if let State::Live(live) = span {
                live.cancelled();
                live.end(end);
            }
        }
    }
}

impl<F, R> Traced<F, R>
where
    F: Future,
    R: FnOnce(&Live, &F::Output),
{
    /// Runs `future` in a started span; `record` sees the output before the span ends, if it records.
    #[inline]
    pub fn new(active: Active, future: F, record: R) -> Self {
        Traced::measured(active, future, record, ())
    }
}

impl<F, R, M> Traced<F, R, M>
where
    F: Future,
    R: FnOnce(&Live, &F::Output),
    M: Judge<F::Output>,
{
    /// [`Self::new`] with a measurement that has begun.
    #[inline]
    pub(super) fn measured(active: Active, future: F, record: R, measurement: M) -> Self {
        Traced { future: Some(future), span: active.0, record: Some(record), measurement }
    }
}

impl<F, R, M> Future for Traced<F, R, M>
where
    F: Future,
    R: FnOnce(&Live, &F::Output),
    M: Judge<F::Output>,
{
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<F::Output> {
        let this = self.project();
        let Some(future) = this.future.as_pin_mut() else { return Poll::Pending };
        match (&mut *this.span, this.measurement.is_running()) {
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
        let mut watch = Watch::new(this.span, this.measurement);
        let poll = future.poll(task);
        let Poll::Ready(output) = &poll else { return poll };
        let end = watch.measurement().judge(output);
        let end = watch.measurement().end(end);
        drop(watch);
        if let State::Live(live) = std::mem::take(this.span) {
            if let (Some(live), Some(record)) = (live.recording(), this.record.take()) {
                record(live, output);
            }
            live.end(end);
        }
        poll
    }
}
