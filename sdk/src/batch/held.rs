//! An item that a stage holds until it reaches a verdict.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::queue::Queue;
use super::stage::Outlets;
use crate::diag::Counters;
use crate::signal::Signal;

/// An item that a [`Stage`](super::Stage) holds until it reaches a verdict. Until it is passed on, its bytes still
/// count in the queue in front of the stages. Dropping this value drops the item, and every exporter counts the item as
/// dropped by a stage.
pub struct Held<S: Signal> {
    /// `None` only after the item has been passed on.
    item: Option<S::Item>,
    bytes: usize,
    queue: Arc<Queue<S>>,
    outlets: Arc<Outlets<S>>,
}

impl<S: Signal> Held<S> {
    pub(super) fn new(item: S::Item, queue: &Arc<Queue<S>>, outlets: &Arc<Outlets<S>>) -> Self {
        let bytes = S::size(&item) + S::OWNED_SIZE;
        queue.bytes().charge(bytes);
        Held { item: Some(item), bytes, queue: queue.clone(), outlets: outlets.clone() }
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
        if self.item.take().is_some() {
            self.outlets.count(Counters::dropped_by_stage);
        }
        self.queue.bytes().release(self.bytes);
    }
}

impl<S: Signal> fmt::Debug for Held<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("signal", &S::NAME).field("bytes", &self.bytes).finish()
    }
}
