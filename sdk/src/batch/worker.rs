//! The worker of a batch processor: drains the queue and exports it batch by batch.

use std::sync::Arc;
use std::time::Duration;

use super::config::{BatchConfig, MIN_DELAY};
use super::queue::Queue;
use crate::error::ExportError;
use crate::export::{Batch, Guarded};
use crate::resource::Resource;
use crate::runtime::{Next, Pace, Task, Wake};
use crate::signal::{Chunk, Signal};
use crate::time::Deadline;

pub(super) struct Worker<S: Signal> {
    queue: Arc<Queue<S>>,
    exporter: Guarded<S>,
    resource: Resource,
    config: BatchConfig,
    /// The schedule delay.
    pace: Pace,
    /// Drained chunks, oldest first.
    drained: Vec<S::Chunk>,
    /// Number of items of the first chunk that have already been exported.
    exported: usize,
    /// Number of drained items that have not been exported yet.
    left: usize,
    /// Number of drained items that this run still has to export.
    due: usize,
    /// The time by which partial batches are exported: one schedule delay after the last export or timer.
    next_timer: Deadline,
}

impl<S: Signal> Task for Worker<S> {
    fn first(&self) -> Duration {
        self.delay()
    }

    /// Exports one batch of the items that were present when the run began. Items that arrive during the run wait for
    /// the next one. Otherwise, a run might continue forever with ever smaller batches.
    fn run(&mut self, why: Wake) -> Next {
        self.exporter.counters().report_drops();
        // During a pause that the receiver requested, items wait in the queue for as long as there is room.
        let pause = self.exporter.pause();
        if !pause.is_zero() {
            return Next::After(pause.max(MIN_DELAY));
        }
        // spec: trace/sdk.md#batching-processor — a full batch is exported at once, a partial one after the delay.
        match why {
            Wake::More => {}
            Wake::Timer => {
                self.next_timer = Deadline::after(self.delay());
                self.due = self.gather();
                if self.due == 0 {
                    self.queue.free_spares();
                }
            }
            Wake::Full => {
                // The delay may have become shorter.
                self.next_timer = self.next_timer.min(Deadline::after(self.delay()));
                let here = self.gather();
                let is_heavy = self.queue.bytes().is_much_taken();
                self.due = if is_heavy { here } else { here - here % self.config.max_batch_size() };
            }
        }
        if self.due > 0 {
            let size = self.next_batch();
            self.due = self.due.saturating_sub(size);
            // `Guarded` has already counted and reported any failure; a run has no caller to return it to.
            let _ = self.export_batch(size, Deadline::NEVER);
            self.next_timer = Deadline::after(self.delay());
        }
        match self.due {
            0 if self.waiting() >= self.config.max_batch_size() => Next::After(Duration::ZERO),
            // A wake-up that found less than a batch must not postpone the export of what is here.
            0 => Next::After(self.next_timer.remaining().unwrap_or(self.delay())),
            _ => Next::Now,
        }
    }

    /// Exports all items, except for those that a pause would lose; see [`Pause`].
    fn flush(&mut self, deadline: Deadline) -> Result<(), ExportError> {
        // spec: trace/sdk.md#forceflush-1 — the exporter is flushed even if a batch was lost.
        let exported = self.export_all(deadline, Pause::KeepsItems);
        exported.and(self.exporter.flush(deadline))
    }

    fn shutdown(&mut self, deadline: Deadline) -> Result<(), ExportError> {
        self.queue.close();
        let exported = self.export_all(deadline, Pause::IsIgnored);
        let abandoned = self.gather() as u64;
        if abandoned > 0 {
            self.queue.release(self.left);
            self.drained.drain(..).for_each(|chunk| self.queue.recycle(chunk));
            (self.exported, self.left) = (0, 0);
            self.exporter.counters().abandoned(abandoned);
        }
        self.exporter.counters().report_drops();
        // spec: trace/sdk.md#shutdown-1 — shutdown includes the effects of a flush, of the exporter too.
        let flushed = self.exporter.flush(deadline);
        exported.and(flushed).and(self.exporter.shutdown(deadline))
    }
}

