//! The log records, by arrival and by trace.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::model::{Record, Size, TraceId};

/// The size of a record without its content: itself, its counters, and its place in the list.
const OVERHEAD: usize = size_of::<Record>() + 24 + 2 * size_of::<(Arc<Record>, usize)>();
/// What the index by trace takes for a record.
const INDEXED: usize = 64;

/// All log records that are held. A record's id is the number of records that arrived before it.
#[derive(Debug, Default)]
pub(crate) struct Records {
    /// Each with its size, which depends on who else holds its names and is measured once.
    records: VecDeque<(Arc<Record>, usize)>,
    first: u64,
    by_trace: HashMap<TraceId, VecDeque<u64>>,
    pub(crate) bytes: usize,
}

impl Records {
    pub(super) fn add(&mut self, record: Arc<Record>) {
        let id = self.next();
        let size = size(&record);
        self.bytes += size;
        if !record.trace_id.is_zero() {
            self.by_trace.entry(record.trace_id).or_default().push_back(id);
        }
        self.records.push_back((record, size));
    }

    /// Removes the oldest record.
    pub(super) fn evict(&mut self) -> Option<Arc<Record>> {
        let (record, size) = self.records.pop_front()?;
        self.bytes = self.bytes.saturating_sub(size);
        self.first += 1;
        if let Some(ids) = self.by_trace.get_mut(&record.trace_id) {
            ids.pop_front();
            if ids.is_empty() {
                self.by_trace.remove(&record.trace_id);
            }
        }
        Some(record)
    }

    /// Returns the id of the next record.
    pub(crate) fn next(&self) -> u64 {
        self.first + self.records.len() as u64
    }

    /// Returns the id of the oldest record that is held.
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    pub(crate) fn get(&self, id: u64) -> Option<&Arc<Record>> {
        self.records.get(usize::try_from(id.checked_sub(self.first)?).ok()?).map(|(record, _)| record)
    }

    /// Returns up to `max` records from the id `from`.
    pub(crate) fn range(&self, from: u64, max: usize) -> Vec<(u64, Arc<Record>)> {
        let from = from.max(self.first);
        let skipped = usize::try_from(from - self.first).unwrap_or(usize::MAX);
        // Skips in the list itself, which takes no time, unlike in an iterator that was mapped.
        let records = self.records.iter().skip(skipped).take(max);
        (from..).zip(records.map(|(record, _)| record.clone())).collect()
    }

    /// Returns up to `max` records of a trace, by arrival.
    pub(crate) fn of_trace(&self, id: TraceId, max: usize) -> Vec<(u64, Arc<Record>)> {
        let ids = self.by_trace.get(&id).into_iter().flatten().take(max);
        ids.filter_map(|&id| Some((id, self.get(id)?.clone()))).collect()
    }

    /// Returns all records.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Record>> {
        self.records.iter().map(|(record, _)| record)
    }
}

/// Returns the bytes that a record takes.
fn size(record: &Record) -> usize {
    OVERHEAD + record.heap() + if record.trace_id.is_zero() { 0 } else { INDEXED }
}
