//! The traces that match a query.

use std::collections::HashMap;

use super::{STEP, Search, facts};
use crate::query::{Query, Target};
use crate::store::Store;

/// A trace that matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TraceMatch {
    pub(crate) start: u64,
    pub(crate) arrival: u64,
    pub(crate) duration: u64,
    pub(crate) has_errors: bool,
}

/// The traces that match a query, by start.
#[derive(Debug)]
pub(crate) struct TraceSearch {
    query: Query,
    /// The version up to which all changes have been read.
    version: u64,
    matches: Vec<TraceMatch>,
}

impl TraceSearch {
    /// Returns the query.
    pub(crate) fn query(&self) -> &Query {
        &self.query
    }

    /// Returns the matches that start in this range of times, in nanoseconds.
    pub(crate) fn between(&self, from: u64, to: u64) -> &[TraceMatch] {
        let first = self.matches.partition_point(|found| found.start < from);
        let end = self.matches.partition_point(|found| found.start <= to);
        self.matches.get(first..end).unwrap_or_default()
    }
}

impl Search for TraceSearch {
    const TARGET: Target = Target::Traces;

    fn new(query: Query) -> Self {
        TraceSearch { query, version: 0, matches: Vec::new() }
    }

    fn update(&mut self, store: &Store) {
        let last = store.read(|held| held.traces.version());
        let mut changed: HashMap<u64, Option<TraceMatch>> = HashMap::new();
        while self.version < last {
            let traces = store.read(|held| held.traces.changed(self.version, STEP));
            let Some(newest) = traces.last() else { break };
            self.version = newest.version;
            for trace in &traces {
                let found = TraceMatch {
                    start: trace.start,
                    arrival: trace.arrival,
                    duration: trace.duration(),
                    has_errors: trace.errors > 0,
                };
                let matches = self.query.matches_trace(facts(trace), &trace.spans);
                changed.insert(trace.arrival, matches.then_some(found));
            }
        }
        self.version = self.version.max(last);
        // Traces leave the store in the order of their arrival.
        let first = store.read(|held| held.traces.first_arrival());
        // Most changes are those of the newest traces, so few matches have to be looked up.
        let oldest = changed.keys().min().copied().unwrap_or(u64::MAX);
        self.matches.retain(|found| {
            found.arrival >= first && (found.arrival < oldest || !changed.contains_key(&found.arrival))
        });
        self.matches.extend(changed.into_values().flatten().filter(|found| found.arrival >= first));
        // Fast for a sorted list with a few items at its end.
        self.matches.sort_by_key(|found| (found.start, found.arrival));
        if self.matches.capacity() > 2 * self.matches.len() + 1_000 {
            self.matches.shrink_to_fit();
        }
    }

    fn bytes(&self) -> usize {
        self.matches.capacity() * size_of::<TraceMatch>()
    }
}
