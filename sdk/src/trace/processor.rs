//! The span processor, which observes the start and end of spans.

use std::fmt::Debug;
use std::ops::Deref;
use std::sync::Arc;

use opentelemetry::Context;

use super::attention::Wanted;
use super::{Attention, SdkSpan, SpanData};
use crate::batch::{BatchConfig, Processor, RateLimited, Stage, StagedProcessor};
use crate::diag::{Counters, LimitCounts, SignalHealth};
use crate::error::{ConfigError, ExportError, catch};
use crate::runtime::Runtime;
use crate::signal::Traces;
use crate::time::{Clock, Deadline};

/// Observes every recording span when it starts and when it ends. Processors are called in the order in which they were
/// added, except that exporting processors are flushed and shut down before the others.
///
/// All methods are called on the application's threads, possibly concurrently, and must not block. If the installed
/// telemetry has a termination handler, [`Self::shutdown`] runs on an SDK thread, and the program waits for it no
/// longer than the flush timeout. Panics are caught and logged. Processors never receive unrecorded spans, and must
/// export only those that are sampled (`span.context.is_sampled()`).
///
/// The API may hold the lock of a span while it ends, and the span may still be current. A processor may then use `#[traced]`,
/// `tracing` and Telemark's functions, which leave this span alone, but the API's own `Context::current().span()` would wait for
/// itself when asked to read or change it.
///
/// spec: trace/sdk.md#span-processor
pub trait SpanProcessor: Debug + Send + Sync + 'static {
    /// Called when a span starts, to inspect or modify it. `parent` is the context in which the span starts.
    fn on_start(&self, span: &mut SdkSpan, parent: &Context) {
        let _ = (span, parent);
    }

    /// Returns true if [`Self::on_start`] must be called. Called once, when the provider is built.
    fn wants_start(&self) -> bool {
        true
    }

    /// Called when a span ends, to inspect or modify it. The end time is already set. Not called after the provider's
    /// shutdown.
    ///
    /// spec: trace/sdk.md#onending
    fn on_ending(&self, span: &mut SpanData) {
        let _ = span;
    }

    /// Returns true if [`Self::on_ending`] does anything. Called once, when the provider is built.
    fn wants_ending(&self) -> bool {
        true
    }

    /// Returns the switch that says whether [`Self::on_start`] and [`Self::on_ending`] must be called at present, or `None` if they must
    /// always be called. Called when the provider is built.
    fn attention(&self) -> Option<Attention> {
        None
    }

    /// Called after a span has ended.
    fn on_end(&self, span: SpanData);

    /// Returns true if [`Self::on_end`] does anything. Called once, when the provider is built. For a processor that returns false, spans
    /// are not copied, and its methods are called before those of other processors.
    fn wants_end(&self) -> bool {
        true
    }

    /// Exports all spans that the processor holds.
    ///
    /// # Errors
    /// Returns an error if something could not be delivered before the deadline.
    fn flush(&self, deadline: Deadline) -> Result<(), ExportError> {
        let _ = deadline;
        Ok(())
    }

    /// Exports all spans that the processor holds, and stops it. Called once; the processor must ignore later spans.
    ///
    /// # Errors
    /// Returns an error if something could not be delivered before the deadline.
    fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.flush(deadline)
    }

    /// Returns the counts of exported and dropped spans, or `None` if the processor does not export.
    fn health(&self) -> Option<SignalHealth> {
        self.counters().map(|counters| counters.snapshot())
    }

    /// Returns the counters of the exporter behind this processor, for the SDK's own metrics, or `None` if the processor does
    /// not export. A processor that wraps another processor returns the counters of the inner processor.
    fn counters(&self) -> Option<Arc<Counters>> {
        None
    }

    /// Waits until the processor has room for many spans, but not beyond `deadline`. Returns false if it has none and gained none. Called on
    /// an SDK thread by stages that pass on many spans at once. By default, returns true.
    fn make_room(&self, deadline: Deadline) -> bool {
        let _ = deadline;
        true
    }

    /// Returns the counters of all exporters behind this processor, if there are several.
    fn all_counters(&self) -> Vec<Arc<Counters>> {
        self.counters().into_iter().collect()
    }
}

impl<P: Processor<Traces>> SpanProcessor for P {
    fn wants_start(&self) -> bool {
        false
    }

    fn wants_ending(&self) -> bool {
        false
    }

    #[inline]
    fn on_end(&self, span: SpanData) {
        if span.context.is_sampled() || self.takes_unsampled() {
            self.add(span);
        }
    }

    fn flush(&self, deadline: Deadline) -> Result<(), ExportError> {
        Processor::flush(self, deadline)
    }

    fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        Processor::shutdown(self, deadline)
    }

    fn counters(&self) -> Option<Arc<Counters>> {
        let [counters] = <[_; 1]>::try_from(self.all_counters()).ok()?;
        Some(counters)
    }

    fn all_counters(&self) -> Vec<Arc<Counters>> {
        Processor::all_counters(self)
    }

    fn make_room(&self, deadline: Deadline) -> bool {
        Processor::make_room(self, deadline)
    }
}

