//! The processors to which a provider hands its finished items, for any signal.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::BatchConfig;
use super::inlet::Inlet;
use super::queue::{Pushed, Queue};
use super::worker::Worker;
use crate::diag::{self, Counters, SignalHealth};
use crate::error::{ConfigError, ExportError};
use crate::export::{Exporter, Guarded};
use crate::resource::Resource;
use crate::runtime::{Pace, Pacer, Runtime};
use crate::signal::Signal;
use crate::time::Deadline;

/// A processor of finished items. Every `Processor<Traces>` is a [`SpanProcessor`](crate::trace::SpanProcessor).
///
/// All methods are called on the application's threads, or on the thread of a
/// [`StagedProcessor`](super::StagedProcessor), and may be called concurrently.
pub trait Processor<S: Signal>: fmt::Debug + Send + Sync + 'static {
    /// Adds a finished item.
    fn add(&self, item: S::Item);

    /// Exports every item that was added before the call.
    ///
    /// # Errors
    /// Returns an error if something could not be delivered before the deadline.
    fn flush(&self, deadline: Deadline) -> Result<(), ExportError>;

    /// Flushes the processor and shuts it down. A second call does nothing.
    ///
    /// # Errors
    /// Returns an error if something could not be delivered before the deadline.
    fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError>;

    /// Returns the counters of each exporter behind the processor.
    fn all_counters(&self) -> Vec<Arc<Counters>>;

    /// Waits until the processor has room for many items, but not beyond `deadline`. Returns false if it has none and gained none. Called
    /// on the thread of a [`StagedProcessor`](super::StagedProcessor) whose stages pass on many held items at once. By default, returns true.
    fn make_room(&self, deadline: Deadline) -> bool {
        let _ = deadline;
        true
    }

    /// Hears of an item that was lost before it was added. By default, does nothing.
    #[doc(hidden)]
    fn lost(&self, item: &S::Item) {
        let _ = item;
    }

    /// Returns true if items whose trace is not sampled are to be added as well, because a stage decides about them.
    #[inline]
    fn takes_unsampled(&self) -> bool {
        false
    }
}

/// Collects finished items and exports them in batches on its own thread. Use it in production.
///
/// Adding an item never blocks: if the queue is full, the item is dropped and counted in [`Self::health`].
///
/// spec: trace/sdk.md#batching-processor
pub struct BatchProcessor<S: Signal> {
    inlet: Inlet<S>,
    counters: Arc<Counters>,
    pace: Pace,
}

impl<S: Signal> BatchProcessor<S> {
    /// Starts a processor and its worker, which exports through `exporter`.
    ///
    /// # Errors
    /// Returns an error if the operating system refuses to start another thread.
    pub fn start(
        exporter: impl Exporter<S>,
        resource: Resource,
        config: BatchConfig,
        runtime: &Runtime,
    ) -> Result<Self, ConfigError> {
        let queue = Arc::new(Queue::for_config(config));
        let waiting = queue.clone();
        let shown = diag::Queue {
            capacity: config.max_queue_size(),
            max_bytes: config.max_queue_bytes(),
            variables: S::QUEUE_VARIABLES,
            waiting: Box::new(move || waiting.waiting()),
        };
        Self::start_guarded(queue, Guarded::behind("batching", Some(shown), exporter), resource, config, runtime)
    }

    fn start_guarded(
        queue: Arc<Queue<S>>,
        exporter: Guarded<S>,
        resource: Resource,
        config: BatchConfig,
        runtime: &Runtime,
    ) -> Result<Self, ConfigError> {
        let counters = exporter.counters().clone();
        let worker = Worker::new(queue.clone(), exporter, resource, config);
        let pace = worker.pace();
        let inlet = Inlet::start(queue, worker, &format!("telemark-{}", S::NAME), runtime)?;
        Ok(BatchProcessor { inlet, counters, pace })
    }

    /// Returns what changes the schedule delay.
    pub(crate) fn pacer(&self) -> Pacer {
        Pacer::new(&self.pace, self.inlet.worker())
    }

    /// Adds a finished item.
    #[inline]
    pub fn add(&self, item: S::Item) {
        match self.inlet.push(item) {
            Pushed::Queued => {}
            Pushed::Enough => self.inlet.worker().wake(),
            Pushed::Full => self.counters.queue_full(1),
            Pushed::BytesFull => self.counters.queue_bytes_full(1),
            Pushed::Closed => self.counters.after_shutdown(1),
        }
    }

    /// Exports every item that was added before the call, and flushes the exporter.
    ///
    /// # Errors
    /// Returns an error if something could not be delivered before the deadline.
    pub fn flush(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.inlet.worker().flush(deadline)
    }

    /// Flushes the queue, then shuts the worker down. A second call does nothing.
    ///
    /// # Errors
    /// Returns an error if something could not be delivered before the deadline.
    pub fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.inlet.shutdown(deadline)
    }

    /// Returns the counts of exported and dropped items.
    pub fn health(&self) -> SignalHealth {
        self.counters.snapshot()
    }

    /// Returns the counters behind [`Self::health`].
    pub fn counters(&self) -> Arc<Counters> {
        self.counters.clone()
    }

    /// Returns the number of items waiting in the queue.
    pub fn queued(&self) -> usize {
        self.inlet.len()
    }
}

impl<S: Signal> fmt::Debug for BatchProcessor<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchProcessor").field("signal", &S::NAME).field("health", &self.health()).finish()
    }
}

