//! Items that a stage holds until it reaches a verdict: one by one, or together in less memory.

use std::fmt;
use std::ops::{Deref, DerefMut, Range};
use std::sync::Arc;

use super::outlets::Home;
use crate::signal::{Chunk, Signal};

/// An item that a [`Stage`](super::Stage) holds until it reaches a verdict. Until it is passed on, its bytes still
/// count in the queue in front of the stages. Dropping this value drops the item, and every exporter counts the item as
/// dropped by a stage.
pub struct Held<S: Signal> {
    /// `None` only after the item has been passed on.
    item: Option<S::Item>,
    /// The bytes that count in the queue; zero for an item that was held in a group.
    bytes: usize,
    /// The index of the stage.
    stage: usize,
    home: Arc<Home<S>>,
}

impl<S: Signal> Held<S> {
    pub(super) fn new(item: S::Item, stage: usize, home: &Arc<Home<S>>) -> Self {
        let bytes = S::size(&item) + S::OWNED_SIZE;
        home.queue.bytes().charge(bytes);
        Held { item: Some(item), bytes, stage, home: home.clone() }
    }

    /// Takes the item, whose bytes then no longer count here.
    pub(super) fn into_item(mut self) -> Option<S::Item> {
        self.item.take()
    }
}

impl<S: Signal> Deref for Held<S> {
    type Target = S::Item;

    fn deref(&self) -> &S::Item {
        match &self.item {
            Some(item) => item,
            None => unreachable!("a held item is there until it is passed on"),
        }
    }
}

impl<S: Signal> DerefMut for Held<S> {
    fn deref_mut(&mut self) -> &mut S::Item {
        match &mut self.item {
            Some(item) => item,
            None => unreachable!("a held item is there until it is passed on"),
        }
    }
}

impl<S: Signal> Drop for Held<S> {
    fn drop(&mut self) {
        if let Some(item) = self.item.take() {
            self.home.lose(self.stage + 1, &item);
            self.home.outlets.count(|counters| counters.dropped_by_stage(1));
        }
        if self.bytes > 0 {
            self.home.queue.bytes().release(self.bytes);
        }
    }
}

impl<S: Signal> fmt::Debug for Held<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("signal", &S::NAME).field("bytes", &self.bytes).finish()
    }
}

/// A chunk of items that a stage keeps as it came out of the queue, so that items which are dropped are never moved.
///
/// Its bytes do not count in the queue. Once this value is dropped, the chunk goes back to the queue, and every exporter counts the items
/// that were not taken as dropped by a stage.
#[doc(hidden)]
pub struct HeldChunk<S: Signal> {
    items: S::Chunk,
    /// The index of the stage.
    stage: usize,
    /// The number of items that were neither taken nor given up.
    left: usize,
    given_up: usize,
    home: Arc<Home<S>>,
}

impl<S: Signal> HeldChunk<S> {
    pub(super) fn new(items: S::Chunk, stage: usize, home: &Arc<Home<S>>) -> Self {
        let left = items.len();
        HeldChunk { items, stage, left, given_up: 0, home: home.clone() }
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// Returns the number of bytes that the chunk occupies.
    pub(crate) fn bytes(&self) -> usize {
        self.items.bytes()
    }

    /// Returns the items with these indices.
    pub(crate) fn views(&self, indices: Range<usize>) -> impl Iterator<Item = S::View<'_>> + Clone {
        self.items.views(indices)
    }

    /// Returns an item.
    pub(crate) fn view(&self, index: usize) -> Option<S::View<'_>> {
        self.items.views(index..index + 1).next()
    }

    /// Takes a copy of an item, which is not taken again.
    pub(crate) fn take(&mut self, index: usize) -> Option<Held<S>> {
        let item = S::to_item(self.view(index)?);
        self.left = self.left.saturating_sub(1);
        Some(Held { item: Some(item), bytes: 0, stage: self.stage, home: self.home.clone() })
    }

    /// Frees memory that the items do not use.
    pub(crate) fn shrink(&mut self) {
        self.items.shrink();
    }

    /// Gives up this number of items.
    pub(crate) fn give_up(&mut self, items: usize) {
        self.left = self.left.saturating_sub(items);
        self.given_up += items;
    }

    /// Returns true if nothing is left.
    pub(crate) fn is_done(&self) -> bool {
        self.left == 0
    }
}

impl<S: Signal> Drop for HeldChunk<S> {
    fn drop(&mut self) {
        let dropped = (self.given_up + self.left) as u64;
        if dropped > 0 {
            self.home.outlets.count(|counters| counters.dropped_by_stage(dropped));
        }
        if !self.items.is_empty() {
            self.home.queue.recycle_held(std::mem::take(&mut self.items));
        }
    }
}

impl<S: Signal> fmt::Debug for HeldChunk<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeldChunk").field("signal", &S::NAME).field("left", &self.left).finish()
    }
}

/// Items that a stage holds together, such as those of one trace, in the compact form in which they wait in a queue.
///
/// Their bytes do not count in the queue in front of the stages, so the stage must bound them itself. Dropping this value drops the
/// items, and every exporter counts them as dropped by a stage.
pub(crate) struct HeldGroup<S: Signal> {
    items: S::Chunk,
    /// The index of the stage.
    stage: usize,
    /// `None` while there are no items.
    home: Option<Arc<Home<S>>>,
}

impl<S: Signal> HeldGroup<S> {
    /// Creates a group in the memory of `spare`, which is an empty chunk.
    pub(crate) fn in_memory_of(spare: S::Chunk) -> Self {
        HeldGroup { items: spare, stage: 0, home: None }
    }

    /// Adds an item.
    pub(crate) fn push(&mut self, mut held: Held<S>) {
        let Some(item) = held.item.take() else { return };
        let size = S::size(&item);
        self.items.make_room(&item);
        self.items.push(item, size);
        if self.home.is_none() {
            (self.home, self.stage) = (Some(held.home.clone()), held.stage);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// Returns the number of bytes that the items occupy, with unused memory.
    pub(crate) fn bytes(&self) -> usize {
        self.items.bytes()
    }

    /// Returns the items, in the order in which they were added.
    pub(crate) fn views(&self) -> impl Iterator<Item = S::View<'_>> + Clone {
        self.items.views(0..self.items.len())
    }

    /// Passes all items on, after `edit` has seen them.
    pub(crate) fn pass_on(&mut self, mut edit: impl FnMut(&mut S::Item), pass_on: &mut dyn FnMut(Held<S>)) {
        let Some(home) = self.home.take() else { return };
        for mut item in self.items.drain() {
            edit(&mut item);
            pass_on(Held { item: Some(item), bytes: 0, stage: self.stage, home: home.clone() });
        }
    }

    /// Drops the items and returns the empty chunk, for another group.
    pub(crate) fn clear(mut self) -> S::Chunk {
        self.count_dropped();
        let mut chunk = std::mem::take(&mut self.items);
        chunk.clear();
        chunk
    }

    fn count_dropped(&mut self) {
        let items = self.items.len() as u64;
        if let Some(home) = self.home.take().filter(|_| items > 0) {
            home.outlets.count(|counters| counters.dropped_by_stage(items));
        }
    }
}

impl<S: Signal> Drop for HeldGroup<S> {
    fn drop(&mut self) {
        self.count_dropped();
    }
}

impl<S: Signal> fmt::Debug for HeldGroup<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeldGroup").field("signal", &S::NAME).field("items", &self.len()).finish()
    }
}
