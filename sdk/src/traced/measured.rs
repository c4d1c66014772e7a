//! The future of asynchronous `#[traced(metrics)]` functions: measures from its start to its end. It runs within
//! [`Traced`](super::Traced), so that the span is current whenever it records.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use pin_project_lite::pin_project;

use super::duration::{End, Timer};

pin_project! {
    /// A future whose duration is measured, once: when it is ready, when it panics, or else when it is dropped.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Measured<F, O> {
        // An option so that its drop is measured too.
        #[pin]
        future: Option<F>,
        timer: Timer,
        outcome: Option<O>,
    }

    impl<F, O> PinnedDrop for Measured<F, O> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.timer.is_running() {
                this.future.set(None);
                this.timer.end(End::Cancelled);
            }
        }
    }
}

impl<F, O> Measured<F, O>
where
    F: Future,
    O: FnOnce(&F::Output) -> Option<&'static str>,
{
    /// Measures `future` from when `timer` was started; `outcome` names the type of the error in its output.
    #[inline]
    pub(super) fn new(timer: Timer, future: F, outcome: O) -> Self {
        Measured { future: Some(future), timer, outcome: Some(outcome) }
    }
}

impl<F, O> Future for Measured<F, O>
where
    F: Future,
    O: FnOnce(&F::Output) -> Option<&'static str>,
{
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<F::Output> {
        let this = self.project();
        let Some(future) = this.future.as_pin_mut() else { return Poll::Pending };
        if !this.timer.is_running() {
            return future.poll(task);
        }
        let watch = Watch { timer: this.timer, unwinding: std::thread::panicking() };
        let poll = future.poll(task);
        if let Poll::Ready(output) = &poll {
            let error = this.outcome.take().and_then(|outcome| outcome(output));
            watch.timer.end(error.map_or(End::Returned, End::Failed));
        }
        poll
    }
}

/// Ends the measurement of a future whose poll panics: nobody polls it again.
struct Watch<'a> {
    timer: &'a mut Timer,
    unwinding: bool,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.unwinding {
            self.timer.end(End::Panicked);
        }
    }
}
