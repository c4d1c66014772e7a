//! Everything behind the store's lock, and the order in which it makes room.

use std::sync::Arc;

use super::metrics::Metrics;
use super::rate::Rate;
use super::records::Records;
use super::series::Series;
use super::services::Services;
use super::trace::Trace;
use super::traces::Traces;
use crate::model::{Metric, Record, Span};

/// The number of items that left the store, or were not kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct EvictedCounts {
    pub(crate) spans: u64,
    pub(crate) records: u64,
    pub(crate) points: u64,
}

/// The contents of the store.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) traces: Traces,
    pub(crate) records: Records,
    pub(crate) metrics: Metrics,
    pub(crate) services: Services,
    pub(crate) rate: Rate,
    pub(crate) evicted: EvictedCounts,
    limit: usize,
}

/// Items that left the store. Dropped after the lock is released, because freeing many items takes time.
#[derive(Debug, Default)]
pub(super) struct Garbage {
    traces: Vec<Arc<Trace>>,
    records: Vec<Arc<Record>>,
    series: Vec<Arc<Series>>,
}

impl Held {
    pub(super) fn new(limit: usize) -> Self {
        Held {
            traces: Traces::new(limit),
            records: Records::default(),
            metrics: Metrics::default(),
            services: Services::default(),
            rate: Rate::default(),
            evicted: EvictedCounts::default(),
            limit,
        }
    }

    pub(super) fn add_spans(&mut self, spans: Vec<Arc<Span>>, now: u64) {
        self.rate.add(now, spans.len() as u64);
        let services = &mut self.services;
        self.evicted.spans += self.traces.add(spans, |span| services.add(span));
    }

    pub(super) fn add_records(&mut self, records: Vec<Arc<Record>>) {
        for record in records {
            self.records.add(record);
        }
    }

    pub(super) fn add_metrics(&mut self, metrics: Vec<Metric>, now: u64) {
        for metric in metrics {
            self.evicted.points += self.metrics.add(metric, now);
        }
    }

    /// Returns the bytes of all items.
    pub(crate) fn bytes(&self) -> usize {
        self.traces.total_bytes() + self.records.bytes + self.metrics.bytes
    }

    /// Makes room until all items fit beside `others` bytes. Log records and metrics may take a quarter of the store each,
    /// and traces take the rest.
    pub(super) fn make_room(&mut self, others: usize, now: u64) -> Garbage {
        let mut garbage = Garbage::default();
        while self.bytes() + others > self.limit {
            let has_progress = if self.records.bytes > self.limit / 4 {
                self.evict_record(&mut garbage)
            } else if self.metrics.bytes > self.limit / 4 {
                self.trim_metrics()
            } else {
                self.evict_trace(&mut garbage, now) || self.evict_record(&mut garbage) || self.trim_metrics()
            };
            if !has_progress {
                break;
            }
        }
        garbage.series = self.metrics.take_removed();
        garbage
    }

    fn evict_trace(&mut self, garbage: &mut Garbage, now: u64) -> bool {
        let Some(trace) = self.traces.evict(now) else { return false };
        for span in &trace.spans {
            self.services.remove(span);
        }
        self.evicted.spans += trace.spans.len() as u64;
        garbage.traces.push(trace);
        true
    }

    fn evict_record(&mut self, garbage: &mut Garbage) -> bool {
        let Some(record) = self.records.evict() else { return false };
        self.evicted.records += 1;
        garbage.records.push(record);
        true
    }

    fn trim_metrics(&mut self) -> bool {
        let dropped = self.metrics.trim();
        self.evicted.points += dropped.unwrap_or(0);
        dropped.is_some()
    }
}
