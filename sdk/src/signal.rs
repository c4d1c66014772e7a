//! The signals. [`Exporter`](crate::Exporter), batches, queues and pipelines are generic over the signal.

use std::fmt::Debug;

/// A kind of telemetry. The trait is sealed, because the specification defines a fixed set of signals.
pub trait Signal: sealed::Sealed + Send + Sync + 'static {
    /// A finished item that owns its fields, such as a span in the case of traces.
    type Item: Send + 'static;
    /// A finished item borrowed from a chunk, in the form in which exporters see it.
    type View<'a>: Copy + Debug;
    /// Finished items in contiguous memory, in the form in which they wait to be exported.
    type Chunk: Chunk<Self>;
    /// The name used in thread names, diagnostics and paths, such as `traces`.
    const NAME: &'static str;
    /// The word for the items in messages, such as `spans`.
    const ITEMS: &'static str;
    /// The variables that set the capacity of the queue in items and in bytes, for messages.
    const QUEUE_VARIABLES: [&'static str; 2] = ["", ""];
    /// The number of bytes that an item outside a chunk occupies in addition to its [`Self::size`].
    const OWNED_SIZE: usize;

    /// Copies a view into an owned item.
    fn to_item(view: Self::View<'_>) -> Self::Item;

    /// Returns the number of bytes that an item occupies in a chunk, including everything that it owns. The result may
    /// be slightly too high.
    fn size(item: &Self::Item) -> usize;
}

/// Finished items of one signal, stored contiguously in memory.
pub trait Chunk<S: Signal + ?Sized>: Default + Debug + FromIterator<S::Item> + Send + Sync + 'static {
    /// Returns the number of items.
    fn len(&self) -> usize;

    /// Returns true if there are no items.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the items with these indices, in order. Returns no items if the range extends beyond the last item.
    fn views(&self, range: std::ops::Range<usize>) -> impl Iterator<Item = S::View<'_>> + Clone;

    /// Appends an item, whose [`Signal::size`] is `size`.
    fn push(&mut self, item: S::Item, size: usize);

    /// Makes room for `item` in small steps, for a chunk that holds few items for a while. By default, does nothing.
    fn make_room(&mut self, item: &S::Item) {
        let _ = item;
    }

    /// Returns true if no more items should be added to this chunk.
    fn is_full(&self) -> bool;

    /// Returns the number of bytes that the chunk occupies, including its unused memory and everything that its items
    /// own.
    fn bytes(&self) -> usize;

    /// Removes all items and returns them.
    fn drain(&mut self) -> impl Iterator<Item = S::Item>;

    /// Frees unused memory. By default, does nothing.
    fn shrink(&mut self) {}

    /// Drops all items. Keeps the chunk's own memory, unless it has grown far beyond its normal size.
    fn clear(&mut self);
}

/// The traces signal; its items are [`SpanData`](crate::trace::SpanData).
#[derive(Debug, Clone, Copy)]
pub enum Traces {}

/// The metrics signal; its items are [`ScopeMetrics`](crate::metrics::ScopeMetrics).
#[derive(Debug, Clone, Copy)]
pub enum Metrics {}

/// The logs signal; its items are [`SdkLogRecord`](crate::logs::SdkLogRecord).
#[derive(Debug, Clone, Copy)]
pub enum Logs {}

pub(crate) mod sealed {
    pub trait Sealed {}
}

impl sealed::Sealed for Traces {}
impl sealed::Sealed for Metrics {}
impl sealed::Sealed for Logs {}
