//! Stages: code that sees each finished item exactly once, before it reaches any exporter.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::config::{BatchConfig, MIN_DELAY};
use super::held::Home;
use super::inlet::Inlet;
use super::queue::{Pushed, Queue};
use super::{Held, HeldChunk, Processor};
use crate::diag::Counters;
use crate::error::{ConfigError, Contained, ExportError, catch};
use crate::runtime::{Next, Runtime, Task, Wake};
use crate::signal::{Chunk, Signal};
use crate::time::Deadline;

/// Edits, drops or holds back finished items before they reach the exporters. Use it for redaction, enrichment,
/// filtering or tail sampling. An item is a [`SpanData`](crate::trace::SpanData) for [`Traces`](crate::signal::Traces), and an
/// [`SdkLogRecord`](crate::logs::SdkLogRecord) for [`Logs`](crate::signal::Logs). Metrics have no stages. Log lines that a program writes
/// to standard output do not pass through stages.
///
/// ```
/// use telemark_sdk::batch::{Stage, Verdict};
/// use telemark_sdk::config::Env;
/// use telemark_sdk::install::Telemetry;
/// use telemark_sdk::signal::Traces;
/// use telemark_sdk::trace::SpanData;
///
/// /// Removes an attribute, and drops health checks.
/// struct Redact;
///
/// impl Stage<Traces> for Redact {
///     fn process(&mut self, span: &mut SpanData) -> Verdict {
///         span.own_attributes.retain(|attribute| attribute.key.as_str() != "card.number");
///         if span.name == "GET /health" { Verdict::Drop } else { Verdict::Keep }
///     }
/// }
///
/// let builder = Telemetry::builder(Env::process()).with_span_stage(Redact);
/// # drop(builder);
/// ```
///
/// Stages are called once per item, regardless of the number of exporters, in the order in which they were added. All
/// calls happen on one SDK thread, never concurrently, with telemetry suppressed. A stage that blocks delays exports
/// and lets its queue fill up, but never blocks the application. A panic is caught and reported, and the item is
/// dropped, because an item whose redaction failed must not be exported.
pub trait Stage<S: Signal>: Send + 'static {
    /// Inspects an item and may edit it. If the item is kept, later stages and exporters see the edited item.
    fn process(&mut self, item: &mut S::Item) -> Verdict;

    /// Takes an item for which [`Self::process`] returned [`Verdict::Hold`]. By default, drops it.
    fn hold(&mut self, item: Held<S>) {
        drop(item);
    }

    /// Passes on the held items whose verdict is known; the others remain held or are dropped. Called after each run's
    /// items have been processed, at least five times per schedule delay. `ends` is true on a flush and on shutdown:
    /// items that remain held after that call are not exported by the flush, and on shutdown they are lost together
    /// with the stage.
    fn release(&mut self, ends: bool, pass_on: &mut dyn FnMut(Held<S>)) {
        let _ = (ends, pass_on);
    }

    /// Takes a whole chunk, whose items it shows to no other stage, or returns it. Called before [`Self::process`], and only if there is
    /// no other stage. By default, returns the chunk.
    #[doc(hidden)]
    fn take(&mut self, chunk: HeldChunk<S>) -> Option<HeldChunk<S>> {
        Some(chunk)
    }

    /// Returns true if the stage also takes items whose trace is not sampled, and then decides about them. Called once, when
    /// the processor starts.
    fn takes_unsampled(&self) -> bool {
        false
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

    fn take(&mut self, chunk: HeldChunk<S>) -> Option<HeldChunk<S>> {
        (**self).take(chunk)
    }

    fn takes_unsampled(&self) -> bool {
        (**self).takes_unsampled()
    }
}

/// A [`Stage`]'s decision about an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The item goes to the next stage or, after the last stage, to every exporter.
    Keep,
    /// The item goes no further and is counted in
    /// [`SignalHealth::dropped_by_stage`](crate::diag::SignalHealth::dropped_by_stage).
    Drop,
    /// The stage holds the item for now: the item is passed to [`Stage::hold`].
    Hold,
}

/// Runs stages on its own thread, and hands the items that they keep to one or more processors, which export them.
///
/// Adding an item never blocks: if the queue in front of the stages is full, the item is dropped, and each exporter
/// counts it as dropped because of a full queue. This queue has the configured size and exists in addition to the
/// processors' queues. Items that stages hold take up part of its bytes. The stages run once a full batch is waiting,
/// and at least five times per schedule delay, so they delay an item by up to a fifth of the schedule delay.
pub struct StagedProcessor<S: Signal> {
    inlet: Inlet<S>,
    outlets: Arc<Outlets<S>>,
    takes_unsampled: bool,
}

