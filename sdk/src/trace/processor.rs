//! The span processor: sees a span start and end.

use std::fmt::Debug;
use std::sync::Arc;

use opentelemetry::Context;

use super::{SdkSpan, SpanData};
use crate::batch::{BatchConfig, Processor, Stage, StagedProcessor};
use crate::diag::{Counters, SignalHealth};
use crate::error::{ConfigError, ExportError, catch};
use crate::runtime::Runtime;
use crate::signal::Traces;
use crate::time::Deadline;

/// Sees every recording span when it starts and when it ends. Processors are called in the order in which they were added;
/// those that export are flushed and shut down before the others.
///
/// All methods are called on the threads of the host, possibly several at once; they must not block. At the end of installed
/// telemetry that watches for the end of the program, [`Self::shutdown`] is called on a thread of the SDK, and the program waits for
/// it no longer than the flush timeout. A panic is caught and reported. Spans that are not recorded are never seen; of those that
/// are, only the sampled ones (`span.context.is_sampled()`) may be exported.
///
/// spec: trace/sdk.md#span-processor
pub trait SpanProcessor: Debug + Send + Sync + 'static {
    /// Called when a span starts, to read or change it. `parent` is the context that the span starts in.
    fn on_start(&self, span: &mut SdkSpan, parent: &Context) {
        let _ = (span, parent);
    }

    /// Returns true if [`Self::on_start`] does anything. Asked once, when the provider is built.
    fn wants_start(&self) -> bool {
        true
    }

    /// Called when a span ends, with its end time set, to read or change it. Not called after the provider's shutdown.
    ///
    /// spec: trace/sdk.md#onending
    fn on_ending(&self, span: &mut SpanData) {
        let _ = span;
    }

    /// Returns true if [`Self::on_ending`] does anything. Asked once, when the provider is built.
    fn wants_ending(&self) -> bool {
        true
    }

    /// Called after a span has ended.
    fn on_end(&self, span: SpanData);

    /// Exports every span that the processor holds.
    ///
    /// # Errors
    /// Something could not be delivered, or not before the deadline.
    fn flush(&self, deadline: Deadline) -> Result<(), ExportError> {
        let _ = deadline;
        Ok(())
    }

    /// Exports every span that the processor holds, and ends it. Called once; the processor ignores later spans.
    ///
    /// # Errors
    /// Something could not be delivered, or not before the deadline.
    fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.flush(deadline)
    }

    /// Returns the counts of exported and dropped spans; `None` for a processor that does not export.
    fn health(&self) -> Option<SignalHealth> {
        self.counters().map(|counters| counters.snapshot())
    }

    /// Returns the counters of the exporter behind this processor, for the SDK's own metrics; `None` for a processor that does
    /// not export. A processor in front of another returns those of the other.
    fn counters(&self) -> Option<Arc<Counters>> {
        None
    }

    /// Returns the counters of each exporter behind this processor, if it has several.
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
        if span.context.is_sampled() {
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
}

/// Puts `stages` in front of `processors`, which then see only the ends of spans. Without a stage, returns `processors`.
///
/// # Errors
/// The operating system refuses to start another thread.
pub(crate) fn staged(
    stages: Vec<Box<dyn Stage<Traces>>>,
    processors: Vec<Box<dyn SpanProcessor>>,
    config: BatchConfig,
    runtime: &Runtime,
) -> Result<Vec<Box<dyn SpanProcessor>>, ConfigError> {
    if stages.is_empty() || processors.is_empty() {
        return Ok(processors);
    }
    let behind = processors.into_iter().map(|processor| -> Box<dyn Processor<Traces>> { Box::new(Behind(processor)) });
    Ok(vec![Box::new(StagedProcessor::start(stages, behind.collect(), config, runtime)?)])
}

/// A span processor behind stages.
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
}

/// Calls a processor; a panic is an error.
pub(super) fn caught(call: impl FnOnce() -> Result<(), ExportError>) -> Result<(), ExportError> {
    catch(call).unwrap_or_else(|_| Err(ExportError::other("a span processor panicked")))
}
