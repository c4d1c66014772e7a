//! The future of asynchronous code: the span is current during every poll, and ends with the future.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use pin_project_lite::pin_project;

use super::span::{Active, Live};

pin_project! {
    /// A future with a span: current during each poll and during the drop, ended when the future is ready.
    ///
    /// A future that is dropped before has `telemark.outcome = "cancelled"`, one that panics has the status error,
    /// `error.type = "panic"` and `telemark.outcome = "panicked"`. One that is not recorded costs a branch a poll.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Traced<F, R> {
        // An option so that it can be dropped while the span is still current.
        #[pin]
        future: Option<F>,
        live: Option<Live>,
        record: Option<R>,
    }

    impl<F, R> PinnedDrop for Traced<F, R> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Some(live) = this.live.take() {
                let guard = live.attach();
                this.future.set(None);
                drop(guard);
                live.cancelled();
                live.end();
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
    pub fn new(mut active: Active, future: F, record: R) -> Self {
        Traced { future: Some(future), live: active.0.take(), record: Some(record) }
    }
}

impl<F, R> Future for Traced<F, R>
where
    F: Future,
    R: FnOnce(&Live, &F::Output),
{
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<F::Output> {
        let this = self.project();
        let Some(future) = this.future.as_pin_mut() else { return Poll::Pending };
        let Some(live) = this.live else { return future.poll(task) };
        let poll = poll_in(live, future, task);
        if let Poll::Ready(output) = &poll {
            if let (Some(live), Some(record)) = (live.recording(), this.record.take()) {
                record(live, output);
            }
            live.end();
            *this.live = None;
        }
        poll
    }
}

fn poll_in<F: Future>(live: &Live, future: Pin<&mut F>, task: &mut TaskContext<'_>) -> Poll<F::Output> {
    // Dropped in reverse order: detached first, then looked at.
    let _watch = Watch { live, unwinding: std::thread::panicking() };
    let _guard = live.attach();
    future.poll(task)
}

/// Ends the span of a future whose poll panics: nobody polls it again, and it may be kept for long.
struct Watch<'a> {
    live: &'a Live,
    unwinding: bool,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.unwinding {
            self.live.panicked();
            // What the drop of the future adds to an ended span is ignored.
            self.live.end();
        }
    }
}
