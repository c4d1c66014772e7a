//! The unconditional samplers: always on, always off, and always record.

use std::borrow::Cow;

use super::{ComposableSampler, Decision, Sampler, SamplingIntent, SamplingRequest, SamplingResult, Threshold};
use crate::error::ExportError;
use crate::time::Deadline;

/// Samples every span.
///
/// spec: trace/sdk.md#alwayson
#[derive(Clone, Copy, Debug, Default)]
pub struct AlwaysOn;

impl Sampler for AlwaysOn {
    fn sample(&self, _: &SamplingRequest<'_>) -> SamplingResult {
        SamplingResult::new(Decision::RecordAndSample)
    }

    fn description(&self) -> Cow<'static, str> {
        Cow::Borrowed("AlwaysOnSampler")
    }

    fn samples_below_sampled_parents(&self) -> bool {
        true
    }

    fn samples_roots(&self) -> bool {
        true
    }
}

impl ComposableSampler for AlwaysOn {
    fn intent<'a>(&'a self, _: &'a SamplingRequest<'_>) -> SamplingIntent<'a> {
        SamplingIntent::reliable(Threshold::ALWAYS)
    }

    fn description(&self) -> Cow<'static, str> {
        Cow::Borrowed("ComposableAlwaysOnSampler")
    }
}

/// Drops every span.
///
/// spec: trace/sdk.md#alwaysoff
#[derive(Clone, Copy, Debug, Default)]
pub struct AlwaysOff;

impl Sampler for AlwaysOff {
    fn sample(&self, _: &SamplingRequest<'_>) -> SamplingResult {
        SamplingResult::new(Decision::Drop)
    }

    fn description(&self) -> Cow<'static, str> {
        Cow::Borrowed("AlwaysOffSampler")
    }

    fn drops_below_unsampled_parents(&self) -> bool {
        true
    }
}

impl ComposableSampler for AlwaysOff {
    fn intent<'a>(&'a self, _: &'a SamplingRequest<'_>) -> SamplingIntent<'a> {
        SamplingIntent::DROP
    }

    fn description(&self) -> Cow<'static, str> {
        Cow::Borrowed("ComposableAlwaysOffSampler")
    }

    fn drops_below_unsampled_parents(&self) -> bool {
        true
    }
}

/// Records every span for the processors, but exports only the spans that another sampler samples.
///
/// spec: trace/sdk.md#alwaysrecord
#[derive(Debug)]
pub struct AlwaysRecord(Box<dyn Sampler>);

impl AlwaysRecord {
    /// Wraps `sampler`. Spans that it drops are recorded but not exported.
    pub fn new(sampler: impl Sampler) -> Self {
        AlwaysRecord(Box::new(sampler))
    }
}

impl Sampler for AlwaysRecord {
    fn sample(&self, request: &SamplingRequest<'_>) -> SamplingResult {
        let mut result = self.0.sample(request);
        if result.decision == Decision::Drop {
            result.decision = Decision::RecordOnly;
        }
        result
    }

    fn description(&self) -> Cow<'static, str> {
        Cow::Owned(format!("AlwaysRecord{{{}}}", self.0.description()))
    }

    fn samples_below_sampled_parents(&self) -> bool {
        self.0.samples_below_sampled_parents()
    }

    fn samples_roots(&self) -> bool {
        self.0.samples_roots()
    }

    fn wants_attributes(&self) -> bool {
        self.0.wants_attributes()
    }

    fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        self.0.shutdown(deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::trace::{SpanKind, TraceId};
    use opentelemetry::{Context, KeyValue};

    /// Compares the decision, attributes and description of a sampler for a root span with `expected`.
    fn check(sampler: impl Sampler, expected: &str) {
        let parent = Context::new();
        let result = sampler.sample(&SamplingRequest::new(&parent, TraceId::from(1), "span", &SpanKind::Server));
        let attributes: Vec<_> = result.attributes.iter().map(|a| format!(" {}={}", a.key, a.value)).collect();
        let text = format!("{} {:?}{}", sampler.description(), result.decision, attributes.concat());
        assert_eq!(text, expected);
        assert!(result.trace_state.is_none(), "the parent's trace state is kept");
    }

    #[derive(Debug)]
    struct Labelled(Decision);

    impl Sampler for Labelled {
        fn sample(&self, _: &SamplingRequest<'_>) -> SamplingResult {
            SamplingResult::new(self.0).with_attributes(vec![KeyValue::new("rule", 7)])
        }

        fn description(&self) -> Cow<'static, str> {
            Cow::Borrowed("Labelled")
        }
    }

    #[test]
    fn decisions() {
        check(AlwaysOn, "AlwaysOnSampler RecordAndSample");
        check(AlwaysOff, "AlwaysOffSampler Drop");
        check(AlwaysRecord::new(AlwaysOn), "AlwaysRecord{AlwaysOnSampler} RecordAndSample");
        check(AlwaysRecord::new(AlwaysOff), "AlwaysRecord{AlwaysOffSampler} RecordOnly");
        check(AlwaysRecord::new(Labelled(Decision::Drop)), "AlwaysRecord{Labelled} RecordOnly rule=7");
        check(AlwaysRecord::new(Labelled(Decision::RecordOnly)), "AlwaysRecord{Labelled} RecordOnly rule=7");
    }

    #[test]
    fn only_a_sampler_that_always_drops_may_be_left_out_below_unsampled_parents() {
        assert!(Sampler::drops_below_unsampled_parents(&AlwaysOff));
        assert!(!Sampler::drops_below_unsampled_parents(&AlwaysOn));
        assert!(!AlwaysRecord::new(AlwaysOff).drops_below_unsampled_parents());
        let boxed: Box<dyn Sampler> = Box::new(AlwaysOff);
        assert!(boxed.drops_below_unsampled_parents());
    }
}
