//! The batch that an exporter is given.

use std::fmt;
use std::ops::Range;

use crate::resource::Resource;
use crate::signal::{Chunk, Signal};

/// Finished items of one signal and the resource they belong to, borrowed from the worker.
#[non_exhaustive]
pub struct Batch<'a, S: Signal> {
    /// The resource that the items belong to.
    pub resource: &'a Resource,
    chunks: &'a [S::Chunk],
    /// The number of the batch's first item, counted from the first chunk.
    start: usize,
    len: usize,
}

impl<'a, S: Signal> Batch<'a, S> {
    /// Creates a batch of all items of `chunk`, which belong to `resource`. A chunk is collected from items.
    pub fn new(resource: &'a Resource, chunk: &'a S::Chunk) -> Self {
        Batch { resource, chunks: std::slice::from_ref(chunk), start: 0, len: chunk.len() }
    }

    /// Creates a batch of `len` items, the first of which is the item number `start` of `chunks`.
    pub(crate) fn of_chunks(resource: &'a Resource, chunks: &'a [S::Chunk], start: usize, len: usize) -> Self {
        Batch { resource, chunks, start, len }
    }

    /// Returns the number of items. A batch that the SDK exports is never empty.
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

    /// Returns the item with this number.
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

    /// Returns the part of the batch with these items, cut to the items that there are.
    pub fn slice(&self, range: Range<usize>) -> Self {
        let start = range.start.min(self.len);
        let len = range.end.min(self.len) - start;
        Batch { start: self.start + start, len, ..*self }
    }
}

impl<'a, T, S: Signal<Chunk = Vec<T>>> Batch<'a, S> {
    /// Returns the items of a signal whose chunk is a plain list, as that of metrics is.
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
