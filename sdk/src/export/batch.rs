//! The batch that is passed to an exporter.

use std::fmt;
use std::ops::Range;

use crate::resource::Resource;
use crate::signal::{Chunk, Signal};

/// Finished items of one signal together with their resource, borrowed from the worker.
#[non_exhaustive]
pub struct Batch<'a, S: Signal> {
    /// The resource that the items belong to.
    pub resource: &'a Resource,
    chunks: &'a [S::Chunk],
    /// The index of the batch's first item, counted from the start of the first chunk.
    start: usize,
    len: usize,
}

impl<'a, S: Signal> Batch<'a, S> {
    /// Creates a batch of all items in `chunk`, which belong to `resource`. Collect items to create a chunk.
    pub fn new(resource: &'a Resource, chunk: &'a S::Chunk) -> Self {
        Batch { resource, chunks: std::slice::from_ref(chunk), start: 0, len: chunk.len() }
    }

    /// Creates a batch of `len` items from `chunks`, starting at the item with index `start`.
    pub(crate) fn of_chunks(resource: &'a Resource, chunks: &'a [S::Chunk], start: usize, len: usize) -> Self {
        Batch { resource, chunks, start, len }
    }

    /// Returns the number of items. The SDK never exports an empty batch.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns true if there are no items.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the items in order.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = S::View<'a>> + Clone + use<'a, S> {
        let (mut skipped, mut left) = (self.start, self.len);
        self.chunks.iter().flat_map(move |chunk| {
            let first = skipped.min(chunk.len());
            skipped -= first;
            let last = chunk.len().min(first.saturating_add(left));
            left -= last - first;
            chunk.views(first..last)
        })
    }

    /// Returns the item at this index.
    #[inline]
    pub fn get(&self, index: usize) -> Option<S::View<'a>> {
        let mut at = (index < self.len).then_some(self.start + index)?;
        for chunk in self.chunks {
            match chunk.len() {
                len if at < len => return chunk.views(at..at + 1).next(),
                len => at -= len,
            }
        }
        None
    }

    /// Returns the items of the batch in this range, which is clamped to the length of the batch.
    pub fn slice(&self, range: Range<usize>) -> Self {
        let start = range.start.min(self.len);
        let len = range.end.min(self.len).saturating_sub(start);
        Batch { start: self.start + start, len, ..*self }
    }
}

impl<'a, T, S: Signal<Chunk = Vec<T>>> Batch<'a, S> {
    /// Returns the items of a signal whose chunk is a plain list, such as metrics.
    pub fn as_slice(&self) -> &'a [T] {
        let first = self.chunks.first().map_or(&[][..], Vec::as_slice);
        first.get(self.start..self.start + self.len).unwrap_or_default()
    }
}

impl<S: Signal> Clone for Batch<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S: Signal> Copy for Batch<'_, S> {}

impl<S: Signal> fmt::Debug for Batch<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("resource", &self.resource).field("len", &self.len).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::SpanContext;
    use opentelemetry::{InstrumentationScope, KeyValue};

    use super::*;
    use crate::signal::Traces;
    use crate::trace::{SpanChunk, SpanData, SpanView};

    /// Creates chunks with these numbers of spans. The spans are numbered, and the number of a span is also the number
    /// of its attributes.
    fn chunks(sizes: &[usize]) -> Vec<SpanChunk> {
        let mut number = 0;
        let mut span = || {
            let mut span = SpanData::new(
                SpanContext::NONE,
                number.to_string(),
                InstrumentationScope::builder("test").build().into(),
            );
            span.own_attributes = (0..number).map(|_| KeyValue::new("of", number)).collect();
            number += 1;
            span
        };
        sizes.iter().map(|&size| (0..size).map(|_| span()).collect()).collect()
    }

    fn shown(span: SpanView<'_>) -> String {
        let number = span.own_attributes().len();
        assert!(span.own_attributes().iter().all(|attribute| attribute.value.as_str() == number.to_string()));
        assert_eq!(**span.name(), number.to_string());
        number.to_string()
    }

    fn text(batch: Batch<'_, Traces>) -> String {
        let all: Vec<_> = batch.iter().map(shown).collect();
        let one_by_one: Vec<_> = (0..batch.len() + 1).filter_map(|index| batch.get(index)).map(shown).collect();
        assert_eq!(all, one_by_one);
        assert_eq!((batch.len(), batch.is_empty()), (all.len(), all.is_empty()));
        all.join(" ")
    }

    #[test]
    fn a_batch_spans_parts_of_several_chunks() {
        let (resource, chunks) = (Resource::empty(), chunks(&[3, 0, 1, 4]));
        let check = |start, len, expected| assert_eq!(text(Batch::of_chunks(&resource, &chunks, start, len)), expected);
        check(0, 8, "0 1 2 3 4 5 6 7");
        check(0, 2, "0 1");
        check(1, 4, "1 2 3 4");
        check(3, 1, "3");
        check(4, 4, "4 5 6 7");
        check(8, 0, "");
    }

    #[test]
    fn a_slice_of_a_batch_is_a_batch() {
        let (resource, chunks) = (Resource::empty(), chunks(&[2, 3, 3]));
        let batch = Batch::of_chunks(&resource, &chunks, 1, 6);
        let check = |range, expected| assert_eq!(text(batch.slice(range)), expected);
        check(0..6, "1 2 3 4 5 6");
        check(2..4, "3 4");
        check(4..100, "5 6");
        check(9..12, "");
        #[allow(clippy::reversed_empty_ranges, reason = "an exporter may compute it")]
        check(5..3, "");
        assert_eq!(text(batch.slice(1..5).slice(1..3)), "3 4");
    }
}