/// What becomes of the items while the receiver asks for a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pause {
    /// They stay in the queue if the pause outlasts the time for their export, which could then only lose them.
    KeepsItems,
    /// They are exported, because this is the last chance.
    IsIgnored,
}

impl<S: Signal> Worker<S> {
    pub(super) fn new(queue: Arc<Queue<S>>, exporter: Guarded<S>, resource: Resource, config: BatchConfig) -> Self {
        let next_timer = Deadline::after(config.schedule_delay().max(MIN_DELAY));
        let pace = Pace::new(config.schedule_delay());
        Worker {
            queue,
            exporter,
            resource,
            config,
            pace,
            drained: Vec::new(),
            exported: 0,
            left: 0,
            due: 0,
            next_timer,
        }
    }

    /// Returns the schedule delay, which may be changed.
    pub(super) fn pace(&self) -> Pace {
        self.pace.clone()
    }

    /// Exports the items that are present now, but none that arrive during the call. After an error, exports the
    /// remaining items and then returns the first error.
    fn export_all(&mut self, deadline: Deadline, during_pause: Pause) -> Result<(), ExportError> {
        let mut left = self.gather();
        let mut result = Ok(());
        while left > 0 {
            if deadline.has_passed() {
                return Err(ExportError::timeout(format!("{left} {} were left when the deadline passed", S::ITEMS)));
            }
            // The pause may have begun with the previous batch.
            let pause = self.exporter.pause();
            let limit = deadline.min(Deadline::after(self.config.export_timeout()));
            let outlasts = || limit.remaining().is_some_and(|time| pause >= time);
            if during_pause == Pause::KeepsItems && !pause.is_zero() && outlasts() {
                let message = format!("the receiver asked for a pause, of which {pause:?} are left");
                return result.and(Err(ExportError::unavailable(message)));
            }
            let size = self.next_batch();
            left = left.saturating_sub(size);
            result = result.and(self.export_batch(size, deadline));
        }
        result
    }

    /// Returns the delay between two runs. It is never zero, because the thread would then spin.
    fn delay(&self) -> Duration {
        self.pace.delay().max(MIN_DELAY)
    }

    /// Drains the queue and cancels the rest of the current run. Returns the number of drained items.
    fn gather(&mut self) -> usize {
        self.due = 0;
        self.left += self.queue.drain_into(&mut self.drained);
        self.left
    }

    /// Returns the number of items drained here and in the queue.
    fn waiting(&self) -> usize {
        self.left + self.queue.len()
    }

    /// Returns the size of the next batch, which ends when it reaches the maximum number of items, or before the chunk
    /// that would exceed the maximum number of bytes. The first chunk is never left out because of its bytes.
    fn next_batch(&self) -> usize {
        let max_bytes = self.config.max_batch_bytes();
        let (mut items, mut bytes) = (0, 0);
        for chunk in &self.drained {
            bytes += chunk.bytes();
            if items > 0 && bytes > max_bytes {
                break;
            }
            items += chunk.len();
            if items - self.exported >= self.config.max_batch_size() {
                break;
            }
        }
        (items - self.exported).min(self.config.max_batch_size())
    }

    /// Exports the next `size` drained items. They count towards the item limit until the export begins, and towards
    /// the byte limit until it ends.
    fn export_batch(&mut self, size: usize, deadline: Deadline) -> Result<(), ExportError> {
        let batch = Batch::of_chunks(&self.resource, &self.drained, self.exported, size);
        self.queue.release(size);
        let deadline = deadline.min(Deadline::after(self.config.export_timeout()));
        let result = self.exporter.export(size as u64, batch, deadline);
        self.exported += size;
        self.left -= size;
        self.recycle();
        result
    }

