//! The part of a sampler that can be composed: it returns the threshold that it intends to apply, and decides nothing.

use std::borrow::Cow;
use std::fmt;

use opentelemetry::KeyValue;
use opentelemetry::trace::TraceState;

use crate::error::ExportError;
use crate::sampling::{Decision, SamplingRequest, Threshold};
use crate::time::Deadline;

/// Returns the threshold that it intends to apply to a span. A [`Composite`](super::Composite) compares it with the trace's random
/// value, so that all decisions about a trace agree.
///
/// Called once per span at most, on the thread that starts the span, and possibly on many threads concurrently. Must not block. If it
/// panics, the span is dropped.
///
/// An implementation must not derive the threshold from the trace id or from `rv`, and must not change the entry `ot` of the trace
/// state.
///
/// spec: trace/sdk.md#composablesampler, in development
pub trait ComposableSampler: fmt::Debug + Send + Sync + 'static {
    /// Returns the intent for one span.
    fn intent<'a>(&'a self, request: &'a SamplingRequest<'_>) -> SamplingIntent<'a>;

    /// Returns the sampler's name and parameters, such as `ComposableProbabilitySampler{0.100000}`.
    fn description(&self) -> Cow<'static, str>;

    /// Returns true if the sampler intends to drop every span whose parent is not sampled, whether the parent is local or remote. The SDK
    /// may then skip the call.
    fn drops_below_unsampled_parents(&self) -> bool {
        false
    }

    /// Returns true if the sampler intends to sample every span whose parent is local and sampled, with the parent's threshold, and adds
    /// nothing. The SDK may then skip the call.
    fn samples_below_sampled_parents(&self) -> bool {
        false
    }

    /// Returns true if the sampler looks at attributes. See
    /// [`Sampler::wants_attributes`](crate::sampling::Sampler::wants_attributes).
    fn wants_attributes(&self) -> bool {
        false
    }

    /// Releases the sampler's resources. See [`Sampler::shutdown`](crate::sampling::Sampler::shutdown).
    ///
    /// # Errors
    /// Returns an error if something could not be released before the deadline.
    fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        let _ = deadline;
        Ok(())
    }
}

impl ComposableSampler for Box<dyn ComposableSampler> {
    fn intent<'a>(&'a self, request: &'a SamplingRequest<'_>) -> SamplingIntent<'a> {
        (**self).intent(request)
    }

    fn description(&self) -> Cow<'static, str> {
        (**self).description()
    }

    fn drops_below_unsampled_parents(&self) -> bool {
        (**self).drops_below_unsampled_parents()
    }

    fn samples_below_sampled_parents(&self) -> bool {
        (**self).samples_below_sampled_parents()
    }

    fn wants_attributes(&self) -> bool {
        (**self).wants_attributes()
    }

    fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        (**self).shutdown(deadline)
    }
}

type Attributes<'a> = Box<dyn FnOnce() -> Vec<KeyValue> + 'a>;
type StateChange<'a> = Box<dyn FnOnce(TraceState, Decision) -> TraceState + 'a>;

/// The intent of a sampler for one span: a threshold, and what the span gets if it is sampled.
///
/// spec: trace/sdk.md#samplingintent, in development
#[non_exhaustive]
pub struct SamplingIntent<'a> {
    /// The threshold. `None` drops the span.
    pub threshold: Option<Threshold>,
    /// True if the threshold says how many traces a sampled one stands for, so that it is written into the trace state.
    pub is_reliable: bool,
    pub(super) attributes: Option<Attributes<'a>>,
    pub(super) trace_state: Option<StateChange<'a>>,
}

impl<'a> SamplingIntent<'a> {
    /// The intent to drop the span.
    pub const DROP: SamplingIntent<'static> =
        SamplingIntent { threshold: None, is_reliable: false, attributes: None, trace_state: None };

    /// Creates the intent to sample with the probability of `threshold`.
    pub const fn reliable(threshold: Threshold) -> Self {
        SamplingIntent { threshold: Some(threshold), is_reliable: true, attributes: None, trace_state: None }
    }

    /// Creates the intent to sample with the probability of `threshold`, where it is unknown how many traces a sampled one stands for,
    /// for example because a caller did not say so. The decision does not agree with others about the same trace.
    pub const fn unreliable(threshold: Threshold) -> Self {
        SamplingIntent { threshold: Some(threshold), is_reliable: false, attributes: None, trace_state: None }
    }

    /// Adds attributes to the span, after those that were added before. `attributes` is called only if the span is sampled.
    pub fn with_attributes(mut self, attributes: impl FnOnce() -> Vec<KeyValue> + 'a) -> Self {
        self.attributes = Some(match self.attributes.take() {
            None => Box::new(attributes),
            Some(earlier) => Box::new(|| [earlier(), attributes()].concat()),
        });
        self
    }

    /// Changes the trace state, after the changes that were added before. `change` gets the parent's trace state and the decision, and must
    /// leave the entry `ot` as it is.
    pub fn with_trace_state(mut self, change: impl FnOnce(TraceState, Decision) -> TraceState + 'a) -> Self {
        self.trace_state = Some(match self.trace_state.take() {
            None => Box::new(change),
            Some(earlier) => Box::new(|state, decision| change(earlier(state, decision), decision)),
        });
        self
    }
}

impl fmt::Debug for SamplingIntent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SamplingIntent")
            .field("threshold", &self.threshold)
            .field("is_reliable", &self.is_reliable)
            .finish_non_exhaustive()
    }
}
