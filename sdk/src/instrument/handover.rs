//! Hands the current context over to other threads and through channels, together with the values that travel there.

use std::fmt;
use std::future::Future;

use futures_core::Stream;
use opentelemetry::Context;
use opentelemetry::trace::{FutureExt, WithContext};

use crate::context::{self, attach};

/// A value with the context in which it was sent, for channels, queues and other places where values wait for another task or
/// thread; created by [`carry`].
///
/// The context keeps the span of the sender in memory for as long as the value waits. A span of this crate ends with its own scope.
/// A span of the plain API that its owner does not end explicitly ends with its last context, so it stays open until the receiver is
/// done.
#[derive(Clone)]
pub struct Carried<T> {
    value: T,
    context: Context,
}

/// Packs a value together with the current context, so that the receiver's spans become children of the sender's.
///
/// ```
/// use std::sync::mpsc;
/// use telemark_sdk::instrument::handover::{Carried, carry};
///
/// let (sender, orders) = mpsc::channel::<Carried<u64>>();
/// sender.send(carry(7))?;
///
/// // On the other side of the channel:
/// for order in orders.try_iter() {
///     let price = order.in_scope(|order| order * 100);
///     assert_eq!(price, 700);
/// }
/// # Ok::<(), mpsc::SendError<Carried<u64>>>(())
/// ```
///
/// A span of the receiver is a child of a span that has ended by then, as a rule. If that is not wanted, for example because a
/// batch has many senders, take the context out with [`Carried::into_parts`] and link to it.
pub fn carry<T>(value: T) -> Carried<T> {
    Carried { value, context: context::current() }
}

impl<T> Carried<T> {
    /// Runs `work` with the value, within the context of the sender.
    pub fn in_scope<R>(self, work: impl FnOnce(T) -> R) -> R {
        let Carried { value, context } = self;
        let _guard = attach(context);
        work(value)
    }

    /// Returns the future of `work`, which runs within the context of the sender.
    ///
    /// ```
    /// # use telemark_sdk::instrument::handover::Carried;
    /// # async fn place(order: u64) {}
    /// async fn receive(order: Carried<u64>) {
    ///     order.run(place).await;
    /// }
    /// ```
    pub fn run<F: Future>(self, work: impl FnOnce(T) -> F) -> WithContext<F> {
        let Carried { value, context } = self;
        // The function may start a span before it returns its future.
        let future = {
            let _guard = attach(context.clone());
            work(value)
        };
        future.with_context(context)
    }

    /// Returns a reference to the value.
    pub fn value(&self) -> &T {
        &self.value
    }

    /// Returns the value and the context, for use as the parent of a span or in a link.
    pub fn into_parts(self) -> (T, Context) {
        (self.value, self.context)
    }
}

impl<T: fmt::Debug> fmt::Debug for Carried<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Carried").field(&self.value).finish()
    }
}

/// Attaches the current context to a stream, so that its items are produced within it wherever the stream is polled, for example
/// in the body of a response.
///
/// ```
/// use futures_core::Stream;
/// use telemark_sdk::instrument::handover::propagate_stream;
///
/// fn body(rows: impl Stream<Item = u64>) -> impl Stream<Item = u64> {
///     propagate_stream(rows)
/// }
/// ```
pub fn propagate_stream<S: Stream>(stream: S) -> WithContext<S> {
    stream.with_context(context::current())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instrument::spans::span;
    use crate::testing::TestTelemetry;
    use std::pin::Pin;
    use std::task::{Context as TaskContext, Poll, Waker};

    /// A stream whose items are created in a span each.
    struct Items(u64);

    impl Stream for Items {
        type Item = u64;

        fn poll_next(mut self: Pin<&mut Self>, _cx: &mut TaskContext<'_>) -> Poll<Option<u64>> {
            self.0 = self.0.saturating_sub(1);
            let item = self.0;
            Poll::Ready((item > 0).then(|| span("item").in_scope(|| item)))
        }
    }

    fn drain(stream: impl Stream<Item = u64>) -> u64 {
        let mut stream = std::pin::pin!(stream);
        let mut next = || match stream.as_mut().poll_next(&mut TaskContext::from_waker(Waker::noop())) {
            Poll::Ready(item) => item,
            Poll::Pending => None,
        };
        std::iter::from_fn(&mut next).sum()
    }

    fn finish<T>(future: impl Future<Output = T>) -> Poll<T> {
        std::pin::pin!(future).poll(&mut TaskContext::from_waker(Waker::noop()))
    }

    #[test]
    fn a_carried_value_brings_its_sender_along() {
        let telemetry = TestTelemetry::new();
        let _attached = telemetry.attach();
        let (first, second) = span("sender").in_scope(|| (carry(1), carry(2)));
        assert_eq!((first.value(), format!("{first:?}")), (&1, "Carried(1)".to_owned()));
        let receiver = std::thread::scope(|scope| {
            let receive = || {
                let one = first.in_scope(|value| span("receiver").in_scope(|| value));
                let two = second.run(|value| {
                    span("before the future").in_scope(|| ());
                    async move { span("asynchronous receiver").in_scope(|| value) }
                });
                match finish(two) {
                    Poll::Ready(two) => one + two,
                    Poll::Pending => 0,
                }
            };
            #[allow(clippy::disallowed_methods, reason = "a test")]
            scope.spawn(receive).join().unwrap()
        });
        assert_eq!(receiver, 3);
        assert_eq!(telemetry.tree(), "sender\n  receiver\n  before the future\n  asynchronous receiver\n");
    }

    #[test]
    fn the_parts_of_a_carried_value() {
        let telemetry = TestTelemetry::new();
        let _attached = telemetry.attach();
        let (value, context) = span("sender").in_scope(|| carry(7)).into_parts();
        span("receiver").with_parent(context).in_scope(|| assert_eq!(value, 7));
        assert_eq!(telemetry.tree(), "sender\n  receiver\n");
    }

    #[test]
    fn a_stream_produces_its_items_within_its_context() {
        let telemetry = TestTelemetry::new();
        let _attached = telemetry.attach();
        let (plain, propagated) = span("creator").in_scope(|| (Items(3), propagate_stream(Items(3))));
        assert_eq!((drain(propagated), drain(plain)), (3, 3));
        assert_eq!(telemetry.tree(), "creator\n  item\n  item\nitem\nitem\n");
    }
}
