//! An adapter for `opentelemetry_sdk` samplers.

use std::borrow::Cow;

use opentelemetry_sdk::trace::{SamplingDecision, ShouldSample};
use telemark_sdk::sampling::{Decision, Sampler, SamplingRequest, SamplingResult};

/// Samples through an `opentelemetry_sdk` sampler.
#[derive(Debug)]
pub struct UpstreamSampler(Box<dyn ShouldSample>);

impl UpstreamSampler {
    /// Adapts `sampler`, which then decides about every span.
    pub fn new(sampler: impl ShouldSample + 'static) -> Self {
        UpstreamSampler(Box::new(sampler))
    }
}

impl Sampler for UpstreamSampler {
    fn sample(&self, request: &SamplingRequest<'_>) -> SamplingResult {
        let result = self.0.should_sample(
            Some(request.parent),
            request.trace_id,
            request.name,
            request.kind,
            request.attributes,
            request.links,
        );
        let decision = match result.decision {
            SamplingDecision::Drop => Decision::Drop,
            SamplingDecision::RecordOnly => Decision::RecordOnly,
            SamplingDecision::RecordAndSample => Decision::RecordAndSample,
        };
        SamplingResult::new(decision).with_attributes(result.attributes).with_trace_state(result.trace_state)
    }

    /// Returns the debug output, because upstream samplers have no description.
    fn description(&self) -> Cow<'static, str> {
        Cow::Owned(format!("{:?}", self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::trace::{Link, SpanContext, SpanId, SpanKind, TraceContextExt, TraceFlags, TraceId, TraceState};
    use opentelemetry::{Context, KeyValue};
    use opentelemetry_sdk::trace::Sampler as Upstream;

    fn parents() -> Vec<Context> {
        let state = TraceState::from_key_value([("vendor", "x")]).unwrap();
        let mut parents = vec![Context::new()];
        for is_remote in [true, false] {
            for flags in [TraceFlags::SAMPLED, TraceFlags::default()] {
                let span = SpanContext::new(TraceId::from(1), SpanId::from(2), flags, is_remote, state.clone());
                parents.push(Context::new().with_remote_span_context(span));
            }
        }
        parents
    }

    #[test]
    fn every_upstream_sampler_decides_as_it_does_upstream() {
        let samplers = [
            Upstream::AlwaysOn,
            Upstream::AlwaysOff,
            Upstream::TraceIdRatioBased(0.5),
            Upstream::ParentBased(Box::new(Upstream::AlwaysOn)),
            Upstream::ParentBased(Box::new(Upstream::AlwaysOff)),
            Upstream::ParentBased(Box::new(Upstream::TraceIdRatioBased(0.25))),
        ];
        let mut seen = Vec::new();
        for sampler in samplers {
            let adapted = UpstreamSampler::new(sampler.clone());
            assert_eq!(adapted.description(), format!("{sampler:?}"));
            for parent in parents() {
                for id in (0..64u128).map(|n| TraceId::from(n << 58 | 1)) {
                    let ours = adapted.sample(&SamplingRequest::new(&parent, id, "span", &SpanKind::Server));
                    let theirs = sampler.should_sample(Some(&parent), id, "span", &SpanKind::Server, &[], &[]);
                    assert_eq!(format!("{:?}", ours.decision), format!("{:?}", theirs.decision), "{sampler:?}");
                    assert_eq!(ours.trace_state, Some(theirs.trace_state));
                    seen.push(ours.decision);
                }
            }
        }
        assert!(seen.contains(&Decision::Drop) && seen.contains(&Decision::RecordAndSample));
    }

    /// A sampler that returns its whole request as an attribute.
    #[derive(Clone, Debug)]
    struct Echo;

    impl ShouldSample for Echo {
        fn should_sample(
            &self,
            parent: Option<&Context>,
            trace_id: TraceId,
            name: &str,
            kind: &SpanKind,
            attributes: &[KeyValue],
            links: &[Link],
        ) -> opentelemetry_sdk::trace::SamplingResult {
            let parent = parent.unwrap().span().span_context().span_id();
            let text = format!("{parent} {trace_id} {name} {kind:?} {attributes:?} {}", links.len());
            opentelemetry_sdk::trace::SamplingResult {
                decision: SamplingDecision::RecordOnly,
                attributes: vec![KeyValue::new("echo", text)],
                trace_state: TraceState::from_key_value([("echo", "1")]).unwrap(),
            }
        }
    }

    #[test]
    fn a_custom_sampler_sees_the_whole_request_and_its_whole_result_counts() {
        let (parent, attributes) = (parents().remove(1), [KeyValue::new("a", 1)]);
        let links = [Link::with_context(SpanContext::NONE)];
        let request = SamplingRequest::new(&parent, TraceId::from(1), "span", &SpanKind::Client)
            .with_attributes(&attributes)
            .with_links(&links);
        let result = UpstreamSampler::new(Echo).sample(&request);
        assert_eq!(result.decision, Decision::RecordOnly);
        assert_eq!(result.trace_state.unwrap().header(), "echo=1");
        let expected = format!("0000000000000002 00000000000000000000000000000001 span Client {attributes:?} 1");
        assert_eq!(result.attributes[0].value.as_str(), expected);
    }
}
