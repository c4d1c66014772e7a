//! The sampler trait, its request and its result.

use std::borrow::Cow;
use std::fmt::Debug;

use opentelemetry::trace::{Link, SpanContext, SpanKind, TraceContextExt, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};

use crate::error::{ExportError, catch};
use crate::time::Deadline;

/// Decides whether to record a span.
///
/// Called once per span, on the thread that starts the span, and possibly on many threads concurrently. Must not
/// block. If it panics, the span is dropped.
pub trait Sampler: Debug + Send + Sync + 'static {
    /// Makes the decision for one span.
    fn sample(&self, request: &SamplingRequest<'_>) -> SamplingResult;

    /// Returns the sampler's name and parameters, such as `TraceIdRatioBased{0.000100}`.
    fn description(&self) -> Cow<'static, str>;

    /// Returns true if the sampler drops every span whose parent is not sampled, whether the parent is local or
    /// remote, and keeps the parent's trace state. The SDK may then skip the call.
    fn drops_below_unsampled_parents(&self) -> bool {
        false
    }

    /// Releases the sampler's resources, such as connections or threads. Called once, on the thread that shuts the provider
    /// down, after the processors have been shut down, or on the thread that replaces the sampler, while other threads may still be
    /// asking it. Must not wait beyond `deadline`. A panic is caught and logged.
    ///
    /// A sampler that delegates to other samplers forwards the call to each of them.
    ///
    /// spec: trace/sdk.md#sampler
    ///
    /// # Errors
    /// Returns an error if something could not be released before the deadline.
    fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        let _ = deadline;
        Ok(())
    }

    /// Returns true if the sampler looks at the attributes of spans. The fields of `#[traced]` that cost nothing to evaluate, which are
    /// literals and arguments of a plain type, are then evaluated before the sampler is asked. Otherwise, no field is evaluated for a
    /// span that is dropped.
    fn wants_attributes(&self) -> bool {
        false
    }

    /// Returns true if the sampler samples every span whose parent is local and sampled, adds no attributes and keeps
    /// the parent's trace state. The SDK may then skip the call.
    fn samples_below_sampled_parents(&self) -> bool {
        false
    }

    /// Returns true if the sampler samples every span without a parent, adds no attributes and sets no trace state. The SDK may then skip
    /// the call.
    fn samples_roots(&self) -> bool {
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

    fn samples_roots(&self) -> bool {
        (**self).samples_roots()
    }

    fn wants_attributes(&self) -> bool {
        (**self).wants_attributes()
    }
}

/// Shuts a sampler down, and converts a panic into an error.
pub(crate) fn shut_down(sampler: &dyn Sampler, deadline: Deadline) -> Result<(), ExportError> {
    catch(|| sampler.shutdown(deadline))
        .unwrap_or_else(|_| Err(ExportError::other("the sampler panicked when it was shut down")))
}

/// The facts about a span on which a sampler can base its decision.
#[derive(Debug)]
#[non_exhaustive]
pub struct SamplingRequest<'a> {
    /// The context in which the span starts.
    pub parent: &'a Context,
    /// The trace id, either the parent's or a new one.
    pub trace_id: TraceId,
    /// The span name.
    pub name: &'a str,
    /// The span kind.
    pub kind: &'a SpanKind,
    /// The attributes known when the span starts.
    pub attributes: &'a [KeyValue],
    /// The links known when the span starts.
    pub links: &'a [Link],
}

impl<'a> SamplingRequest<'a> {
    /// Creates a request for a span without attributes and links.
    pub fn new(parent: &'a Context, trace_id: TraceId, name: &'a str, kind: &'a SpanKind) -> Self {
        SamplingRequest { parent, trace_id, name, kind, attributes: &[], links: &[] }
    }

    /// Adds the attributes known when the span starts.
    pub fn with_attributes(mut self, attributes: &'a [KeyValue]) -> Self {
        self.attributes = attributes;
        self
    }

    /// Adds the links known when the span starts.
    pub fn with_links(mut self, links: &'a [Link]) -> Self {
        self.links = links;
        self
    }

    /// Returns the parent's span context, or `None` for a root span.
    pub fn parent_span(&self) -> Option<SpanContext> {
        let span = self.parent.span();
        span.span_context().is_valid().then(|| span.span_context().clone())
    }
}

/// The decision for a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The span is not recorded.
    Drop,
    /// The span is recorded for the processors, but never exported.
    RecordOnly,
    /// The span is recorded and exported.
    RecordAndSample,
}

/// The result of a sampling request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SamplingResult {
    /// The decision for the span.
    pub decision: Decision,
    /// Attributes to add to the span.
    pub attributes: Vec<KeyValue>,
    /// The span's trace state; `None` to keep the parent's.
    pub trace_state: Option<TraceState>,
}

impl SamplingResult {
    /// Creates a result that adds nothing and keeps the parent's trace state.
    pub const fn new(decision: Decision) -> Self {
        SamplingResult { decision, attributes: Vec::new(), trace_state: None }
    }

    /// Sets attributes to add to the span.
    pub fn with_attributes(mut self, attributes: Vec<KeyValue>) -> Self {
        self.attributes = attributes;
        self
    }

    /// Sets the span's trace state, replacing the parent's.
    pub fn with_trace_state(mut self, trace_state: TraceState) -> Self {
        self.trace_state = Some(trace_state);
        self
    }
}
