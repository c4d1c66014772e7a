//! The worker of a batch processor: drains the queue and exports it batch by batch.

use std::sync::Arc;
use std::time::Duration;

use super::config::{BatchConfig, MIN_DELAY};
use super::queue::Queue;
use crate::error::ExportError;
use crate::export::{Batch, Guarded};
use crate::resource::Resource;
use crate::runtime::{Next, Task, Wake};
use crate::signal::{Chunk, Signal};
use crate::time::Deadline;

pub(super) struct Worker<S: Signal> {
    queue: Arc<Queue<S::Item>>,
    exporter: Guarded<S>,
    resource: Resource,
    config: BatchConfig,
    /// Drained items, the first `exported` of which have been exported.
    drained: Vec<S::Chunk>,
    exported: usize,
    /// Number of drained items that this run still has to export.
    due: usize,
    /// Number of drops that have been reported.
    drops_reported: u64,
}

impl<S: Signal> Task for Worker<S> {
    fn first(&self) -> Duration {
        self.delay()
    }

    /// Exports one batch of the items that were here when the run began. Items that arrive meanwhile wait for the next run;
    /// otherwise a run might never end, in smaller and smaller batches.
    fn run(&mut self, why: Wake) -> Next {
        self.report_drops();
        // While the receiver asks for a pause, items wait in the queue as long as it has room.
        let pause = self.exporter.pause();
        if !pause.is_zero() {
            return Next::After(pause.max(MIN_DELAY));
        }
        // spec: trace/sdk.md#batching-processor — a full batch is exported at once, a partial one after the delay.
        match why {
            Wake::More => {}
            Wake::Timer => self.due = self.gather(),
            Wake::Full => {
                let here = self.gather();
                self.due = here - here % self.config.max_batch_size();
            }
        }
        if self.due > 0 {
            self.due -= self.due.min(self.config.max_batch_size());
            // `Guarded` has counted and reported a failure; a run has no caller to return it to.
            let _ = self.export_batch(Deadline::NEVER);
        }
        match self.due {
            0 if self.waiting() >= self.config.max_batch_size() => Next::After(Duration::ZERO),
            0 => Next::After(self.delay()),
            _ => Next::Now,
        }
    }

    fn flush(&mut self, deadline: Deadline) -> Result<(), ExportError> {
        // spec: trace/sdk.md#forceflush-1 — the exporter is flushed even if a batch was lost.
        let exported = self.export_all(deadline);
        exported.and(self.exporter.flush(deadline))
    }

    fn shutdown(&mut self, deadline: Deadline) -> Result<(), ExportError> {
        self.queue.close();
        let exported = self.export_all(deadline);
        let abandoned = self.gather() as u64;
        if abandoned > 0 {
            self.exporter.counters().abandoned(abandoned, S::ITEMS);
        }
        self.report_drops();
        // spec: trace/sdk.md#shutdown-1 — shutdown includes the effects of a flush, of the exporter too.
        let flushed = self.exporter.flush(deadline);
        exported.and(flushed).and(self.exporter.shutdown(deadline))
    }
}

impl<S: Signal> Worker<S> {
    pub(super) fn new(
        queue: Arc<Queue<S::Item>>,
        exporter: Guarded<S>,
        resource: Resource,
        config: BatchConfig,
    ) -> Self {
        Worker { queue, exporter, resource, config, drained: Vec::new(), exported: 0, due: 0, drops_reported: 0 }
    }

    /// Exports the items that are here now, but none that arrive while it runs. Keeps the first error and exports the rest.
    fn export_all(&mut self, deadline: Deadline) -> Result<(), ExportError> {
        let mut left = self.gather();
        let mut result = Ok(());
        while left > 0 {
            if deadline.has_passed() {
                return Err(ExportError::timeout(format!("{left} {} were left when the deadline passed", S::ITEMS)));
            }
            left -= left.min(self.config.max_batch_size());
            result = result.and(self.export_batch(deadline));
        }
        result
    }

    /// Returns the delay between two runs, never zero: the thread would spin.
    fn delay(&self) -> Duration {
        self.config.schedule_delay().max(MIN_DELAY)
    }

    /// Drains the queue and cancels the rest of the current run. Returns the number of drained items.
    fn gather(&mut self) -> usize {
        self.due = 0;
        let done = self.drained.iter().scan(self.exported, |left, chunk| {
            let is_done = chunk.len() <= *left;
            *left -= chunk.len().min(*left);
            is_done.then_some(chunk.len())
        });
        let (chunks, items) = done.fold((0, 0), |(chunks, items), len| (chunks + 1, items + len));
        self.drained.drain(..chunks);
        self.exported -= items;
        let mut new = Vec::new();
        self.queue.drain_into(&mut new);
        self.drained.push(new.into_iter().collect());
        self.left()
    }

    /// Returns the number of drained items that have not been exported.
    fn left(&self) -> usize {
        self.drained.iter().map(S::Chunk::len).sum::<usize>() - self.exported
    }

    /// Returns the number of items here and in the queue.
    fn waiting(&self) -> usize {
        self.left() + self.queue.len()
    }

    /// Exports the next batch of drained items.
    fn export_batch(&mut self, deadline: Deadline) -> Result<(), ExportError> {
        let size = self.left().min(self.config.max_batch_size());
        let batch = Batch::of_chunks(&self.resource, &self.drained, self.exported, size);
        self.exported += size;
        self.queue.release(size);
        let deadline = deadline.min(Deadline::after(self.config.export_timeout()));
        self.exporter.export(size as u64, batch, deadline)
    }

