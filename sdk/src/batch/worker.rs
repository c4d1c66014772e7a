//! The worker's side of a batch processor: takes what the queue holds and hands it to the exporter, batch by batch.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::BatchConfig;
use super::queue::Queue;
use crate::diag::Counters;
use crate::error::ExportError;
use crate::export::{Batch, Exporter};
use crate::resource::Resource;
use crate::runtime::{Next, Task, Wake};
use crate::signal::Signal;
use crate::time::Deadline;

/// The shortest delay between two runs that have nothing to do.
const SHORTEST_DELAY: Duration = Duration::from_millis(5);

pub(super) struct Worker<S: Signal> {
    pub(super) queue: Arc<Queue<S::Item>>,
    pub(super) exporter: Box<dyn Exporter<S>>,
    pub(super) resource: Resource,
    pub(super) config: BatchConfig,
    pub(super) counters: Arc<Counters>,
    /// Drained items; those before `exported` are done with. Its memory is used again and again.
    pub(super) drained: Vec<S::Item>,
    pub(super) exported: usize,
    /// How many of them are still to be exported in the present run.
    pub(super) due: usize,
    /// How many drops the log already knows of.
    pub(super) drops_reported: u64,
}

impl<S: Signal> Task for Worker<S> {
    fn first(&self) -> Duration {
        self.delay()
    }

    /// Exports one batch of what was there when the run began. What comes meanwhile waits for the next run: it may be without
    /// end, in smaller and smaller batches.
    fn run(&mut self, why: Wake) -> Next {
        self.report_drops();
        // While the receiver wants to be left alone the queue keeps what it has room for.
        let pause = self.pause();
        if !pause.is_zero() {
            return Next::After(pause.max(SHORTEST_DELAY));
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
            // A failure is counted and reported; there is nobody here to return it to.
            drop(self.export_batch(Deadline::NEVER));
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
        exported.and(self.guarded(|exporter| exporter.flush(deadline)))
    }

    fn shutdown(&mut self, deadline: Deadline) -> Result<(), ExportError> {
        self.queue.close();
        let exported = self.export_all(deadline);
        let abandoned = self.gather() as u64;
        if abandoned > 0 {
            self.counters.abandoned(abandoned, S::ITEMS);
        }
        self.report_drops();
        // spec: trace/sdk.md#shutdown-1 — with the effects of a flush, that of the exporter among them.
        let flushed = self.guarded(|exporter| exporter.flush(deadline));
        exported.and(flushed).and(self.guarded(|exporter| exporter.shutdown(deadline)))
    }
}

impl<S: Signal> Worker<S> {
    /// Exports what is there now, but not what comes while it does. The first error stays, the rest is still exported.
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

    /// The delay between two runs; without one the thread would never rest.
    fn delay(&self) -> Duration {
        self.config.schedule_delay().max(SHORTEST_DELAY)
    }

    /// How long the exporter is to be left alone.
    fn pause(&self) -> Duration {
        catch_unwind(AssertUnwindSafe(|| self.exporter.pause())).unwrap_or_default()
    }

    /// Brings all that the queue holds here, and ends the run before. Returns how many items are here.
    fn gather(&mut self) -> usize {
        self.due = 0;
        self.drained.drain(..self.exported);
        self.exported = 0;
        self.queue.drain_into(&mut self.drained);
        self.drained.len()
    }

    /// How many items are here and in the queue.
    fn waiting(&self) -> usize {
        self.drained.len() - self.exported + self.queue.len()
    }

    /// Exports one batch of what is here.
    fn export_batch(&mut self, deadline: Deadline) -> Result<(), ExportError> {
        let size = (self.drained.len() - self.exported).min(self.config.max_batch_size());
        let items = &self.drained[self.exported..self.exported + size];
        self.exported += size;
        self.queue.release(size);
        let batch = Batch::new(&self.resource, items);
        let deadline = deadline.min(Deadline::after(self.config.export_timeout()));
        let exporter = &mut self.exporter;
        self.counters.export(size as u64, S::ITEMS, || exporter.export(batch, deadline))
    }

    fn guarded(
        &mut self,
        call: impl FnOnce(&mut Box<dyn Exporter<S>>) -> Result<(), ExportError>,
    ) -> Result<(), ExportError> {
        let exporter = &mut self.exporter;
        catch_unwind(AssertUnwindSafe(|| call(exporter)))
            .unwrap_or_else(|_| Err(ExportError::other("the exporter panicked")))
    }

    fn report_drops(&mut self) {
        let dropped = self.counters.snapshot().dropped_queue_full;
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
    use crate::export::ExportReport;
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
            self.batches.lock().unwrap().push(batch.items.len());
            batch.items.iter().for_each(|_| self.processor.get().unwrap().add(span()));
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

    /// A receiver that asks for a pause with its first answer, until the test says that it is over.
    struct Busy {
        pause: Arc<Mutex<Duration>>,
        batches: Arc<Mutex<Vec<usize>>>,
    }

    impl Exporter<Traces> for Busy {
        fn export(&mut self, batch: Batch<'_, Traces>, _: Deadline) -> Result<ExportReport, ExportError> {
            self.batches.lock().unwrap().push(batch.items.len());
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