    /// Returns the chunks whose items have all been exported.
    fn recycle(&mut self) {
        let is_done = |chunk: &S::Chunk| {
            let is_done = chunk.len() <= self.exported;
            self.exported -= if is_done { chunk.len() } else { 0 };
            is_done
        };
        let done = self.drained.iter().map(is_done).take_while(|is_done| *is_done).count();
        self.drained.drain(..done).for_each(|chunk| self.queue.recycle(chunk));
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

    /// Simulates load: during the export of a batch, as many new spans arrive as the batch contained.
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
        // Spans that a flush had no time to export are exported by the next flush, together with all newer ones.
        check(&|| assert!(flush(Deadline::after(Duration::ZERO)).unwrap_err().is_timeout()), &[]);
        (0..3).for_each(|_| processor.get().unwrap().add(span()));
        check(&|| flush(Deadline::NEVER).unwrap(), &[4, 4, 1]);
    }

    /// A receiver whose first response requests a pause, which lasts until the test ends it.
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
        // Boxed, as in the facade.
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
        // A flush that ends before the pause leaves the spans where they are.
        *pause.lock().unwrap() = Duration::from_secs(60);
        let soon = || Deadline::after(Duration::from_secs(30));
        assert!(processor.flush(soon()).unwrap_err().is_unavailable());
        assert_eq!((&batches.lock().unwrap()[..], processor.health().failed), (&[4, 4][..], 8));
        // A pause that begins with the first batch of a flush keeps the others, also if the flush has no deadline.
        for deadline in [soon(), Deadline::NEVER] {
            *pause.lock().unwrap() = Duration::ZERO;
            assert!(processor.flush(deadline).unwrap_err().is_unavailable());
        }
        assert_eq!((&batches.lock().unwrap()[..], processor.health().failed), (&[4, 4, 4, 4][..], 16));
        // Shutdown does not wait for the pause to end.
        assert!(processor.shutdown(Deadline::NEVER).is_err());
        assert_eq!(processor.health().failed, 20);
    }

    #[test]
    fn a_flush_of_an_empty_queue_succeeds_during_a_pause() {
        let exporter = Busy { pause: Arc::new(Mutex::new(Duration::from_secs(60))), batches: Arc::default() };
        let runtime = Runtime::Manual(ManualRuntime::new());
        let processor = BatchProcessor::start(exporter, Resource::empty(), BatchConfig::SPANS, &runtime).unwrap();
        processor.flush(Deadline::after(Duration::from_secs(30))).unwrap();
    }

    /// Without a pause, the exporter itself gives up when no time is left, and the spans do not wait for a pause that nobody asked for.
    #[test]
    fn no_pause_is_none_that_outlasts_the_time_for_an_export() {
        let batches = Arc::new(Mutex::default());
        let exporter = Busy { pause: Arc::default(), batches: batches.clone() };
        let config = BatchConfig::SPANS.with_export_timeout(Duration::ZERO);
        let runtime = Runtime::Manual(ManualRuntime::new());
        let processor = BatchProcessor::start(exporter, Resource::empty(), config, &runtime).unwrap();
        processor.add(span());
        let error = processor.flush(Deadline::NEVER).unwrap_err();
        assert_eq!((error.to_string(), &batches.lock().unwrap()[..]), ("busy".to_owned(), &[1][..]));
    }

    /// Wake-ups that find less than a batch leave the timer as it is, so that a partial batch does not wait longer.
    #[test]
    fn a_wake_up_without_a_full_batch_does_not_postpone_the_timer() {
        let exporter = Busy { pause: Arc::default(), batches: Arc::default() };
        let config = BatchConfig::SPANS.with_schedule_delay(Duration::from_secs(3600));
        let queue = Arc::new(Queue::for_config(config));
        let mut worker = Worker::<Traces>::new(queue.clone(), Guarded::new(exporter), Resource::empty(), config);
        queue.push(0, span());
        worker.next_timer = Deadline::after(Duration::from_secs(10));
        let Next::After(left) = worker.run(Wake::Full) else { panic!("one span is not a batch") };
        assert!(left <= Duration::from_secs(10), "{left:?}");
        worker.next_timer = Deadline::after(Duration::ZERO);
        assert_eq!(worker.run(Wake::Full), Next::After(Duration::ZERO));
        let Next::After(left) = worker.run(Wake::Timer) else { panic!("the span has been exported") };
        assert!(left > Duration::from_secs(3000) && queue.len() == 0, "{left:?}");
    }
}
