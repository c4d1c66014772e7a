//! The signals. [`Exporter`](crate::Exporter), batches, queues and pipelines are generic over them.

use std::fmt::Debug;

/// A kind of telemetry. Sealed, because the specification defines a fixed set.
pub trait Signal: sealed::Sealed + Send + Sync + 'static {
    /// A finished item that owns its fields, such as a span for traces.
    type Item: Send + 'static;
    /// A finished item borrowed from a chunk, as exporters and stages see it.
    type View<'a>: Copy + Debug;
    /// Finished items in contiguous memory, as they wait for their export.
    type Chunk: Chunk<Self>;
    /// The name used in thread names, diagnostics and paths, such as `traces`.
    const NAME: &'static str;
    /// The word for items in messages, such as `spans`.
    const ITEMS: &'static str;

    /// Copies a view into an item of its own.
    fn to_item(view: Self::View<'_>) -> Self::Item;
}

/// Finished items of one signal, end to end in memory.
pub trait Chunk<S: Signal + ?Sized>: Default + Debug + FromIterator<S::Item> + Send + Sync + 'static {
    /// Returns the number of items.
    fn len(&self) -> usize;

    /// Returns true if there are no items.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the items with these numbers, in order. Numbers beyond the last item have none.
    fn views(&self, range: std::ops::Range<usize>) -> impl Iterator<Item = S::View<'_>> + Clone;

    /// Moves an item to the end.
    fn push(&mut self, item: S::Item);

    /// Removes every item. Keeps the memory of the chunk itself.
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
