//! The signals. [`Exporter`](crate::Exporter), batches, queues and pipelines are generic over them.

use std::fmt::Debug;

/// A kind of telemetry. Sealed, because the specification defines a fixed set.
pub trait Signal: sealed::Sealed + Send + Sync + 'static {
    /// A finished item that owns its fields, such as a span for traces.
    type Item: Send + 'static;
    /// A finished item borrowed from a chunk, as passed to exporters.
    type View<'a>: Copy + Debug;
    /// The contiguous memory in which finished items wait for export.
    type Chunk: Chunk<Self>;
    /// The name used in thread names, diagnostics and paths, such as `traces`.
    const NAME: &'static str;
    /// The word for items in messages, such as `spans`.
    const ITEMS: &'static str;
    /// The additional bytes that an item takes outside of a chunk, on top of its [`Self::size`].
    const OWNED_SIZE: usize;

    /// Copies a view into an owned item.
    fn to_item(view: Self::View<'_>) -> Self::Item;

    /// Returns the size in bytes of an item in a chunk, including everything that it owns. May overestimate.
    fn size(item: &Self::Item) -> usize;
}

/// Finished items of one signal in contiguous memory.
pub trait Chunk<S: Signal + ?Sized>: Default + Debug + FromIterator<S::Item> + Send + Sync + 'static {
    /// Returns the number of items.
    fn len(&self) -> usize;

    /// Returns true if there are no items.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the items at these indices, in order. A range that exceeds the chunk yields no items.
    fn views(&self, range: std::ops::Range<usize>) -> impl Iterator<Item = S::View<'_>> + Clone;

    /// Appends an item. `size` is the result of [`Signal::size`] for this item.
    fn push(&mut self, item: S::Item, size: usize);

    /// Returns true if the next item should go into a new chunk.
    fn is_full(&self) -> bool;

    /// Returns the size in bytes of the chunk, including unused capacity and everything that its items own.
    fn bytes(&self) -> usize;

    /// Removes all items and returns them.
    fn drain(&mut self) -> impl Iterator<Item = S::Item>;

    /// Drops all items. Keeps the chunk's own memory unless it has grown far beyond its usual size.
    fn clear(&mut self);
}

/// The traces signal; its items are [`SpanData`](crate::trace::SpanData).
#[derive(Debug, Clone, Copy)]
pub enum Traces {}

/// The metrics signal; its items are [`ScopeMetrics`](crate::metrics::ScopeMetrics).
#[derive(Debug, Clone, Copy)]
pub enum Metrics {}

pub(crate) mod sealed {
    pub trait Sealed {}
}

impl sealed::Sealed for Traces {}
impl sealed::Sealed for Metrics {}
