//! The sampler that turns the intent of a composable sampler into a decision.

use std::borrow::Cow;

use opentelemetry::trace::TraceContextExt;

use super::{ComposableSampler, SamplingIntent};
use crate::error::{Contained, ExportError};
use crate::id;
use crate::sampling::{Decision, Randomness, Sampler, SamplingRequest, SamplingResult, ot_entry};
use crate::time::Deadline;

/// Decides with the threshold of a [`ComposableSampler`], and writes it into the trace state (`ot=th:…`).
///
/// ```
/// use telemark_sdk::sampling::{AlwaysOff, Composite, ParentThreshold, Probability, Rule, RuleBased};
///
/// let rules = RuleBased::new()
///     .with_rule(Rule::new(AlwaysOff).with_span_names(["GET /health*"]))
///     .with_rule(Rule::new(Probability::new(0.1)));
/// let sampler = Composite::new(ParentThreshold::new(rules));
/// ```
///
/// spec: trace/sdk.md#compositesampler, in development
#[derive(Debug)]
pub struct Composite(Contained<Box<dyn ComposableSampler>>);

impl Composite {
    /// Creates a sampler that applies the thresholds of `sampler`.
    pub fn new(sampler: impl ComposableSampler) -> Self {
        Composite(Contained::new(Box::new(sampler)))
    }
}

impl Sampler for Composite {
    fn sample(&self, request: &SamplingRequest<'_>) -> SamplingResult {
        let span = request.parent.span();
        let state = span.span_context().trace_state();
        let SamplingIntent { threshold, is_reliable, attributes, trace_state: change } = self.0.intent(request);
        let is_kept = threshold.is_some_and(|threshold| {
            threshold.keeps(match is_reliable {
                true => Randomness::for_trace(state, request.trace_id),
                // The trace's own value has already been used for a decision that is unknown here.
                false => Randomness::fresh(id::random()),
            })
        });
        let decision = if is_kept { Decision::RecordAndSample } else { Decision::Drop };
        let written = threshold.filter(|_| is_kept && is_reliable);
        let trace_state = match change {
            None => ot_entry::if_changed(ot_entry::with_threshold(state, written)),
            Some(change) => Some(ot_entry::with_threshold(&change(state.clone(), decision), written).into_owned()),
        };
        let attributes = attributes.filter(|_| is_kept).map(|attributes| attributes()).unwrap_or_default();
        SamplingResult { decision, attributes, trace_state }
    }

    fn description(&self) -> Cow<'static, str> {
        Cow::Owned(format!("CompositeSampler{{{}}}", self.0.description()))
    }

    fn drops_below_unsampled_parents(&self) -> bool {
        self.0.drops_below_unsampled_parents()
    }

    fn samples_below_sampled_parents(&self) -> bool {
        self.0.samples_below_sampled_parents()
    }

    fn wants_attributes(&self) -> bool {
        self.0.wants_attributes()
    }

    fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.0.shutdown(deadline)
    }
}
