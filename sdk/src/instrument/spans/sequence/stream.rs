//! A stream with a span, which is current during each poll and ends when the stream does.

use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use futures_core::Stream;
use pin_project_lite::pin_project;

use super::Sequence;
use crate::instrument::spans::builder::SpanBuilder;
use crate::instrument::spans::open::{OpenSpan, StartedSpan};
use crate::instrument::spans::stopwatch::Stopwatch;

pin_project! {
    /// A stream with a span that is current during each poll and during the drop, and that ends at the first `None`.
    ///
    /// The span records the number of items as `telemark.items`. If the stream is dropped before its end, the span gets
    /// `telemark.outcome = "cancelled"`. If the stream panics, the span gets the status error, `error.type = "panic"` and
    /// `telemark.outcome = "panicked"`. A disabled span costs one branch per poll.
    #[derive(Debug)]
    #[must_use = "streams do nothing unless polled"]
    pub struct TracedStream<S, O, R, M = ()>
    where
        M: Stopwatch,
    {
        // Set to `None` to drop the stream while the span is still current.
        #[pin]
        stream: Option<S>,
        sequence: Sequence<O, R, M>,
    }

    impl<S, O, R, M: Stopwatch> PinnedDrop for TracedStream<S, O, R, M> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            this.sequence.cancel(|| this.stream.set(None));
        }
    }
}

impl<S, O, R, M> Stream for TracedStream<S, O, R, M>
where
    S: Stream,
    O: Fn(&S::Item) -> Option<&'static str>,
    R: Fn(&OpenSpan, &S::Item),
    M: Stopwatch,
{
    type Item = S::Item;

    #[inline]
    fn poll_next(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        let Some(stream) = this.stream.as_pin_mut() else { return Poll::Ready(None) };
        if !this.sequence.is_watched() {
            return stream.poll_next(task);
        }
        let watch = this.sequence.step();
        let poll = stream.poll_next(task);
        drop(watch);
        match &poll {
            Poll::Pending => {}
            Poll::Ready(Some(item)) => this.sequence.item(item),
            Poll::Ready(None) => this.sequence.finish(),
        }
        poll
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.stream.as_ref().map_or((0, Some(0)), Stream::size_hint)
    }
}

/// A stream inside a manually created span, which ignores errors among the items.
pub type StreamInSpan<S> =
    TracedStream<S, fn(&<S as Stream>::Item) -> Option<&'static str>, fn(&OpenSpan, &<S as Stream>::Item)>;

impl SpanBuilder {
    /// Starts the span and runs `stream` in it. The span ends when the stream does. Its parent is the context that is
    /// current when this method is called, not when the stream is first polled, so the stream can be polled elsewhere.
    ///
    /// Errors among the items are not recorded. Call [`record_error`](crate::instrument::spans::record_error) where they
    /// occur.
    ///
    /// ```
    /// # use telemark_sdk::instrument::spans as telemark;
    /// # fn example(rows: impl futures_core::Stream<Item = u8>) -> impl futures_core::Stream<Item = u8> {
    /// telemark::span("rows").run_stream(rows)
    /// # }
    /// ```
    pub fn run_stream<S: Stream>(self, stream: S) -> StreamInSpan<S> {
        TracedStream { stream: Some(stream), sequence: Sequence::new(self.start(), (), |_| None, |_, _| ()) }
    }
}

/// Provides [`SpanBuilder::run_stream`] as a method of streams: `rows().in_span(telemark::span("rows"))`.
pub trait InSpanStream: Stream + Sized {
    /// Starts the span and runs this stream in it.
    ///
    /// ```
    /// # use telemark_sdk::instrument::spans as telemark;
    /// use telemark::InSpanStream;
    /// # fn example(rows: impl futures_core::Stream<Item = u8>) -> impl futures_core::Stream<Item = u8> {
    /// rows.in_span(telemark::span("rows"))
    /// # }
    /// ```
    fn in_span(self, span: SpanBuilder) -> StreamInSpan<Self> {
        span.run_stream(self)
    }
}

impl<S: Stream> InSpanStream for S {}

/// Runs a stream in a started span. `outcome` returns the error type of an item, if any, and `record` records the error.
#[inline]
pub fn traced_stream<S, O, R, M>(
    span: StartedSpan,
    stopwatch: M,
    stream: S,
    record: R,
    outcome: O,
) -> TracedStream<S, O, R, M>
where
    S: Stream,
    O: Fn(&S::Item) -> Option<&'static str>,
    R: Fn(&OpenSpan, &S::Item),
    M: Stopwatch,
{
    TracedStream { stream: Some(stream), sequence: Sequence::new(span, stopwatch, outcome, record) }
}