    fn report_drops(&mut self) {
        let dropped = self.exporter.counters().snapshot().dropped_queue_full;
        if dropped > self.drops_reported {
            let new = dropped - self.drops_reported;
            let (items, size) = (S::ITEMS, self.config.max_queue_size());
            crate::__warn!(
                "batch.queue_full",
                "{new} {items} were dropped because {size} {items} were already waiting"
            );
            self.drops_reported = dropped;
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test")]

    use std::sync::{Mutex, OnceLock};

    use opentelemetry::InstrumentationScope;
    use opentelemetry::trace::SpanContext;

    use super::*;
    use crate::batch::BatchProcessor;
    use crate::export::{ExportReport, Exporter};
    use crate::runtime::{ManualRuntime, Runtime};
    use crate::signal::Traces;
    use crate::trace::SpanData;

    fn span() -> SpanData {
        SpanData::new(SpanContext::NONE, "span", InstrumentationScope::builder("test").build().into())
    }

    /// As under load: while a batch is exported, as many spans come as it had.
    struct UnderLoad {
        processor: Arc<OnceLock<BatchProcessor<Traces>>>,
        batches: Arc<Mutex<Vec<usize>>>,
    }

    impl Exporter<Traces> for UnderLoad {
        fn export(&mut self, batch: Batch<'_, Traces>, _: Deadline) -> Result<ExportReport, ExportError> {
            self.batches.lock().unwrap().push(batch.len());
            batch.iter().for_each(|_| self.processor.get().unwrap().add(span()));
            Ok(ExportReport::accepted())
        }
    }

    #[test]
    fn a_run_ends_under_load_and_takes_what_was_there() {
        let (processor, batches) = (Arc::new(OnceLock::new()), Arc::new(Mutex::default()));
        let exporter = UnderLoad { processor: processor.clone(), batches: batches.clone() };
        let config = BatchConfig::SPANS.with_max_queue_size(64).with_max_batch_size(4);
        let runtime = ManualRuntime::new();
        let started = BatchProcessor::start(exporter, Resource::empty(), config, &Runtime::Manual(runtime.clone()));
        assert!(processor.set(started.unwrap()).is_ok());
        let check = |run: &dyn Fn(), expected: &[usize]| {
            run();
            assert_eq!(std::mem::take(&mut *batches.lock().unwrap()), expected);
        };
        (0..6).for_each(|_| processor.get().unwrap().add(span()));
        let flush = |deadline| processor.get().unwrap().flush(deadline);
        check(&|| assert_eq!(runtime.run_woken(), 1), &[4]);
        check(&|| runtime.run_timers(), &[4, 2]);
        check(&|| flush(Deadline::NEVER).unwrap(), &[4, 2]);
        // What a flush had no time for, the next one takes, with all that has come since.
        check(&|| assert!(flush(Deadline::after(Duration::ZERO)).unwrap_err().is_timeout()), &[]);
        (0..3).for_each(|_| processor.get().unwrap().add(span()));
        check(&|| flush(Deadline::NEVER).unwrap(), &[4, 4, 1]);
    }

    /// A receiver that asks for a pause with its first response, until the test says that it is over.
    struct Busy {
        pause: Arc<Mutex<Duration>>,
        batches: Arc<Mutex<Vec<usize>>>,
    }

    impl Exporter<Traces> for Busy {
        fn export(&mut self, batch: Batch<'_, Traces>, _: Deadline) -> Result<ExportReport, ExportError> {
            self.batches.lock().unwrap().push(batch.len());
            *self.pause.lock().unwrap() = Duration::from_secs(60);
            Err(ExportError::unavailable("busy"))
        }

        fn pause(&self) -> Duration {
            *self.pause.lock().unwrap()
        }
    }

    #[test]
    fn while_the_receiver_asks_for_a_pause_the_queue_keeps_what_it_has_room_for() {
        let (pause, batches) = (Arc::new(Mutex::default()), Arc::new(Mutex::default()));
        let exporter = Busy { pause: pause.clone(), batches: batches.clone() };
        let config = BatchConfig::SPANS.with_max_queue_size(16).with_max_batch_size(4);
        let runtime = ManualRuntime::new();
        // In a box, as the facade has it.
        let boxed: Box<dyn Exporter<Traces>> = Box::new(exporter);
        let processor =
            BatchProcessor::start(boxed, Resource::empty(), config, &Runtime::Manual(runtime.clone())).unwrap();
        (0..16).for_each(|_| processor.add(span()));
        runtime.run_timers();
        (0..4).for_each(|_| processor.add(span()));
        runtime.run_timers();
        assert_eq!(*batches.lock().unwrap(), [4], "one batch met the refusal, the others wait");
        assert_eq!((processor.health().failed, processor.health().dropped_queue_full), (4, 0));
        *pause.lock().unwrap() = Duration::ZERO;
        runtime.run_timers();
        assert_eq!(*batches.lock().unwrap(), [4, 4]);
        // An end does not wait for the pause.
        assert!(processor.shutdown(Deadline::NEVER).is_err());
        assert_eq!(processor.health().failed, 20);
    }
}
