//! Stages: code that sees each finished item exactly once, before it reaches any exporter.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::config::{BatchConfig, MIN_DELAY};
use super::inlet::Inlet;
use super::outlets::{Home, MAX_WAIT, Outlets};
use super::queue::{Pushed, Queue};
use super::way::Way;
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

    /// Passes on the held items whose verdict is known; the others remain held or are dropped. What is passed on goes to the later stages
    /// and to the exporters before `pass_on` returns. Called after each run's
    /// items have been processed, at least five times per schedule delay. `ends` is true on a flush and on shutdown:
    /// items that remain held after that call are not exported by the flush, and on shutdown they are lost together
    /// with the stage.
    fn release(&mut self, ends: bool, pass_on: &mut dyn FnMut(Held<S>)) {
        let _ = (ends, pass_on);
    }

    /// Returns true if the stage takes whole chunks of those items that it is shown. Called once, when the processor starts.
    #[doc(hidden)]
    fn takes_chunks(&self) -> bool {
        false
    }

    /// Takes a whole chunk. Called instead of [`Self::process`] for items that come out of the queue and that the stages before have kept.
    /// By default, drops the chunk.
    #[doc(hidden)]
    fn take(&mut self, chunk: HeldChunk<S>) {
        drop(chunk);
    }

    /// Returns true if the stage also takes items whose trace is not sampled, and then decides about them. Called once, when
    /// the processor starts.
    fn takes_unsampled(&self) -> bool {
        false
    }

    /// Returns a function that hears of each item which would have reached this stage but is lost before: because the queue is full or
    /// closed, because of the limit of items a second, or because an earlier stage drops it or panics. Called once, when the processor
    /// starts. The function is called on any thread, also on the threads of the program, so it must be fast, and must not panic.
    #[doc(hidden)]
    fn on_loss(&self) -> Option<OnLoss<S>> {
        None
    }
}

/// What [`Stage::on_loss`] returns.
#[doc(hidden)]
pub type OnLoss<S> = Arc<dyn Fn(&<S as Signal>::Item) + Send + Sync>;

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

    fn takes_chunks(&self) -> bool {
        (**self).takes_chunks()
    }

    fn take(&mut self, chunk: HeldChunk<S>) {
        (**self).take(chunk);
    }

    fn takes_unsampled(&self) -> bool {
        (**self).takes_unsampled()
    }

    fn on_loss(&self) -> Option<OnLoss<S>> {
        (**self).on_loss()
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
    home: Arc<Home<S>>,
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
        let takes_chunks = stages.iter().position(|stage| catch(|| stage.takes_chunks()).unwrap_or(false));
        let takes_unsampled = stages.iter().any(|stage| catch(|| stage.takes_unsampled()).unwrap_or(false));
        let on_loss = stages.iter().map(|stage| catch(|| stage.on_loss()).ok().flatten()).enumerate();
        let on_loss = on_loss.filter_map(|(index, on_loss)| Some((index, on_loss?))).collect();
        let queue = Arc::new(Queue::for_config(config));
        let home = Arc::new(Home { queue: queue.clone(), outlets: Outlets::new(processors), on_loss });
        let worker = Worker {
            home: home.clone(),
            takes_chunks,
            stages: stages.into_iter().map(Contained::new).collect(),
            portion: config.max_batch_size(),
            max_waiting: config.max_queue_size() / 2,
            delay: (config.schedule_delay() / 5).max(MIN_DELAY),
            drained: Vec::new(),
        };
        let inlet = Inlet::start(queue, worker, &format!("telemark-{}-stages", S::NAME), runtime)?;
        Ok(StagedProcessor { inlet, home, takes_unsampled })
    }
}

impl<S: Signal> Processor<S> for StagedProcessor<S> {
    #[inline]
    fn add(&self, item: S::Item) {
        let outlets = &self.home.outlets;
        match self.inlet.push_or_lose(item, |item| self.home.lose(0, item)) {
            Pushed::Queued => {}
            Pushed::Enough => self.inlet.worker().wake(),
            Pushed::Full => outlets.count(|counters| counters.queue_full(1)),
            Pushed::BytesFull => outlets.count(|counters| counters.queue_bytes_full(1)),
            Pushed::Closed => outlets.count(|counters| counters.after_shutdown(1)),
        }
    }

    fn flush(&self, deadline: Deadline) -> Result<(), ExportError> {
        let staged = self.inlet.worker().flush(deadline);
        staged.and(self.home.outlets.each(|processor| processor.flush(deadline)))
    }

    fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        // If a stage hangs and releases items later, the processors are already closed and count those items as
        // dropped.
        let staged = self.inlet.shutdown(deadline);
        staged.and(self.home.outlets.each(|processor| processor.shutdown(deadline)))
    }

    fn all_counters(&self) -> Vec<Arc<Counters>> {
        self.home.outlets.counters.clone()
    }

    #[inline]
    fn takes_unsampled(&self) -> bool {
        self.takes_unsampled
    }

    fn lost(&self, item: &S::Item) {
        self.home.lose(0, item);
    }
}