impl<S: Signal> Processor<S> for BatchProcessor<S> {
    #[inline]
    fn add(&self, item: S::Item) {
        self.add(item);
    }

    fn flush(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.flush(deadline)
    }

    fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.shutdown(deadline)
    }

    fn all_counters(&self) -> Vec<Arc<Counters>> {
        vec![self.counters()]
    }

    fn make_room(&self, deadline: Deadline) -> bool {
        // A failed export is counted, and leaves room as well.
        !self.inlet.is_half_full() || (!deadline.has_passed() && self.inlet.worker().run(deadline).is_ok())
    }
}

/// Exports each item as it is added, and waits for the export to finish. Meant for tests and short programs, because
/// it blocks the application.
///
/// The export runs on an SDK thread, so that the exporter also works inside an async runtime.
///
/// spec: trace/sdk.md#simple-processor
pub struct SimpleProcessor<S: Signal> {
    batch: BatchProcessor<S>,
    timeout: Duration,
}

impl<S: Signal> SimpleProcessor<S> {
    /// Starts a processor that exports through `exporter`, with a timeout of 30 s per export.
    ///
    /// # Errors
    /// Returns an error if the operating system refuses to start another thread.
    pub fn start(exporter: impl Exporter<S>, resource: Resource, runtime: &Runtime) -> Result<Self, ConfigError> {
        let config = BatchConfig::SPANS.with_max_batch_size(1).with_schedule_delay(Duration::from_secs(3600));
        let (queue, exporter) = (Arc::new(Queue::for_config(config)), Guarded::behind("simple", None, exporter));
        let batch = BatchProcessor::start_guarded(queue, exporter, resource, config, runtime)?;
        Ok(SimpleProcessor { batch, timeout: config.export_timeout() })
    }

    /// Exports an item. Failures are counted in [`Self::health`].
    pub fn add(&self, item: S::Item) {
        match self.batch.inlet.push(item) {
            // The worker counts the result of the export.
            Pushed::Queued | Pushed::Enough => {
                let _ = self.batch.inlet.worker().run(Deadline::after(self.timeout));
            }
            Pushed::Full => self.batch.counters.queue_full(1),
            Pushed::BytesFull => self.batch.counters.queue_bytes_full(1),
            Pushed::Closed => self.batch.counters.after_shutdown(1),
        }
    }

    /// Flushes the exporter.
    ///
    /// # Errors
    /// Returns an error if something could not be delivered before the deadline.
    pub fn flush(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.batch.flush(deadline)
    }

    /// Shuts the processor down. A second call does nothing.
    ///
    /// # Errors
    /// Returns an error if something could not be delivered before the deadline.
    pub fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.batch.shutdown(deadline)
    }

    /// Returns the counts of exported and dropped items.
    pub fn health(&self) -> SignalHealth {
        self.batch.health()
    }

    /// Returns the counters behind [`Self::health`].
    pub fn counters(&self) -> Arc<Counters> {
        self.batch.counters()
    }
}

impl<S: Signal> fmt::Debug for SimpleProcessor<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SimpleProcessor").field(&self.batch).finish()
    }
}

impl<S: Signal> Processor<S> for SimpleProcessor<S> {
    fn add(&self, item: S::Item) {
        self.add(item);
    }

    fn flush(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.flush(deadline)
    }

    fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.shutdown(deadline)
    }

    fn all_counters(&self) -> Vec<Arc<Counters>> {
        vec![self.counters()]
    }
}

/// The processor of one exporter, which is either a batch processor or a simple one.
pub enum ExportProcessor<S: Signal> {
    /// Exports in batches.
    Batch(BatchProcessor<S>),
    /// Exports each item as it is added.
    Simple(SimpleProcessor<S>),
}

impl<S: Signal> ExportProcessor<S> {
    /// Returns what changes the schedule delay, if there is one.
    pub(crate) fn pacer(&self) -> Option<Pacer> {
        match self {
            ExportProcessor::Batch(batch) => Some(batch.pacer()),
            ExportProcessor::Simple(_) => None,
        }
    }
}

impl<S: Signal> fmt::Debug for ExportProcessor<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExportProcessor::Batch(batch) => fmt::Debug::fmt(batch, f),
            ExportProcessor::Simple(simple) => fmt::Debug::fmt(simple, f),
        }
    }
}

impl<S: Signal> Processor<S> for ExportProcessor<S> {
    #[inline]
    fn add(&self, item: S::Item) {
        match self {
            ExportProcessor::Batch(batch) => batch.add(item),
            ExportProcessor::Simple(simple) => simple.add(item),
        }
    }

    fn flush(&self, deadline: Deadline) -> Result<(), ExportError> {
        match self {
            ExportProcessor::Batch(batch) => batch.flush(deadline),
            ExportProcessor::Simple(simple) => simple.flush(deadline),
        }
    }

    fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        match self {
            ExportProcessor::Batch(batch) => batch.shutdown(deadline),
            ExportProcessor::Simple(simple) => simple.shutdown(deadline),
        }
    }

    fn all_counters(&self) -> Vec<Arc<Counters>> {
        match self {
            ExportProcessor::Batch(batch) => vec![batch.counters()],
            ExportProcessor::Simple(simple) => vec![simple.counters()],
        }
    }

    fn make_room(&self, deadline: Deadline) -> bool {
        match self {
            ExportProcessor::Batch(batch) => batch.make_room(deadline),
            ExportProcessor::Simple(_) => true,
        }
    }
}