/// Puts `stages` in front of `processors`, which are then called only when spans end, and the limit of spans a second in front of both.
/// Returns `processors` if there is neither.
///
/// # Errors
/// Returns an error if the operating system refuses to start another thread.
pub(crate) fn staged(
    stages: Vec<Box<dyn Stage<Traces>>>,
    processors: Vec<Box<dyn SpanProcessor>>,
    config: BatchConfig,
    runtime: &Runtime,
    rate: Option<SpanRate>,
) -> Result<Vec<Box<dyn SpanProcessor>>, ConfigError> {
    if processors.is_empty() || (stages.is_empty() && rate.is_none()) {
        return Ok(processors);
    }
    let behind = processors.into_iter().map(|processor| -> Box<dyn Processor<Traces>> { Box::new(Behind(processor)) });
    let behind: Vec<_> = behind.collect();
    let Some(SpanRate { max_per_second, clock, counts }) = rate else {
        return Ok(vec![Box::new(StagedProcessor::start(stages, behind, config, runtime)?)]);
    };
    let first: Vec<Box<dyn Processor<Traces>>> = match stages.is_empty() {
        true => behind,
        false => vec![Box::new(StagedProcessor::start(stages, behind, config, runtime)?)],
    };
    let limited = |inner| -> Box<dyn SpanProcessor> {
        Box::new(RateLimited::new(inner, max_per_second, clock.clone(), counts.clone()))
    };
    Ok(first.into_iter().map(limited).collect())
}

/// The limit on the number of spans in a second.
pub(crate) struct SpanRate {
    pub(crate) max_per_second: u32,
    pub(crate) clock: Clock,
    pub(crate) counts: Arc<LimitCounts>,
}

/// A span processor that runs behind stages.
#[derive(Debug)]
struct Behind(Box<dyn SpanProcessor>);

impl Processor<Traces> for Behind {
    fn add(&self, span: SpanData) {
        if catch(|| self.0.on_end(span)).is_err() {
            crate::__warn!("processor.panic", "a span processor panicked when a span ended");
        }
    }

    fn flush(&self, deadline: Deadline) -> Result<(), ExportError> {
        caught(|| self.0.flush(deadline))
    }

    fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        caught(|| self.0.shutdown(deadline))
    }

    fn all_counters(&self) -> Vec<Arc<Counters>> {
        self.0.all_counters()
    }

    fn make_room(&self, deadline: Deadline) -> bool {
        self.0.make_room(deadline)
    }
}

/// The processors of a provider, which are code of the program: whatever they say about themselves may panic.
#[derive(Debug)]
pub(super) struct Processors {
    all: Box<[Box<dyn SpanProcessor>]>,
    /// The index of the first processor that receives ended spans, as do all after it.
    first_at_end: usize,
}

impl Processors {
    /// Puts the processors that do not receive ended spans first, and otherwise keeps the order. One that panics receives them.
    pub(super) fn new(processors: Vec<Box<dyn SpanProcessor>>) -> Self {
        let (at_end, mut all): (Vec<_>, Vec<_>) =
            processors.into_iter().partition(|processor| catch(|| processor.wants_end()).unwrap_or(true));
        let first_at_end = all.len();
        all.extend(at_end);
        Processors { all: all.into_boxed_slice(), first_at_end }
    }

    /// Returns the processors that receive ended spans.
    #[inline]
    pub(super) fn at_end(&self) -> &[Box<dyn SpanProcessor>] {
        self.all.get(self.first_at_end..).unwrap_or_default()
    }

    /// Returns the times at which a processor that wants something must be called. One that panics is always called.
    pub(super) fn wanted(&self, wants: impl Fn(&dyn SpanProcessor) -> bool) -> Wanted {
        let mut wanted = Wanted::default();
        for processor in self.iter() {
            match catch(|| wants(&**processor).then(|| processor.attention())) {
                Ok(None) => {}
                Ok(Some(Some(attention))) => wanted.switches.push(attention),
                Ok(Some(None)) | Err(_) => wanted.always = true,
            }
        }
        wanted
    }

    /// Returns the counts of exported and dropped spans for each exporter.
    pub(super) fn health(&self) -> Vec<SignalHealth> {
        let health = |processor: &dyn SpanProcessor| match &processor.all_counters()[..] {
            // A processor may report its health without having counters.
            [] | [_] => processor.health().into_iter().collect(),
            several => several.iter().map(|counters| counters.snapshot()).collect::<Vec<_>>(),
        };
        self.iter().flat_map(|processor| catch(|| health(&**processor)).unwrap_or_default()).collect()
    }

    /// Calls the exporting processors first, so that their spans are not lost if a processor of another kind hangs.
    pub(super) fn each(&self, call: impl Fn(&dyn SpanProcessor) -> Result<(), ExportError>) -> Result<(), ExportError> {
        let mut processors: Vec<_> = self.iter().collect();
        processors.sort_by_key(|processor| catch(|| processor.all_counters().is_empty()).unwrap_or(true));
        let mut result = Ok(());
        for processor in processors {
            // Call all processors, and keep the first error.
            result = result.and(caught(|| call(&**processor)));
        }
        result
    }

    /// Returns the counters of each exporter.
    pub(super) fn counters(&self) -> Vec<Arc<Counters>> {
        self.iter().flat_map(|processor| catch(|| processor.all_counters()).unwrap_or_default()).collect()
    }
}

impl Deref for Processors {
    type Target = [Box<dyn SpanProcessor>];

    #[inline]
    fn deref(&self) -> &[Box<dyn SpanProcessor>] {
        &self.all
    }
}

impl Drop for Processors {
    /// Drops each processor by itself.
    fn drop(&mut self) {
        for processor in std::mem::take(&mut self.all) {
            if catch(|| drop(processor)).is_err() {
                crate::__warn!("processor.panic", "a span processor panicked when it was dropped");
            }
        }
    }
}

/// Calls a processor, and converts a panic into an error.
pub(super) fn caught(call: impl FnOnce() -> Result<(), ExportError>) -> Result<(), ExportError> {
    catch(call).unwrap_or_else(|_| Err(ExportError::other("a span processor panicked")))
}
