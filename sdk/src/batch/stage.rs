//! Stages: code that sees each finished item once, before it goes to all exporters.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::config::{BatchConfig, MIN_DELAY};
use super::inlet::Inlet;
use super::queue::{Pushed, Queue};
use super::{Held, Processor};
use crate::diag::Counters;
use crate::error::{ConfigError, ExportError, catch};
use crate::runtime::{Next, Runtime, Task, Wake};
use crate::signal::{Chunk, Signal};
use crate::time::Deadline;

/// Edits, drops or holds back finished items before they reach the exporters: redaction, enrichment, a filter, tail sampling.
///
/// Called for each item once, whatever the number of exporters, in the order in which stages were added: on one thread of
/// the SDK's own, never concurrently, with telemetry suppressed. A stage that blocks delays the exports and fills its queue,
/// but never the host. A panic is caught and reported, and drops the item: an item whose redaction failed is not exported.
pub trait Stage<S: Signal>: Send + 'static {
    /// Looks at one item, which it may edit. Later stages and exporters see an item that is kept as it is left here.
    fn process(&mut self, item: &mut S::Item) -> Verdict;

    /// Takes an item for which [`Self::process`] returned [`Verdict::Hold`]. By default drops it.
    fn hold(&mut self, item: Held<S>) {
        drop(item);
    }

    /// Passes on those held items whose verdict has come; the others stay, or are dropped. Called after the items of a run, at
    /// least five times per schedule delay. `ends` is true at a flush and at the shutdown: what stays held then is exported
    /// by no flush, and is lost with the stage at the shutdown.
    fn release(&mut self, ends: bool, pass_on: &mut dyn FnMut(Held<S>)) {
        let _ = (ends, pass_on);
    }
}

impl<S: Signal> Stage<S> for Box<dyn Stage<S>> {
    fn process(&mut self, item: &mut S::Item) -> Verdict {
        (**self).process(item)
    }

    fn hold(&mut self, item: Held<S>) {
        (**self).hold(item);
    }

    fn release(&mut self, ends: bool, pass_on: &mut dyn FnMut(Held<S>)) {
        (**self).release(ends, pass_on);
    }
}

/// The decision of a [`Stage`] about an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The item goes to the next stage, and from the last one to every exporter.
    Keep,
    /// The item goes no further; [`SignalHealth::dropped_by_stage`](crate::diag::SignalHealth::dropped_by_stage) counts it.
    Drop,
    /// The stage keeps the item for now: it is given to [`Stage::hold`].
    Hold,
}

/// Runs stages on a thread of its own and hands what they keep to several processors, which export it.
///
/// Adding an item never blocks: if the queue before the stages is full, the item is dropped, and each exporter counts it as
/// dropped because of a full queue. That queue is one more of the configured size, and what stages hold takes of its bytes. The
/// stages run once enough items for a
/// batch wait, and at least five times per schedule delay, so that an item waits up to a fifth of the delay longer.
pub struct StagedProcessor<S: Signal> {
    inlet: Inlet<S>,
    outlets: Arc<Outlets<S>>,
}

impl<S: Signal> StagedProcessor<S>
where
    S::Item: Clone,
{
    /// Starts the thread of the stages, in front of `processors`.
    ///
    /// # Errors
    /// The operating system refuses to start another thread.
    pub fn start(
        stages: Vec<Box<dyn Stage<S>>>,
        processors: Vec<Box<dyn Processor<S>>>,
        config: BatchConfig,
        runtime: &Runtime,
    ) -> Result<Self, ConfigError> {
        let queue = Arc::new(Queue::for_config(config));
        let counters = processors.iter().flat_map(|processor| processor.all_counters()).collect();
        let outlets = Arc::new(Outlets { processors, counters });
        let worker = Worker {
            queue: queue.clone(),
            stages,
            outlets: outlets.clone(),
            delay: (config.schedule_delay() / 5).max(MIN_DELAY),
            drained: Vec::new(),
        };
        let inlet = Inlet::start(queue, worker, &format!("telemark-{}-stages", S::NAME), runtime)?;
        Ok(StagedProcessor { inlet, outlets })
    }
}

impl<S: Signal> Processor<S> for StagedProcessor<S> {
    #[inline]
    fn add(&self, item: S::Item) {
        match self.inlet.push(item) {
            Pushed::Queued => {}
            Pushed::Enough => self.inlet.worker().wake(),
            Pushed::Full => self.outlets.count(|counters| counters.queue_full(1)),
            Pushed::BytesFull => self.outlets.count(|counters| counters.queue_bytes_full(1)),
            Pushed::Closed => self.outlets.count(|counters| counters.after_shutdown(1)),
        }
    }

