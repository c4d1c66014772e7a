//! Drives a future on the current thread until it completes or a deadline passes.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use telemark_sdk::time::Deadline;

/// Runs an exporter's futures.
#[derive(Debug, Default)]
pub(crate) enum Executor {
    /// Runs them on the current thread. This suffices for futures that never wait or are woken by other
    /// threads.
    #[default]
    Thread,
    /// Runs them on a tokio runtime owned by the exporter.
    #[cfg(feature = "tokio")]
    Tokio(tokio_runtime::Lazy),
}

impl Executor {
    /// Runs `work`, a synchronous call, inside the exporter's runtime.
    pub(crate) fn enter<T>(&mut self, work: impl FnOnce() -> T) -> std::io::Result<T> {
        match self {
            Executor::Thread => Ok(work()),
            #[cfg(feature = "tokio")]
            Executor::Tokio(runtime) => {
                let _entered = runtime.get_or_start()?.enter();
                Ok(work())
            }
        }
    }

    /// Returns the output of the future, or `None` if the deadline passes first, in which case the future is
    /// dropped.
    pub(crate) fn run<F: Future>(&mut self, future: F, deadline: Deadline) -> std::io::Result<Option<F::Output>> {
        match self {
            Executor::Thread => Ok(block_on(future, deadline)),
            #[cfg(feature = "tokio")]
            Executor::Tokio(runtime) => tokio_runtime::block_on(runtime.get_or_start()?, future, deadline),
        }
    }
}

/// Polls the future until it completes or the deadline passes. Existing executors do not support deadlines.
fn block_on<F: Future>(future: F, deadline: Deadline) -> Option<F::Output> {
    struct Unpark {
        thread: Thread,
        woken: AtomicBool,
    }
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            // Release pairs with the swap below, so the next poll sees everything that happened before the
            // wake.
            if !self.woken.swap(true, Ordering::Release) {
                self.thread.unpark();
            }
        }
    }

    let mut future = pin!(future);
    let unpark = Arc::new(Unpark { thread: thread::current(), woken: AtomicBool::new(false) });
    let waker = Waker::from(Arc::clone(&unpark));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        // The parking token does not suffice, because it can be set spuriously or by other code on this thread.
        while !unpark.woken.swap(false, Ordering::Acquire) {
            match deadline.remaining() {
                Some(left) if left.is_zero() => return None,
                Some(left) => thread::park_timeout(left),
                None => thread::park(),
            }
        }
        // A future that keeps waking itself must also stop at the deadline.
        if deadline.has_passed() {
            return None;
        }
    }
}

#[cfg(feature = "tokio")]
pub(crate) mod tokio_runtime {
    //! A current-thread runtime that starts on first use, on the thread that uses it.

    use super::{Deadline, Future};
    use tokio::runtime::{Builder, Runtime};

    #[derive(Debug, Default)]
    pub(crate) struct Lazy(Option<Runtime>);

    impl Lazy {
        pub(crate) fn get_or_start(&mut self) -> std::io::Result<&Runtime> {
            let runtime = match self.0.take() {
                Some(runtime) => runtime,
                None => Builder::new_current_thread().enable_all().build()?,
            };
            Ok(self.0.insert(runtime))
        }
    }

    impl Drop for Lazy {
        fn drop(&mut self) {
            if let Some(runtime) = self.0.take() {
                // A plain drop would wait for blocking tasks without a limit, and would panic inside another
                // runtime.
                runtime.shutdown_background();
            }
        }
    }

    pub(crate) fn block_on<F: Future>(
        runtime: &Runtime,
        future: F,
        deadline: Deadline,
    ) -> std::io::Result<Option<F::Output>> {
        Ok(runtime.block_on(async {
            match deadline.remaining() {
                Some(left) => tokio::time::timeout(left, future).await.ok(),
                None => Some(future.await),
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, poll_fn};
    use std::time::Duration;

    fn soon() -> Deadline {
        Deadline::after(Duration::from_millis(20))
    }

    #[test]
    fn a_future_that_is_ready_never_waits_even_past_the_deadline() {
        assert_eq!(block_on(async { 7 }, Deadline::after(Duration::ZERO)), Some(7));
    }

    #[test]
    fn a_future_is_woken_by_another_thread() {
        let (sender, receiver) = std::sync::mpsc::channel::<Waker>();
        let mut polls = 0;
        let future = poll_fn(|context| {
            polls += 1;
            if polls == 2 {
                return Poll::Ready(());
            }
            sender.send(context.waker().clone()).unwrap();
            Poll::Pending
        });
        thread::scope(|scope| {
            scope.spawn(move || receiver.recv().unwrap().wake());
            assert_eq!(block_on(future, Deadline::after(Duration::from_secs(60))), Some(()));
        });
        assert_eq!(polls, 2, "a wake is one poll, and nothing else polls");
    }

    #[test]
    fn a_future_that_never_wakes_ends_at_the_deadline() {
        assert_eq!(block_on(pending::<()>(), soon()), None);
    }

    #[test]
    fn a_future_that_always_wakes_itself_ends_at_the_deadline() {
        let busy = poll_fn(|context| {
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        });
        assert_eq!(block_on(busy, soon()), None);
    }

    #[test]
    fn a_stale_parking_token_does_not_end_the_wait() {
        thread::current().unpark();
        assert_eq!(block_on(pending::<()>(), soon()), None);
    }
}