impl<S: Signal> StagedProcessor<S>
where
    S::Item: Clone,
{
    /// Starts the thread that runs the stages, in front of `processors`.
    ///
    /// # Errors
    /// Returns an error if the operating system refuses to start another thread.
    pub fn start(
        stages: Vec<Box<dyn Stage<S>>>,
        processors: Vec<Box<dyn Processor<S>>>,
        config: BatchConfig,
        runtime: &Runtime,
    ) -> Result<Self, ConfigError> {
        let queue = Arc::new(Queue::for_config(config));
        let counters = processors.iter().flat_map(|processor| processor.all_counters()).collect();
        let processors = processors.into_iter().map(Contained::new).collect();
        let outlets = Arc::new(Outlets { processors, counters });
        let takes_unsampled = stages.iter().any(|stage| catch(|| stage.takes_unsampled()).unwrap_or(false));
        let home = Arc::new(Home { queue: queue.clone(), outlets: outlets.clone() });
        let worker = Worker {
            queue: queue.clone(),
            home,
            stages: stages.into_iter().map(Contained::new).collect(),
            outlets: outlets.clone(),
            portion: config.max_batch_size(),
            delay: (config.schedule_delay() / 5).max(MIN_DELAY),
            drained: Vec::new(),
        };
        let inlet = Inlet::start(queue, worker, &format!("telemark-{}-stages", S::NAME), runtime)?;
        Ok(StagedProcessor { inlet, outlets, takes_unsampled })
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
        // If a stage hangs and releases items later, the processors are already closed and count those items as
        // dropped.
        let staged = self.inlet.shutdown(deadline);
        staged.and(self.outlets.each(|processor| processor.shutdown(deadline)))
    }

    fn all_counters(&self) -> Vec<Arc<Counters>> {
        self.outlets.counters.clone()
    }

    #[inline]
    fn takes_unsampled(&self) -> bool {
        self.takes_unsampled
    }
}

impl<S: Signal> fmt::Debug for StagedProcessor<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StagedProcessor").field("processors", &self.outlets.processors).finish()
    }
}

/// The processors behind the stages, and the counters of all their exporters.
pub(super) struct Outlets<S: Signal> {
    processors: Vec<Contained<Box<dyn Processor<S>>>>,
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
            result = result.and(call(&***processor));
        }
        result
    }

    /// Waits until the queues of the processors have room for many items again.
    fn make_room(&self, deadline: Deadline) {
        for processor in &self.processors {
            if catch(|| processor.make_room(deadline)).is_err() {
                crate::__warn!("stage.processor_panic", "a processor panicked when it was to make room");
            }
        }
    }
}

/// The time for which a run waits for the exporters, in total, while it passes on many held items.
const MAX_WAIT: Duration = Duration::from_secs(1);

struct Worker<S: Signal> {
    queue: Arc<Queue<S>>,
    home: Arc<Home<S>>,
    stages: Vec<Contained<Box<dyn Stage<S>>>>,
    outlets: Arc<Outlets<S>>,
    delay: Duration,
    /// The number of held items that are passed on at a time.
    portion: usize,
    /// Empty between two runs. Kept to reuse its memory.
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
    /// Runs the stages on every queued item, and passes on the items that they keep or release. Returns the number of
    /// items taken from the queue.
    fn pass_on(&mut self, ends: bool) -> usize {
        let items = self.queue.drain_into(&mut self.drained);
        let mut chunks = std::mem::take(&mut self.drained);
        for chunk in chunks.drain(..) {
            let Some(mut chunk) = self.offer(chunk) else { continue };
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
            // A stage may release more than the queues of the exporters can hold.
            let deadline = (released.len() > self.portion).then(|| Deadline::after(MAX_WAIT));
            for (number, item) in released.into_iter().filter_map(Held::into_item).enumerate() {
                if let Some(deadline) = deadline.filter(|_| number % self.portion == 0) {
                    self.outlets.make_room(deadline);
                }
                self.advance(index + 1, item);
            }
        }
        items
    }

    /// Offers a chunk to the only stage, and returns it if that stage wants single items.
    fn offer(&mut self, chunk: S::Chunk) -> Option<S::Chunk> {
        let [only] = &mut self.stages[..] else { return Some(chunk) };
        let (items, bytes) = (chunk.len(), chunk.bytes());
        let held = HeldChunk::new(chunk, &self.home);
        match catch(|| only.take(held)) {
            Ok(Some(held)) => return Some(held.into_items()),
            Ok(None) => {}
            Err(_) => crate::__warn!("stage.panic", "a stage panicked when it was to hold items"),
        }
        self.queue.release(items);
        self.queue.bytes().release(bytes);
        None
    }

    /// Passes an item through the stages, starting with the stage at index `from`, and hands it to the processors if
    /// all of them keep it.
    fn advance(&mut self, from: usize, mut item: S::Item) {
        for stage in self.stages.iter_mut().skip(from) {
            match verdict(&mut ***stage, &mut item) {
                Verdict::Keep => {}
                Verdict::Drop => return self.outlets.count(|counters| counters.dropped_by_stage(1)),
                Verdict::Hold => {
                    let held = Held::new(item, &self.home);
                    if catch(|| stage.hold(held)).is_err() {
                        crate::__warn!("stage.panic", "a stage panicked when it was to hold an item");
                    }
                    return;
                }
            }
        }
        match self.outlets.processors.split_last() {
            Some((last, others)) => {
                others.iter().for_each(|processor| add(&***processor, item.clone()));
                add(&***last, item);
            }
            None => self.outlets.count(|counters| counters.dropped_by_stage(1)),
        }
    }
}

/// Adds an item to a processor, which may be the program's own. A panic must not end the run, because the room of the items
/// that follow would never be released.
fn add<S: Signal>(processor: &dyn Processor<S>, item: S::Item) {
    if catch(|| processor.add(item)).is_err() {
        crate::__warn!("stage.processor_panic", "a processor panicked; the item that it was given may be lost");
    }
}

fn verdict<S: Signal>(stage: &mut dyn Stage<S>, item: &mut S::Item) -> Verdict {
    catch(|| stage.process(item)).unwrap_or_else(|_| {
        crate::__warn!("stage.panic", "a stage panicked; the item that it was shown is dropped");
        Verdict::Drop
    })
}
