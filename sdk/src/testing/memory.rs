//! An exporter that stores everything in memory.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::error::ExportError;
use crate::export::{Batch, ExportReport, Exporter};
use crate::resource::Resource;
use crate::signal::Signal;
use crate::sync::unpoisoned;
use crate::time::Deadline;

/// Stores all items of all batches. Clones share the same items.
pub struct InMemoryExporter<S: Signal>(Arc<Mutex<Kept<S>>>);

struct Kept<S: Signal> {
    batches: Vec<usize>,
    items: Vec<S::Item>,
    resource: Option<Resource>,
    shutdowns: usize,
}

impl<S: Signal> InMemoryExporter<S>
where
    S::Item: Clone,
{
    /// Creates an empty exporter.
    pub fn new() -> Self {
        let kept = Kept { batches: Vec::new(), items: Vec::new(), resource: None, shutdowns: 0 };
        InMemoryExporter(Arc::new(Mutex::new(kept)))
    }

    /// Returns all exported items, in order.
    pub fn items(&self) -> Vec<S::Item> {
        self.kept().items.clone()
    }

    /// Returns the size of each batch.
    pub fn batches(&self) -> Vec<usize> {
        self.kept().batches.clone()
    }

    /// Returns the resource of the last batch.
    pub fn resource(&self) -> Option<Resource> {
        self.kept().resource.clone()
    }

    /// Returns the number of times that `shutdown` has been called.
    pub fn shutdowns(&self) -> usize {
        self.kept().shutdowns
    }

    /// Removes all items and batches.
    pub fn clear(&self) {
        let mut kept = self.kept();
        kept.batches.clear();
        kept.items.clear();
    }

    fn kept(&self) -> MutexGuard<'_, Kept<S>> {
        unpoisoned(self.0.lock())
    }
}

impl<S: Signal> Exporter<S> for InMemoryExporter<S>
where
    S::Item: Clone,
{
    fn export(&mut self, batch: Batch<'_, S>, _: Deadline) -> Result<ExportReport, ExportError> {
        let mut kept = self.kept();
        kept.batches.push(batch.len());
        kept.items.extend(batch.iter().map(S::to_item));
        kept.resource = Some(batch.resource.clone());
        Ok(ExportReport::accepted())
    }

    fn shutdown(&mut self, _: Deadline) -> Result<(), ExportError> {
        self.kept().shutdowns += 1;
        Ok(())
    }
}

impl<S: Signal> Default for InMemoryExporter<S>
where
    S::Item: Clone,
{
    fn default() -> Self {
        InMemoryExporter::new()
    }
}

impl<S: Signal> Clone for InMemoryExporter<S> {
    fn clone(&self) -> Self {
        InMemoryExporter(self.0.clone())
    }
}

impl<S: Signal> fmt::Debug for InMemoryExporter<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InMemoryExporter").field("signal", &S::NAME).finish()
    }
}
