//! A sampler that keeps a fraction of all traces and writes down which fraction.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::trace::{SpanContext, TraceContextExt};

use super::composite::{ComposableSampler, SamplingIntent};
use super::{Decision, Randomness, Sampler, SamplingRequest, SamplingResult, Threshold, ot_entry};

/// The W3C level 2 flag that marks a trace id as random.
const RANDOM_FLAG: u8 = 0x02;

/// Samples a fraction of all traces, like [`TraceIdRatio`](super::TraceIdRatio), and writes the threshold into the trace state
/// (`ot=th:…`), so that a receiver knows how many traces each one stands for.
///
/// Decides about spans with a parent as well, without regard to the parent, so it is usually the root of a
/// [`ParentBased`](super::ParentBased) or, to follow the thresholds of callers, of a
/// [`ParentThreshold`](super::ParentThreshold):
///
/// ```
/// use telemark_sdk::sampling::{ParentBased, Probability};
///
/// let sampler = ParentBased::new(Probability::new(0.25));
/// ```
///
/// As a [`ComposableSampler`], it is the specification's `ComposableProbability`.
///
/// spec: trace/sdk.md#probabilitysampler, in development
#[derive(Debug)]
pub struct Probability {
    ratio: f64,
    /// `None` samples nothing.
    threshold: Option<Threshold>,
    has_warned: AtomicBool,
}

impl Probability {
    /// Creates a sampler that samples `ratio` of all traces, such as 0.25 for a quarter. The ratio is rounded to four hexadecimal digits,
    /// as the specification recommends, and one below 2⁻⁴⁸ counts as 2⁻⁴⁸. Ratios below 2⁻⁵⁶ count as 0; ratios above 1 and NaN count as 1.
    pub fn new(ratio: f64) -> Self {
        let ratio = if ratio.is_nan() { 1.0 } else { ratio.clamp(0.0, 1.0) };
        Probability { ratio, threshold: Threshold::for_probability(ratio), has_warned: AtomicBool::new(false) }
    }

    /// spec: trace/sdk.md#probabilitysampler — the trace id of a caller may not be random
    #[cold]
    fn warn_about_caller(&self) {
        if !self.has_warned.swap(true, Ordering::Relaxed) {
            crate::__warn!(
                "sampling.not_random",
                "{} decides about a trace of a caller that does not say whether its trace ids are random (W3C Trace Context Level 2), so \
                 the fraction may be another one",
                Sampler::description(self)
            );
        }
    }

    /// Warns once if the trace id may not be random.
    fn look_at(&self, parent: &SpanContext) {
        let is_random = parent.trace_flags().to_u8() & RANDOM_FLAG != 0;
        if parent.is_valid() && !is_random && !self.has_warned.load(Ordering::Relaxed) {
            let has_value = ot_entry::randomness(parent.trace_state()).is_some();
            if !has_value {
                self.warn_about_caller();
            }
        }
    }
}

impl Sampler for Probability {
    fn sample(&self, request: &SamplingRequest<'_>) -> SamplingResult {
        let Some(threshold) = self.threshold else { return SamplingResult::new(Decision::Drop) };
        let span = request.parent.span();
        let parent = span.span_context();
        self.look_at(parent);
        let state = parent.trace_state();
        let is_kept = threshold.keeps(Randomness::for_trace(state, request.trace_id));
        let decision = if is_kept { Decision::RecordAndSample } else { Decision::Drop };
        let changed = ot_entry::with_threshold(state, is_kept.then_some(threshold));
        SamplingResult { trace_state: ot_entry::if_changed(changed), ..SamplingResult::new(decision) }
    }

    fn description(&self) -> Cow<'static, str> {
        Cow::Owned(format!("ProbabilitySampler{{{:.6}}}", self.ratio))
    }

    fn drops_below_unsampled_parents(&self) -> bool {
        self.threshold.is_none()
    }
}

