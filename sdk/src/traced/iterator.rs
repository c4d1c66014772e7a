//! The iterator with a span: current in every `next`, ended with the iterator.

use super::duration::Timing;
use super::live::{Active, Live};
use super::manual::SpanBuilder;
use super::measured::Measurement;
use super::sequence::Sequence;

/// An iterator with a span: current in each `next` and during the drop, ended by the first `None`.
///
/// The span has the number of items as `telemark.items`; an iterator that is dropped before its end has
/// `telemark.outcome = "cancelled"`.
#[derive(Debug)]
#[must_use = "iterators are lazy and do nothing unless consumed"]
pub struct TracedIterator<I, O, R, M = ()>
where
    M: Measurement,
{
    // An option so that it can be dropped while the span is still current.
    iterator: Option<I>,
    sequence: Sequence<O, R, M>,
}

impl<I, O, R, M> Iterator for TracedIterator<I, O, R, M>
where
    I: Iterator,
    O: Fn(&I::Item) -> Option<&'static str>,
    R: Fn(&Live, &I::Item),
    M: Measurement,
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

impl<I, O, R, M: Measurement> Drop for TracedIterator<I, O, R, M> {
    fn drop(&mut self) {
        let iterator = &mut self.iterator;
        self.sequence.cancel(|| *iterator = None);
    }
}

/// An iterator in a span by hand; it does not look at the items.
pub type IteratorInSpan<I> =
    TracedIterator<I, fn(&<I as Iterator>::Item) -> Option<&'static str>, fn(&Live, &<I as Iterator>::Item)>;

impl SpanBuilder {
    /// Starts the span and gives it to the iterator of `items`, which ends it at its first `None` or when it is dropped.
    ///
    /// ```
    /// # use telemark_sdk::traced as telemark;
    /// let sum: u32 = telemark::span("parse lines").run_iterator("1 2 3".split(' ')).filter_map(|n| n.parse::<u32>().ok()).sum();
    /// assert_eq!(sum, 6);
    /// ```
    pub fn run_iterator<I: IntoIterator>(self, items: I) -> IteratorInSpan<I::IntoIter> {
        let sequence = Sequence::new(self.start(), (), (|_| None) as fn(&_) -> _, (|_, _| ()) as fn(&_, &_));
        TracedIterator { iterator: Some(items.into_iter()), sequence }
    }
}

/// Gives a started span to an iterator; `outcome` names the type of an item's error, and `record` records it.
#[inline]
pub fn traced_iterator<I, O, R>(active: Active, iterator: I, record: R, outcome: O) -> TracedIterator<I, O, R>
where
    I: Iterator,
    O: Fn(&I::Item) -> Option<&'static str>,
    R: Fn(&Live, &I::Item),
{
    TracedIterator { iterator: Some(iterator), sequence: Sequence::new(active, (), outcome, record) }
}

/// [`traced_iterator`] with a measurement that has begun.
#[inline]
pub fn traced_iterator_timed<I, O, R>(
    active: Active,
    timing: Timing,
    iterator: I,
    record: R,
    outcome: O,
) -> TracedIterator<I, O, R, Timing>
where
    I: Iterator,
    O: Fn(&I::Item) -> Option<&'static str>,
    R: Fn(&Live, &I::Item),
{
    TracedIterator { iterator: Some(iterator), sequence: Sequence::new(active, timing, outcome, record) }
}
