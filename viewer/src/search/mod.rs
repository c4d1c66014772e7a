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

/// The maximum number of searches of each type that are remembered.
const MAX_SEARCHES: usize = 12;
/// The maximum number of items that are cloned under the store's lock at once.
const STEP: usize = 1_000;

/// The searches that pages and tools repeat.
#[derive(Debug, Default)]
pub(crate) struct Searches {
    traces: Vec<Remembered<TraceSearch>>,
    records: Vec<Remembered<RecordSearch>>,
}

#[derive(Debug)]
struct Remembered<S> {
    query: String,
    search: S,
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
        update(&mut self.traces, store, query)?;
        self.charge(store);
        latest(&self.traces)
    }

    /// Returns the log records that match a query.
    pub(crate) fn records(&mut self, store: &Store, query: &str) -> Result<&RecordSearch, QueryError> {
        update(&mut self.records, store, query)?;
        self.charge(store);
        latest(&self.records)
    }

    fn charge(&self, store: &Store) {
        let traces: usize = self.traces.iter().map(|remembered| remembered.search.bytes()).sum();
        let records: usize = self.records.iter().map(|remembered| remembered.search.bytes()).sum();
        store.charge(traces + records);
    }
}

/// Updates the search for a query, and moves it to the end of the list.
fn update<S: Search>(list: &mut Vec<Remembered<S>>, store: &Store, query: &str) -> Result<(), QueryError> {
    let known = list.iter().position(|remembered| remembered.query == query);
    let mut remembered = match known {
        Some(at) => list.remove(at),
        None => Remembered { query: query.to_owned(), search: S::new(Query::parse(query, S::TARGET)?) },
    };
    if list.len() >= MAX_SEARCHES {
        list.remove(0);
    }
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