impl ComposableSampler for Probability {
    fn intent<'a>(&'a self, request: &'a SamplingRequest<'_>) -> SamplingIntent<'a> {
        let Some(threshold) = self.threshold else { return SamplingIntent::DROP };
        self.look_at(request.parent.span().span_context());
        SamplingIntent::reliable(threshold)
    }

    fn description(&self) -> Cow<'static, str> {
        Cow::Owned(format!("ComposableProbabilitySampler{{{:.6}}}", self.ratio))
    }

    fn drops_below_unsampled_parents(&self) -> bool {
        self.threshold.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::Context;
    use opentelemetry::trace::{SpanId, SpanKind, TraceFlags, TraceId, TraceState};

    /// Compares the decision and the trace state of a span with a sampled remote parent, or of a root if `state` is `-`, with
    /// `expected`.
    fn check(ratio: f64, end_of_id: u128, state: &str, expected: &str) {
        let id = TraceId::from(0xabcd << 112 | end_of_id);
        let parent = match state {
            "-" => Context::new(),
            state => {
                let flags = TraceFlags::new(TraceFlags::SAMPLED.to_u8() | RANDOM_FLAG);
                let state: TraceState = state.parse().unwrap();
                let span = SpanContext::new(id, SpanId::from(2), flags, true, state);
                Context::new().with_remote_span_context(span)
            }
        };
        let request = SamplingRequest::new(&parent, id, "span", &SpanKind::Internal);
        let of_parent = parent.span().span_context().trace_state().clone();
        let result = Probability::new(ratio).sample(&request);
        let state = result.trace_state.unwrap_or(of_parent).header();
        assert_eq!(format!("{:?} {state}", result.decision), expected, "{ratio} {end_of_id:x} {state}");
        // As a part of a composite sampler, the decision is the same.
        let composed = super::super::Composite::new(Probability::new(ratio)).sample(&request);
        assert_eq!(composed.decision, result.decision);
    }

    #[test]
    fn vectors_of_the_specification() {
        check(0.25, 0xc0_0000_0000_0000, "-", "RecordAndSample ot=th:c");
        check(0.25, 0xbf_ffff_ffff_ffff, "-", "Drop ");
        check(0.25, 0, "ot=rv:d0000000000000", "RecordAndSample ot=th:c;rv:d0000000000000");
        check(0.25, 0xff_ffff_ffff_ffff, "ot=rv:10000000000000", "Drop ot=rv:10000000000000");
        check(0.25, 0xff_ffff_ffff_ffff, "ot=th:8", "RecordAndSample ot=th:c");
        check(0.25, 0, "a=b,ot=th:8;x:y", "Drop ot=x:y,a=b");
        check(1.0, 0, "-", "RecordAndSample ot=th:0");
        check(0.0, 0xff_ffff_ffff_ffff, "-", "Drop ");
        check(0.0, 0xff_ffff_ffff_ffff, "a=b", "Drop a=b");
    }

    #[test]
    fn ratios_outside_of_the_range() {
        for (ratio, expected) in
            [(2.0, "1.000000"), (-1.0, "0.000000"), (f64::NAN, "1.000000"), (0.0001, "0.000100"), (1e-17, "0.000000")]
        {
            let sampler = Probability::new(ratio);
            assert_eq!(Sampler::description(&sampler), format!("ProbabilitySampler{{{expected}}}"));
            assert_eq!(Sampler::drops_below_unsampled_parents(&sampler), expected == "0.000000");
            assert!(!Sampler::samples_below_sampled_parents(&sampler), "the parent's threshold is replaced");
        }
    }

    #[test]
    fn a_caller_that_does_not_say_that_its_ids_are_random_is_reported() {
        let check = |flags: u8, state: &str, expected: bool| {
            let span = SpanContext::new(
                TraceId::from(1),
                SpanId::from(2),
                TraceFlags::new(flags),
                true,
                state.parse().unwrap(),
            );
            let sampler = Probability::new(0.5);
            let parent = Context::new().with_remote_span_context(span);
            sampler.sample(&SamplingRequest::new(&parent, TraceId::from(1), "span", &SpanKind::Internal));
            assert_eq!(sampler.has_warned.load(Ordering::Relaxed), expected, "{flags} {state}");
        };
        check(1, "", true);
        check(3, "", false);
        check(1, "ot=rv:d0000000000000", false);
        let sampler = Probability::new(0.5);
        sampler.sample(&SamplingRequest::new(&Context::new(), TraceId::from(1), "span", &SpanKind::Internal));
        assert!(!sampler.has_warned.load(Ordering::Relaxed), "a root has no caller");
    }
}
