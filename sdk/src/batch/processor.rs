//! The processors: what a provider hands its finished items to.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::BatchConfig;
use super::queue::{Pushed, Queue};
use super::worker::Worker;
use crate::diag::{self, Counters, SignalHealth};
use crate::error::{ConfigError, ExportError};
use crate::export::Exporter;
use crate::process::Generation;
use crate::resource::Resource;
use crate::runtime::{Handle, OFF_IN_A_FORKED_CHILD, Runtime};
use crate::signal::Signal;
use crate::sync::thread_index;
use crate::time::Deadline;

/// Gathers finished items and exports them in batches on a thread of its own. The choice for programs.
///
/// Adding an item never blocks: when the queue is full, the item is dropped and counted in [`Self::health`].
///
/// spec: trace/sdk.md#batching-processor
pub struct BatchProcessor<S: Signal> {
    queue: Arc<Queue<S::Item>>,
    worker: Handle,
    counters: Arc<Counters>,
    /// In a forked child the queue may be locked for ever, and no thread drains it.
    home: Generation,
}

impl<S: Signal> BatchProcessor<S> {
    /// Starts the worker of a processor that exports through `exporter`.
    ///
    /// # Errors
    /// The operating system refuses to start another thread.
    pub fn start(
        exporter: impl Exporter<S>,
        resource: Resource,
        config: BatchConfig,
        runtime: &Runtime,
    ) -> Result<Self, ConfigError> {
        Self::start_as(Kind::Batching, exporter, resource, config, runtime)
    }

    fn start_as(
        kind: Kind,
        exporter: impl Exporter<S>,
        resource: Resource,
        config: BatchConfig,
        runtime: &Runtime,
    ) -> Result<Self, ConfigError> {
        let shards = std::thread::available_parallelism().map_or(4, usize::from).saturating_mul(2).min(64);
        let queue = Arc::new(Queue::new(config.max_queue_size(), config.max_batch_size(), shards));
        let counters = Counters::of(&exporter);
        let counters = Arc::new(match kind {
            Kind::Simple => counters.with_processor("simple", None),
            Kind::Batching => {
                let (capacity, queue) = (config.max_queue_size(), queue.clone());
                let waiting = Box::new(move || queue.waiting());
                counters.with_processor("batching", Some(diag::Queue { capacity, waiting }))
            }
        });
        let worker = Worker::<S> {
            queue: queue.clone(),
            exporter: Box::new(exporter),
            resource,
            config,
            counters: counters.clone(),
            drained: Vec::new(),
            exported: 0,
            due: 0,
            drops_reported: 0,
        };
        let worker = runtime.start(&format!("telemark-{}", S::NAME), worker)?;
        Ok(BatchProcessor { queue, worker, counters, home: Generation::current() })
    }

    /// Adds a finished item.
    #[inline]
    pub fn add(&self, item: S::Item) {
        if self.home.is_past() {
            return self.drop_in_child();
        }
        match self.queue.push(thread_index(), item) {
            Pushed::Queued => {}
            Pushed::Enough => self.worker.wake(),
            Pushed::Full => self.counters.queue_full(1),
            Pushed::Closed => self.counters.after_shutdown(1),
        }
    }

    #[cold]
    fn drop_in_child(&self) {
        self.counters.after_shutdown(1);
        crate::__warn!("fork", "{OFF_IN_A_FORKED_CHILD}");
    }

    /// Exports everything that was added before, and flushes the exporter.
    ///
    /// # Errors
    /// Something could not be delivered, or not before the deadline.
    pub fn flush(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.worker.flush(deadline)
    }

    /// Flushes, then ends the worker. A second call does nothing.
    ///
    /// # Errors
    /// Something could not be delivered, or not before the deadline.
    pub fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        if !self.home.is_past() {
            self.queue.close();
        }
        self.worker.shutdown(deadline)
    }

    /// What became of the items so far.
    pub fn health(&self) -> SignalHealth {
        self.counters.snapshot()
    }

    /// Where [`Self::health`] is counted.
    pub fn counters(&self) -> Arc<Counters> {
        self.counters.clone()
    }

    /// How many items wait.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }
}

/// Which processor it is to those who look at its counters.
#[derive(Clone, Copy)]
enum Kind {
    Batching,
    Simple,
}

impl<S: Signal> fmt::Debug for BatchProcessor<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchProcessor").field("signal", &S::NAME).field("health", &self.health()).finish()
    }
}

/// Exports each item as it is added, and waits for it. For tests and short programs; it makes the host wait.
///
/// The export runs on a thread of its own all the same, so that an exporter works inside an async runtime too.
///
/// spec: trace/sdk.md#simple-processor
#[derive(Debug)]
pub struct SimpleProcessor<S: Signal> {
    batch: BatchProcessor<S>,
    timeout: Duration,
}

impl<S: Signal> SimpleProcessor<S> {
    /// Starts a processor that exports through `exporter`, each export within 30 s.
    ///
    /// # Errors
    /// The operating system refuses to start another thread.
    pub fn start(exporter: impl Exporter<S>, resource: Resource, runtime: &Runtime) -> Result<Self, ConfigError> {
        let config = BatchConfig::SPANS.with_max_batch_size(1).with_schedule_delay(Duration::from_secs(3600));
        let timeout = config.export_timeout();
        Ok(SimpleProcessor {
            batch: BatchProcessor::start_as(Kind::Simple, exporter, resource, config, runtime)?,
            timeout,
        })
    }

    /// Exports an item. Failures are counted in [`Self::health`].
    pub fn add(&self, item: S::Item) {
        if self.batch.home.is_past() {
            return self.batch.drop_in_child();
        }
        match self.batch.queue.push(thread_index(), item) {
            // Whether the export succeeded is counted by the worker.
            Pushed::Queued | Pushed::Enough => drop(self.batch.worker.run(Deadline::after(self.timeout))),
            Pushed::Full => self.batch.counters.queue_full(1),
            Pushed::Closed => self.batch.counters.after_shutdown(1),
        }
    }

    /// Flushes the exporter.
    ///
    /// # Errors
    /// Something could not be delivered, or not before the deadline.
    pub fn flush(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.batch.flush(deadline)
    }

    /// Ends the processor. A second call does nothing.
    ///
    /// # Errors
    /// Something could not be delivered, or not before the deadline.
    pub fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.batch.shutdown(deadline)
    }

    /// What became of the items so far.
    pub fn health(&self) -> SignalHealth {
        self.batch.health()
    }

    /// Where [`Self::health`] is counted.
    pub fn counters(&self) -> Arc<Counters> {
        self.batch.counters()
    }
}
