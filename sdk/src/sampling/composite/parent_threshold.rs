//! A sampler that follows the parent.

use std::borrow::Cow;

use opentelemetry::trace::TraceContextExt;

use super::{ComposableSampler, SamplingIntent};
use crate::error::{Contained, ExportError};
use crate::sampling::{Randomness, SamplingRequest, Threshold, ot_entry};
use crate::time::Deadline;

/// Follows the parent's decision and threshold, and uses another sampler for root spans, so that a trace is recorded completely or not
/// at all.
///
/// | parent | intent |
/// |---|---|
/// | none | that of the root's sampler |
/// | sampled, with a threshold that its random value reaches | the parent's threshold |
/// | sampled, otherwise | sampled, and it is unknown how many traces this one stands for |
/// | not sampled | dropped |
///
/// A parent that is not sampled although its random value reaches its threshold contradicts itself, and is believed to be not sampled.
///
/// spec: trace/sdk.md#composableparentthreshold, trace/tracestate-probability-sampling.md#general-requirements, in development
#[derive(Debug)]
pub struct ParentThreshold(Contained<Box<dyn ComposableSampler>>);

impl ParentThreshold {
    /// Creates a sampler that uses `root` for spans without a parent.
    pub fn new(root: impl ComposableSampler) -> Self {
        ParentThreshold(Contained::new(Box::new(root)))
    }
}

impl ComposableSampler for ParentThreshold {
    fn intent<'a>(&'a self, request: &'a SamplingRequest<'_>) -> SamplingIntent<'a> {
        let span = request.parent.span();
        let parent = span.span_context();
        if !parent.is_valid() {
            return self.0.intent(request);
        }
        if !parent.is_sampled() {
            return SamplingIntent::DROP;
        }
        let state = parent.trace_state();
        let threshold = ot_entry::threshold(state)
            .filter(|threshold| threshold.keeps(Randomness::for_trace(state, request.trace_id)));
        threshold.map_or(SamplingIntent::unreliable(Threshold::ALWAYS), SamplingIntent::reliable)
    }

    fn description(&self) -> Cow<'static, str> {
        Cow::Owned(format!("ComposableParentThresholdSampler{{{}}}", self.0.description()))
    }

    fn drops_below_unsampled_parents(&self) -> bool {
        true
    }

    /// A local parent is consistent, because this sampler has erased a threshold that a caller's random value did not reach.
    fn samples_below_sampled_parents(&self) -> bool {
        true
    }

    fn wants_attributes(&self) -> bool {
        self.0.wants_attributes()
    }

    fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.0.shutdown(deadline)
    }
}
