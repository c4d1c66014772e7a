//! Span processors: what happens when a span starts and ends.

use std::fmt::Debug;
use std::sync::Arc;

use opentelemetry::Context;

use super::{SdkSpan, SpanData};
use crate::batch::{BatchProcessor, SimpleProcessor};
use crate::diag::{Counters, SignalHealth};
use crate::error::ExportError;
use crate::signal::Traces;
use crate::time::Deadline;

/// Sees every recording span when it starts and when it ends, in the order in which processors were added.
///
/// All methods are called on the threads of the host, possibly several at once; they must not block. A panic is caught
/// and reported. Spans that are not recorded are never seen; of those that are, only the sampled ones
/// (`span.context.is_sampled()`) may be exported.
///
/// spec: trace/sdk.md#span-processor
pub trait SpanProcessor: Debug + Send + Sync + 'static {
    /// A span starts; it may be changed. `parent` is the context it starts in.
    fn on_start(&self, span: &mut SdkSpan, parent: &Context) {
        let _ = (span, parent);
    }

    /// Whether [`Self::on_start`] does anything; asked once, when the provider is built.
    fn wants_start(&self) -> bool {
        true
    }

    /// A span ends; its end time is set and it may still be changed. Not called once the provider has been shut down.
    ///
    /// spec: trace/sdk.md#onending
    fn on_ending(&self, span: &mut SpanData) {
        let _ = span;
    }

    /// A span has ended.
    fn on_end(&self, span: SpanData);

    /// Exports what the processor holds.
    ///
    /// # Errors
    /// Something could not be delivered, or not before the deadline.
    fn flush(&self, deadline: Deadline) -> Result<(), ExportError> {
        let _ = deadline;
        Ok(())
    }

    /// Exports what the processor holds and ends it. Called once; spans that come later are to be ignored.
    ///
    /// # Errors
    /// Something could not be delivered, or not before the deadline.
    fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.flush(deadline)
    }

    /// What became of the spans, for processors that export; `None` for others.
    fn health(&self) -> Option<SignalHealth> {
        self.counters().map(|counters| counters.snapshot())
    }

    /// Where processors that export count what became of the spans, for the SDK's own metrics; a processor before
    /// another hands on that one's. `None` for others.
    fn counters(&self) -> Option<Arc<Counters>> {
        None
    }
}

impl SpanProcessor for BatchProcessor<Traces> {
    fn wants_start(&self) -> bool {
        false
    }

    #[inline]
    fn on_end(&self, span: SpanData) {
        if span.context.is_sampled() {
            self.add(span);
        }
    }

    fn flush(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.flush(deadline)
    }

    fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.shutdown(deadline)
    }

    fn counters(&self) -> Option<Arc<Counters>> {
        Some(self.counters())
    }
}

impl SpanProcessor for SimpleProcessor<Traces> {
    fn wants_start(&self) -> bool {
        false
    }

    fn on_end(&self, span: SpanData) {
        if span.context.is_sampled() {
            self.add(span);
        }
    }

    fn flush(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.flush(deadline)
    }

    fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.shutdown(deadline)
    }

    fn counters(&self) -> Option<Arc<Counters>> {
        Some(self.counters())
    }
}
