//! An iterator with a span, which is current during each `next` and ends when the iterator does.

use super::Sequence;
use crate::instrument::spans::builder::SpanBuilder;
use crate::instrument::spans::open::{OpenSpan, StartedSpan};
use crate::instrument::spans::stopwatch::Stopwatch;

/// An iterator with a span that is current during each `next` and during the drop, and that ends at the first `None`.
///
/// The span records the number of items as `telemark.items`, and `telemark.outcome = "cancelled"` if the iterator is dropped
/// before it is exhausted.
#[derive(Debug)]
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct TracedIterator<I, O, R, M = ()>
where
    M: Stopwatch,
{
    // Set to `None` to drop the iterator while the span is still current.
    iterator: Option<I>,
    sequence: Sequence<O, R, M>,
}

impl<I, O, R, M> Iterator for TracedIterator<I, O, R, M>
where
    I: Iterator,
    O: Fn(&I::Item) -> Option<&'static str>,
    R: Fn(&OpenSpan, &I::Item),
    M: Stopwatch,
{
    type Item = I::Item;

    #[inline]
    fn next(&mut self) -> Option<I::Item> {
        let iterator = self.iterator.as_mut()?;
        if !self.sequence.is_watched() {
            return iterator.next();
        }
        let watch = self.sequence.step();
        let next = iterator.next();
        drop(watch);
        match &next {
            Some(item) => self.sequence.item(item),
            None => self.sequence.finish(),
        }
        next
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.iterator.as_ref().map_or((0, Some(0)), Iterator::size_hint)
    }
}

impl<I, O, R, M: Stopwatch> Drop for TracedIterator<I, O, R, M> {
    fn drop(&mut self) {
        let iterator = &mut self.iterator;
        self.sequence.cancel(|| *iterator = None);
    }
}

/// An iterator inside a manually created span, which ignores errors among the items.
pub type IteratorInSpan<I> =
    TracedIterator<I, fn(&<I as Iterator>::Item) -> Option<&'static str>, fn(&OpenSpan, &<I as Iterator>::Item)>;

impl SpanBuilder {
    /// Starts the span and iterates over `items` inside it. The span ends at the first `None`, or when the iterator is
    /// dropped.
    ///
    /// ```
    /// # use telemark_sdk::instrument::spans as telemark;
    /// let sum: u32 = telemark::span("parse lines").run_iterator("1 2 3".split(' ')).filter_map(|n| n.parse::<u32>().ok()).sum();
    /// assert_eq!(sum, 6);
    /// ```
    pub fn run_iterator<I: IntoIterator>(self, items: I) -> IteratorInSpan<I::IntoIter> {
        let sequence = Sequence::new(self.start(), (), (|_| None) as fn(&_) -> _, (|_, _| ()) as fn(&_, &_));
        TracedIterator { iterator: Some(items.into_iter()), sequence }
    }
}

/// Runs an iterator in a started span. `outcome` returns the error type of an item, if any, and `record` records the error.
#[inline]
pub fn traced_iterator<I, O, R, M>(
    span: StartedSpan,
    stopwatch: M,
    iterator: I,
    record: R,
    outcome: O,
) -> TracedIterator<I, O, R, M>
where
    I: Iterator,
    O: Fn(&I::Item) -> Option<&'static str>,
    R: Fn(&OpenSpan, &I::Item),
    M: Stopwatch,
{
    TracedIterator { iterator: Some(iterator), sequence: Sequence::new(span, stopwatch, outcome, record) }
}