impl<S: Signal> fmt::Debug for StagedProcessor<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StagedProcessor").field("processors", &self.home.outlets).finish()
    }
}

struct Worker<S: Signal> {
    home: Arc<Home<S>>,
    stages: Vec<Contained<Box<dyn Stage<S>>>>,
    /// The index of the first stage that takes whole chunks.
    takes_chunks: Option<usize>,
    delay: Duration,
    /// The number of held items that are passed on at a time.
    portion: usize,
    /// The number of items in the queue with which a run no longer waits for the exporters.
    max_waiting: usize,
    /// Empty between two runs. Kept to reuse its memory.
    drained: Vec<S::Chunk>,
}

/// The reason for which items are passed on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    Run,
    /// A flush or the shutdown, which ends by the deadline.
    End(Deadline),
}

impl<S: Signal> Task for Worker<S>
where
    S::Item: Clone,
{
    fn first(&self) -> Duration {
        self.delay
    }

    fn run(&mut self, _: Wake) -> Next {
        if self.pass_on(Why::Run) == 0 {
            self.home.queue.free_spares();
        }
        Next::After(self.delay)
    }

    fn flush(&mut self, deadline: Deadline) -> Result<(), ExportError> {
        self.pass_on(Why::End(deadline));
        Ok(())
    }

    fn shutdown(&mut self, deadline: Deadline) -> Result<(), ExportError> {
        self.home.queue.close();
        self.pass_on(Why::End(deadline));
        Ok(())
    }
}

impl<S: Signal> Worker<S>
where
    S::Item: Clone,
{
    /// Runs the stages on every queued item, and passes on the items that they keep or release. Returns the number of
    /// items taken from the queue.
    fn pass_on(&mut self, why: Why) -> usize {
        let items = self.home.queue.drain_into(&mut self.drained);
        let mut chunks = std::mem::take(&mut self.drained);
        for chunk in chunks.drain(..) {
            self.process(chunk);
        }
        self.drained = chunks;
        let deadline = match why {
            Why::Run => Deadline::after(self.delay.min(MAX_WAIT)),
            Why::End(deadline) => deadline,
        };
        for index in 0..self.stages.len() {
            self.release(index, why != Why::Run, deadline);
        }
        items
    }

    /// Passes on the items that a stage releases, each at once, so that they take up no room in between. A stage may release more than
    /// the queues of the exporters can hold, so waits for them.
    fn release(&mut self, index: usize, ends: bool, deadline: Deadline) {
        let (queue, max_waiting, portion) = (&self.home.queue, self.max_waiting, self.portion);
        let Some((stage, later)) = self.stages.get_mut(index..).and_then(<[_]>::split_first_mut) else { return };
        let mut way = Way { stages: later, first: index + 1, home: &self.home };
        let mut number = 0;
        let mut pass_on = |held: Held<S>| {
            let Some(item) = held.into_item() else { return };
            // The first portion of a run has room, as long as the exporters keep up.
            if number % portion == 0 && (ends || number > 0) {
                way.home.outlets.make_room(deadline, || queue.waiting() < max_waiting);
            }
            number += 1;
            way.advance(item);
        };
        if catch(|| stage.release(ends, &mut pass_on)).is_err() {
            crate::__warn!("stage.panic", "a stage panicked when it was to release what it holds");
        }
    }

    /// Shows the items of a chunk to the stages. If one of them takes whole chunks, it gets those that the stages before keep together.
    fn process(&mut self, mut chunk: S::Chunk) {
        let queue = self.home.queue.clone();
        let (items, bytes) = (chunk.len(), chunk.bytes());
        let Some(index) = self.takes_chunks else {
            let mut way = Way { stages: &mut self.stages, first: 0, home: &self.home };
            for item in chunk.drain() {
                way.advance(item);
                queue.release(1);
            }
            return queue.recycle_drained(chunk, bytes);
        };
        if index == 0 {
            self.give(0, chunk);
            queue.release(items);
            return queue.bytes().release(bytes);
        }
        let mut kept = queue.spare();
        let before = self.stages.get_mut(..index).unwrap_or_default();
        let mut before = Way { stages: before, first: 0, home: &self.home };
        for item in chunk.drain() {
            if let Some(item) = before.pass(item) {
                let size = S::size(&item);
                kept.push(item, size);
            }
        }
        self.give(index, kept);
        queue.release(items);
        queue.recycle_drained(chunk, bytes);
    }

    /// Gives a stage a chunk.
    fn give(&mut self, index: usize, chunk: S::Chunk) {
        let held = HeldChunk::new(chunk, index, &self.home);
        let Some(stage) = self.stages.get_mut(index) else { return };
        if catch(|| stage.take(held)).is_err() {
            crate::__warn!("stage.panic", "a stage panicked when it was to hold items");
        }
    }
}
