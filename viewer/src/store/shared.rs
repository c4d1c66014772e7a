//! The store as exporters, receivers and pages share it, and its limits.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use telemark_sdk::time::Clock;

use super::Running;
use super::held::Held;
use crate::analysis::Baselines;
use crate::model::{Interner, Metric, Record, Span, cut};

/// Holds telemetry for the viewer. When it is full, the oldest items make room: whole traces, log records, and points of
/// metrics.
///
/// All memory counts: items, names, and what searches remember. Log records and metrics take at most a quarter each. A
/// trace takes at most a quarter, and at most 100,000 spans; its other spans are counted and dropped. Values longer than
/// 16 KiB are cut, and an item keeps up to 1 MiB of attributes, events and links. Values of resources and scopes are cut to 2 KiB.
#[derive(Debug)]
pub struct Store {
    limits: Limits,
    interner: Interner,
    /// The size of the interner after its last sweep.
    swept: AtomicUsize,
    /// The bytes of the items that have left since the last sweep.
    left: AtomicUsize,
    /// The bytes that readers hold for later.
    charged: AtomicUsize,
    /// The number of items that receivers and files did not add.
    refused: AtomicU64,
    running: Arc<Running>,
    baselines: Mutex<Baselines>,
    held: Mutex<Held>,
}

impl Store {
    /// Creates an empty store.
    pub fn new(limits: Limits) -> Arc<Store> {
        Arc::new(Store {
            interner: Interner::default(),
            swept: AtomicUsize::new(0),
            left: AtomicUsize::new(0),
            charged: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
            running: Arc::new(Running::new(limits.clock.clone())),
            baselines: Mutex::new(Baselines::new()),
            held: Mutex::new(Held::new(limits.bytes)),
            limits,
        })
    }

    /// Adds spans.
    pub fn add_spans(&self, mut spans: Vec<Span>) {
        for span in &mut spans {
            cut::span(&self.interner, span);
        }
        // Baselines are statistics, so it does no harm if they miss the spans that arrive while they are read.
        if let Ok(mut baselines) = self.baselines.try_lock() {
            for span in spans.iter().filter(|span| span.end != 0) {
                baselines.record(span);
            }
        }
        let spans = spans.into_iter().map(Arc::new).collect();
        self.change(|held, now| held.add_spans(spans, now));
    }

    /// Adds log records.
    pub fn add_records(&self, mut records: Vec<Record>) {
        for record in &mut records {
            cut::record(&self.interner, record);
        }
        let records = records.into_iter().map(Arc::new).collect();
        self.change(|held, _| held.add_records(records));
    }

    /// Adds metrics.
    pub fn add_metrics(&self, mut metrics: Vec<Metric>) {
        for metric in &mut metrics {
            cut::metric(&self.interner, metric);
        }
        self.change(|held, now| held.add_metrics(metrics, now));
    }

    /// Returns the interner for the names, resources and scopes of new items. Resources and scopes must come from it, because the
    /// store compares their addresses and counts their bytes there. Names that do not come from it count in full for each item.
    pub fn interner(&self) -> &Interner {
        &self.interner
    }

    /// Returns the spans that have not ended yet.
    pub fn running(&self) -> &Arc<Running> {
        &self.running
    }

    /// Returns all spans by the arrival of their traces, for saving them.
    pub fn spans(&self) -> Vec<Arc<Span>> {
        let held = self.lock();
        let mut traces: Vec<_> = held.traces.newest().cloned().collect();
        drop(held);
        traces.reverse();
        traces.iter().flat_map(|trace| trace.spans.iter().cloned()).collect()
    }

    /// Returns all log records by arrival, for saving them.
    pub fn records(&self) -> Vec<Arc<Record>> {
        self.lock().records.iter().cloned().collect()
    }

    /// Returns the points of all metrics, for saving them.
    pub fn metrics(&self) -> Vec<Metric> {
        self.lock().metrics.to_metrics()
    }

    /// Adds items, and makes room for them.
    fn change(&self, add: impl FnOnce(&mut Held, u64)) {
        let now = self.now();
        // Unused names must not push out items.
        self.sweep(0);
        let others = self.other_bytes();
        let mut held = self.lock();
        add(&mut held, now);
        let full = held.bytes();
        let garbage = held.make_room(others, now);
        let left = full.saturating_sub(held.bytes());
        drop(held);
        drop(garbage);
        self.sweep(left);
    }

    /// Removes the names, resources and scopes that no item uses, if there are many.
    #[cfg(feature = "program")]
    pub(crate) fn sweep_names(&self) {
        self.sweep(0);
    }

    /// Removes unused names, if there are many new ones since the last time, or if many items have left.
    fn sweep(&self, left: usize) {
        let left = self.left.fetch_add(left, Ordering::Relaxed) + left;
        let limit = self.swept.load(Ordering::Relaxed).saturating_add(self.limits.bytes / 16);
        if left > self.limits.bytes / 4 || self.interner.bytes() > limit {
            self.interner.sweep();
            self.swept.store(self.interner.bytes(), Ordering::Relaxed);
            self.left.store(0, Ordering::Relaxed);
        }
    }

    /// Returns the bytes of all that is not behind the lock.
    fn other_bytes(&self) -> usize {
        self.interner.bytes() + self.charged.load(Ordering::Relaxed)
    }

    /// Sets the bytes that readers hold for later requests.
    pub(crate) fn charge(&self, bytes: usize) {
        self.charged.store(bytes, Ordering::Relaxed);
    }

    /// Counts items that were refused.
    #[cfg(feature = "program")]
    pub(crate) fn refuse(&self, items: u64) {
        self.refused.fetch_add(items, Ordering::Relaxed);
    }

    /// Returns the number of items that were refused.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Returns the bytes that are held, and the limit.
    pub(crate) fn usage(&self) -> (usize, usize) {
        (self.lock().bytes() + self.other_bytes(), self.limits.bytes)
    }

    /// Returns the limit.
    pub(crate) fn max_bytes(&self) -> usize {
        self.limits.bytes
    }

    /// Returns the current time, in nanoseconds since the Unix epoch.
    pub(crate) fn now(&self) -> u64 {
        self.limits.clock.now().as_nanos()
    }

    /// Calls `read` with the contents. It must be short: clone what is needed, and render it afterwards.
    pub(crate) fn read<R>(&self, read: impl FnOnce(&Held) -> R) -> R {
        read(&self.lock())
    }

    /// Calls `read` with the usual durations of operations. Spans that arrive during the call are not recorded there.
    pub(crate) fn with_baselines<R>(&self, read: impl FnOnce(&Baselines) -> R) -> R {
        read(&self.baselines.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The limits of a [`Store`].
///
/// ```
/// use telemark_viewer::{Limits, Store};
///
/// let store = Store::new(Limits::default().with_bytes(64 << 20));
/// assert!(store.spans().is_empty());
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// The maximum number of bytes that the store holds.
    pub bytes: usize,
    /// The clock.
    pub clock: Clock,
}

impl Default for Limits {
    /// Returns a limit of 256 MiB, with the system's clock.
    fn default() -> Self {
        Limits { bytes: 256 << 20, clock: Clock::system() }
    }
}

impl Limits {
    /// Sets the maximum number of bytes.
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