    fn flush(&self, deadline: Deadline) -> Result<(), ExportError> {
        let staged = self.inlet.worker().flush(deadline);
        staged.and(self.outlets.each(|processor| processor.flush(deadline)))
    }

    fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        // Items that hung stages release later find the processors closed, and are counted there.
        let staged = self.inlet.shutdown(deadline);
        staged.and(self.outlets.each(|processor| processor.shutdown(deadline)))
    }

    fn all_counters(&self) -> Vec<Arc<Counters>> {
        self.outlets.counters.clone()
    }
}

impl<S: Signal> fmt::Debug for StagedProcessor<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StagedProcessor").field("processors", &self.outlets.processors).finish()
    }
}

/// The processors behind the stages, and the counters of all their exporters.
pub(super) struct Outlets<S: Signal> {
    processors: Vec<Box<dyn Processor<S>>>,
    counters: Vec<Arc<Counters>>,
}

impl<S: Signal> Outlets<S> {
    pub(super) fn count(&self, count: impl Fn(&Counters)) {
        self.counters.iter().for_each(|counters| count(counters));
    }

    /// Calls every processor and returns the first error.
    fn each(&self, call: impl Fn(&dyn Processor<S>) -> Result<(), ExportError>) -> Result<(), ExportError> {
        let mut result = Ok(());
        for processor in &self.processors {
            result = result.and(call(&**processor));
        }
        result
    }
}

struct Worker<S: Signal> {
    queue: Arc<Queue<S>>,
    stages: Vec<Box<dyn Stage<S>>>,
    outlets: Arc<Outlets<S>>,
    delay: Duration,
    /// Empty between two runs. Reuses its memory.
    drained: Vec<S::Chunk>,
}

impl<S: Signal> Task for Worker<S>
where
    S::Item: Clone,
{
    fn first(&self) -> Duration {
        self.delay
    }

    fn run(&mut self, _: Wake) -> Next {
        if self.pass_on(false) == 0 {
            self.queue.free_spares();
        }
        Next::After(self.delay)
    }

    fn flush(&mut self, _: Deadline) -> Result<(), ExportError> {
        self.pass_on(true);
        Ok(())
    }

    fn shutdown(&mut self, _: Deadline) -> Result<(), ExportError> {
        self.queue.close();
        self.pass_on(true);
        Ok(())
    }
}

impl<S: Signal> Worker<S>
where
    S::Item: Clone,
{
    /// Runs the stages over every item of the queue and hands on those that they keep, and those that they release. Returns the
    /// number of items of the queue.
    fn pass_on(&mut self, ends: bool) -> usize {
        let items = self.queue.drain_into(&mut self.drained);
        let mut chunks = std::mem::take(&mut self.drained);
        for mut chunk in chunks.drain(..) {
            let bytes = chunk.bytes();
            for item in chunk.drain() {
                self.advance(0, item);
                self.queue.release(1);
            }
            self.queue.recycle_drained(chunk, bytes);
        }
        self.drained = chunks;
        for index in 0..self.stages.len() {
            let mut released = Vec::new();
            let stage = &mut self.stages[index];
            if catch(|| stage.release(ends, &mut |held| released.push(held))).is_err() {
                crate::__warn!("stage.panic", "a stage panicked when it was to release what it holds");
            }
            for item in released.into_iter().filter_map(Held::into_item) {
                self.advance(index + 1, item);
            }
        }
        items
    }

    /// Shows an item to the stages from this one on, and hands it on if they keep it.
    fn advance(&mut self, from: usize, mut item: S::Item) {
        for stage in self.stages.iter_mut().skip(from) {
            match verdict(&mut **stage, &mut item) {
                Verdict::Keep => {}
                Verdict::Drop => return self.outlets.count(Counters::dropped_by_stage),
                Verdict::Hold => {
                    let held = Held::new(item, &self.queue, &self.outlets);
                    if catch(|| stage.hold(held)).is_err() {
                        crate::__warn!("stage.panic", "a stage panicked when it was to hold an item");
                    }
                    return;
                }
            }
        }
        match self.outlets.processors.split_last() {
            Some((last, others)) => {
                others.iter().for_each(|processor| processor.add(item.clone()));
                last.add(item);
            }
            None => self.outlets.count(Counters::dropped_by_stage),
        }
    }
}

fn verdict<S: Signal>(stage: &mut dyn Stage<S>, item: &mut S::Item) -> Verdict {
    catch(|| stage.process(item)).unwrap_or_else(|_| {
        crate::__warn!("stage.panic", "a stage panicked; the item that it was shown is dropped");
        Verdict::Drop
    })
}
