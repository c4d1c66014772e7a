//! The stream with a span: current during every poll, ended with the stream.

use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use futures_core::Stream;
use pin_project_lite::pin_project;

use super::duration::Timing;
use super::live::{Active, Live};
use super::manual::SpanBuilder;
use super::measured::Measurement;
use super::sequence::Sequence;

pin_project! {
    /// A stream with a span: current during each poll and during the drop, ended by the first `None`.
    ///
    /// The span has the number of items as `telemark.items`. A stream that is dropped before its end has
    /// `telemark.outcome = "cancelled"`, one that panics has the status error, `error.type = "panic"` and
    /// `telemark.outcome = "panicked"`. One that is not recorded costs a branch a poll.
    #[derive(Debug)]
    #[must_use = "streams do nothing unless polled"]
    pub struct TracedStream<S, O, R, M = ()>
    where
        M: Measurement,
    {
        // An option so that it can be dropped while the span is still current.
        #[pin]
        stream: Option<S>,
        sequence: Sequence<O, R, M>,
    }

    impl<S, O, R, M> PinnedDrop for TracedStream<S, O, R, M>
    where
        M: Measurement,
    {
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
    R: Fn(&Live, &S::Item),
    M: Measurement,
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

/// A stream in a span by hand; it does not look at the items.
pub type StreamInSpan<S> =
    TracedStream<S, fn(&<S as Stream>::Item) -> Option<&'static str>, fn(&Live, &<S as Stream>::Item)>;

impl SpanBuilder {
    /// Starts the span and gives it to `stream`, which ends it. The parent is what is current now, not at the first poll,
    /// so that the stream may be polled elsewhere.
    ///
    /// An item that is an error is not looked at: call [`record_error`](super::record_error) where it is made.
    ///
    /// ```
    /// # use telemark_sdk::traced as telemark;
    /// # fn example(rows: impl futures_core::Stream<Item = u8>) -> impl futures_core::Stream<Item = u8> {
    /// telemark::span("rows").run_stream(rows)
    /// # }
    /// ```
    pub fn run_stream<S: Stream>(self, stream: S) -> StreamInSpan<S> {
        TracedStream { stream: Some(stream), sequence: Sequence::new(self.start(), (), |_| None, |_, _| ()) }
    }
}

/// [`SpanBuilder::run_stream`] the other way around: `rows().in_span(telemark::span("rows"))`.
pub trait InSpanStream: Stream + Sized {
    /// Starts the span and gives it to this stream.
    ///
    /// ```
    /// # use telemark_sdk::traced as telemark;
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

/// Gives a started span to a stream; `outcome` names the type of an item's error, and `record` records it.
#[inline]
pub fn traced_stream<S, O, R>(active: Active, stream: S, record: R, outcome: O) -> TracedStream<S, O, R>
where
    S: Stream,
    O: Fn(&S::Item) -> Option<&'static str>,
    R: Fn(&Live, &S::Item),
{
    TracedStream { stream: Some(stream), sequence: Sequence::new(active, (), outcome, record) }
}

/// [`traced_stream`] with a measurement that has begun.
#[inline]
pub fn traced_stream_timed<S, O, R>(
    active: Active,
    timing: Timing,
    stream: S,
    record: R,
    outcome: O,
) -> TracedStream<S, O, R, Timing>
where
    S: Stream,
    O: Fn(&S::Item) -> Option<&'static str>,
    R: Fn(&Live, &S::Item),
{
    TracedStream { stream: Some(stream), sequence: Sequence::new(active, timing, outcome, record) }
}
