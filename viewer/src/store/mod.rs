//! The store: everything that the viewer holds, bounded in bytes.

mod running;

use std::collections::VecDeque;
use std::mem::size_of;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use telemark_sdk::time::Clock;

use crate::model::{Interner, Metric, Record, Size, Span};

pub use running::{Running, RunningSpan};

/// The limits of a [`Store`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// The maximum number of bytes that the store holds.
    pub bytes: usize,
    /// The clock.
    pub clock: Clock,
}

impl Default for Limits {
    /// Returns limits of 256 MiB, with the system's clock.
    fn default() -> Self {
        Limits { bytes: 256 << 20, clock: Clock::system() }
    }
}

impl Limits {
    /// Sets the maximum number of bytes. The store holds at least one item of each signal.
    #[must_use]
    pub fn with_bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    /// Sets the clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }
}

/// Holds telemetry for the viewer. When it is full, the oldest items make room.
#[derive(Debug)]
pub struct Store {
    limits: Limits,
    interner: Interner,
    running: Running,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    spans: VecDeque<Arc<Span>>,
    records: VecDeque<Arc<Record>>,
    metrics: VecDeque<Metric>,
    bytes: usize,
}

impl Store {
    /// Creates an empty store.
    pub fn new(limits: Limits) -> Arc<Store> {
        let running = Running::new(limits.clock.clone());
        Arc::new(Store { limits, interner: Interner::default(), running, held: Mutex::default() })
    }

    /// Adds spans.
    pub fn add_spans(&self, spans: Vec<Span>) {
        let mut held = self.lock();
        for span in spans {
            held.bytes += size_of::<Span>() + span.heap();
            held.spans.push_back(Arc::new(span));
        }
        while held.bytes > self.limits.bytes {
            let Some(span) = held.spans.pop_front() else { break };
            held.bytes = held.bytes.saturating_sub(size_of::<Span>() + span.heap());
        }
    }

    /// Adds log records.
    pub fn add_records(&self, records: Vec<Record>) {
        let mut held = self.lock();
        for record in records {
            held.bytes += size_of::<Record>() + record.heap();
            held.records.push_back(Arc::new(record));
        }
        while held.bytes > self.limits.bytes {
            let Some(record) = held.records.pop_front() else { break };
            held.bytes = held.bytes.saturating_sub(size_of::<Record>() + record.heap());
        }
    }

    /// Adds metrics.
    pub fn add_metrics(&self, metrics: Vec<Metric>) {
        let mut held = self.lock();
        for metric in metrics {
            held.bytes += size_of::<Metric>() + metric.heap();
            held.metrics.push_back(metric);
        }
        while held.bytes > self.limits.bytes {
            let Some(metric) = held.metrics.pop_front() else { break };
            held.bytes = held.bytes.saturating_sub(size_of::<Metric>() + metric.heap());
        }
    }

    /// Returns the interner for the names, resources and scopes of new items.
    pub fn interner(&self) -> &Interner {
        &self.interner
    }

    /// Returns the spans that have not ended yet.
    pub fn running(&self) -> &Running {
        &self.running
    }

    /// Returns all spans, for saving them.
    pub fn spans(&self) -> Vec<Arc<Span>> {
        self.lock().spans.iter().cloned().collect()
    }

    /// Returns all log records, for saving them.
    pub fn records(&self) -> Vec<Arc<Record>> {
        self.lock().records.iter().cloned().collect()
    }

    /// Returns the points of all metrics, for saving them.
    pub fn metrics(&self) -> Vec<Metric> {
        self.lock().metrics.iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
