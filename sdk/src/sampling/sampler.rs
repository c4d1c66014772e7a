//! The seam: the sampler, its request and its result.

use std::borrow::Cow;
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};

use opentelemetry::trace::{Link, SpanContext, SpanKind, TraceContextExt, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};

use crate::error::ExportError;
use crate::time::Deadline;

/// Decides whether to record a span.
///
/// Called on the thread that starts the span, once per span, possibly on many threads at once; must not block. A panic drops
/// the span.
pub trait Sampler: Debug + Send + Sync + 'static {
    /// Decides about one span.
    fn sample(&self, request: &SamplingRequest<'_>) -> SamplingResult;

    /// Returns the name and parameters of the sampler, such as `TraceIdRatioBased{0.000100}`.
    fn description(&self) -> Cow<'static, str>;

    /// Returns true if the sampler drops every span under a parent that is not sampled, in this process or another, and keeps its
    /// trace state. The SDK may then skip the call.
    fn drops_below_unsampled_parents(&self) -> bool {
        false
    }

    /// Releases resources of the sampler: connections, pollers, threads. Called once, on the thread that shuts the provider down,
    /// after the processors have shut down. Must not wait beyond `deadline`; a panic is caught and reported.
    ///
    /// A sampler that asks others forwards the call to each of them.
    ///
    /// spec: trace/sdk.md#sampler
    ///
    /// # Errors
    /// Something could not be released, or not before the deadline.
    fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        let _ = deadline;
        Ok(())
    }

    /// Returns true if the sampler samples every span under a local parent that is sampled, adds nothing and keeps the trace
    /// state. The SDK may then skip the call.
    fn samples_below_sampled_parents(&self) -> bool {
        false
    }
}

impl Sampler for Box<dyn Sampler> {
    fn sample(&self, request: &SamplingRequest<'_>) -> SamplingResult {
        (**self).sample(request)
    }

    fn description(&self) -> Cow<'static, str> {
        (**self).description()
    }

    fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        (**self).shutdown(deadline)
    }

    fn drops_below_unsampled_parents(&self) -> bool {
        (**self).drops_below_unsampled_parents()
    }

    fn samples_below_sampled_parents(&self) -> bool {
        (**self).samples_below_sampled_parents()
    }
}

/// Shuts a sampler down; a panic is an error.
pub(crate) fn shut_down(sampler: &dyn Sampler, deadline: Deadline) -> Result<(), ExportError> {
    catch_unwind(AssertUnwindSafe(|| sampler.shutdown(deadline)))
        .unwrap_or_else(|_| Err(ExportError::other("the sampler panicked when it was shut down")))
}

/// The facts about a span at the decision.
#[derive(Debug)]
#[non_exhaustive]
pub struct SamplingRequest<'a> {
    /// The context that the span starts in.
    pub parent: &'a Context,
    /// The id of the trace: the parent's, or a new one.
    pub trace_id: TraceId,
    /// The name of the span.
    pub name: &'a str,
    /// The kind of the span.
    pub kind: &'a SpanKind,
    /// The attributes known at the start.
    pub attributes: &'a [KeyValue],
    /// The links known at the start.
    pub links: &'a [Link],
}

impl<'a> SamplingRequest<'a> {
    /// Creates a request about a span without attributes and links.
    pub fn new(parent: &'a Context, trace_id: TraceId, name: &'a str, kind: &'a SpanKind) -> Self {
        SamplingRequest { parent, trace_id, name, kind, attributes: &[], links: &[] }
    }

    /// Adds the attributes known at the start.
    pub fn with_attributes(mut self, attributes: &'a [KeyValue]) -> Self {
        self.attributes = attributes;
        self
    }

    /// Adds the links known at the start.
    pub fn with_links(mut self, links: &'a [Link]) -> Self {
        self.links = links;
        self
    }

    /// Returns the parent's span context; `None` for a root span.
    pub fn parent_span(&self) -> Option<SpanContext> {
        let span = self.parent.span();
        span.span_context().is_valid().then(|| span.span_context().clone())
    }
}

/// The decision about a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing is recorded.
    Drop,
    /// Recorded for the processors, never exported.
    RecordOnly,
    /// Recorded and exported.
    RecordAndSample,
}

/// The result of a sampler.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SamplingResult {
    /// The decision about the span.
    pub decision: Decision,
    /// Attributes to add to the span.
    pub attributes: Vec<KeyValue>,
    /// The trace state of the span; `None` keeps the parent's.
    pub trace_state: Option<TraceState>,
}

impl SamplingResult {
    /// Creates a result that adds nothing and keeps the parent's trace state.
    pub const fn new(decision: Decision) -> Self {
        SamplingResult { decision, attributes: Vec::new(), trace_state: None }
    }

    /// Adds attributes to the span.
    pub fn with_attributes(mut self, attributes: Vec<KeyValue>) -> Self {
        self.attributes = attributes;
        self
    }

    /// Replaces the trace state.
    pub fn with_trace_state(mut self, trace_state: TraceState) -> Self {
        self.trace_state = Some(trace_state);
        self
    }
}
