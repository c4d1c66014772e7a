//! The log records that match a query.

use std::collections::VecDeque;

use super::{STEP, Search};
use crate::query::{Query, Target};
use crate::store::Store;

/// The severity of a log record, as a histogram tells it apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Error,
    Warning,
    Rest,
}

/// A log record that matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordMatch {
    pub(crate) id: u64,
    pub(crate) time: u64,
    pub(crate) level: Level,
}

/// The log records that match a query, by arrival.
#[derive(Debug)]
pub(crate) struct RecordSearch {
    query: Query,
    /// The id of the first record that has not been read.
    next: u64,
    matches: VecDeque<RecordMatch>,
}

impl RecordSearch {
    /// Returns the matches by arrival.
    pub(crate) fn matches(&self) -> impl DoubleEndedIterator<Item = &RecordMatch> {
        self.matches.iter()
    }
}

impl Search for RecordSearch {
    const TARGET: Target = Target::Records;

    fn new(query: Query) -> Self {
        RecordSearch { query, next: 0, matches: VecDeque::new() }
    }

    fn update(&mut self, store: &Store) {
        let (first, end) = store.read(|held| (held.records.first(), held.records.next()));
        while self.matches.front().is_some_and(|found| found.id < first) {
            self.matches.pop_front();
        }
        self.next = self.next.max(first);
        while self.next < end {
            let records = store.read(|held| held.records.range(self.next, STEP));
            let Some((last, _)) = records.last() else { break };
            self.next = last + 1;
            for (id, record) in &records {
                if self.query.matches_record(record) {
                    let level = match record.severity {
                        17.. => Level::Error,
                        13..17 => Level::Warning,
                        _ => Level::Rest,
                    };
                    self.matches.push_back(RecordMatch { id: *id, time: record.time, level });
                }
            }
        }
        if self.matches.capacity() > 2 * self.matches.len() + 1_000 {
            self.matches.shrink_to_fit();
        }
    }

    fn bytes(&self) -> usize {
        self.matches.capacity() * size_of::<RecordMatch>()
    }
}
