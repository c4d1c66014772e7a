//! Searches that remember their matches, so that a page that asks again only reads what has changed.
//!
//! The memory of all searches counts as the store's.

mod records;
mod traces;

use std::sync::Arc;

use crate::query::{Query, QueryError, Target};
use crate::store::Store;

pub(crate) use records::{Level, RecordMatch, RecordSearch};
pub(crate) use traces::{TraceMatch, TraceSearch};

/// The maximum number of searches that are remembered.
const MAX_SEARCHES: usize = 24;
/// The number of searches that are remembered whatever they take. A list of traces repeats two: its own, and that of all traces.
const MIN_SEARCHES: usize = 2;
/// The part of the store that searches may take: one sixteenth.
const SHARE: usize = 16;
/// The maximum number of items that are cloned under the store's lock at once.
const STEP: usize = 1_000;

/// The searches that pages and tools repeat.
#[derive(Debug, Default)]
pub(crate) struct Searches {
    traces: Vec<Remembered<TraceSearch>>,
    records: Vec<Remembered<RecordSearch>>,
    /// The number of times that any search was used.
    uses: u64,
}

/// A search with its query, and when it was last used. Each list of them is in the order of its last uses.
#[derive(Debug)]
struct Remembered<S> {
    query: String,
    search: S,
    used: u64,
}

/// A search over one type of items.
trait Search {
    const TARGET: Target;

    fn new(query: Query) -> Self;

    /// Reads all that has changed since the last call.
    fn update(&mut self, store: &Store);

    /// Returns the bytes that the matches take.
    fn bytes(&self) -> usize;
}

impl Searches {
    /// Returns the traces that match a query.
    pub(crate) fn traces(&mut self, store: &Store, query: &str) -> Result<&TraceSearch, QueryError> {
        self.uses += 1;
        update(&mut self.traces, store, query, self.uses)?;
        self.forget(store);
        latest(&self.traces)
    }

    /// Returns the log records that match a query.
    pub(crate) fn records(&mut self, store: &Store, query: &str) -> Result<&RecordSearch, QueryError> {
        self.uses += 1;
        update(&mut self.records, store, query, self.uses)?;
        self.forget(store);
        latest(&self.records)
    }

    /// Forgets the searches that were not used for the longest time until the others have room, and counts those as memory of the
    /// store.
    fn forget(&mut self, store: &Store) {
        let max_bytes = store.max_bytes() / SHARE;
        loop {
            let bytes = bytes(&self.traces) + bytes(&self.records);
            let count = self.traces.len() + self.records.len();
            if count <= MIN_SEARCHES || (count <= MAX_SEARCHES && bytes <= max_bytes) {
                return store.charge(bytes);
            }
            let (trace, record) = (self.traces.first(), self.records.first());
            let is_trace = trace.is_some_and(|trace| record.is_none_or(|record| trace.used < record.used));
            if is_trace {
                self.traces.remove(0);
            } else {
                self.records.remove(0);
            }
        }
    }
}

fn bytes<S: Search>(list: &[Remembered<S>]) -> usize {
    list.iter().map(|remembered| size_of::<Remembered<S>>() + remembered.query.len() + remembered.search.bytes()).sum()
}

/// Updates the search for a query, and moves it to the end of the list.
fn update<S: Search>(list: &mut Vec<Remembered<S>>, store: &Store, query: &str, uses: u64) -> Result<(), QueryError> {
    let known = list.iter().position(|remembered| remembered.query == query);
    let mut remembered = match known {
        Some(at) => list.remove(at),
        None => Remembered { query: query.to_owned(), search: S::new(Query::parse(query, S::TARGET)?), used: uses },
    };
    remembered.used = uses;
    remembered.search.update(store);
    list.push(remembered);
    Ok(())
}

fn latest<S>(list: &[Remembered<S>]) -> Result<&S, QueryError> {
    let latest = list.last().map(|remembered| &remembered.search);
    latest.ok_or_else(|| QueryError { message: "the search is not available".to_owned(), at: 0 })
}

/// Returns the facts of a trace that terms about traces need.
pub(crate) fn facts(trace: &Arc<crate::store::Trace>) -> crate::query::TraceFacts {
    crate::query::TraceFacts { id: trace.id, duration: trace.duration(), has_errors: trace.errors > 0 }
}

#[cfg(test)]
mod tests;
