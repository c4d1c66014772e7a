//! A sampler that follows the decision made for the parent.

use std::borrow::Cow;

use opentelemetry::trace::TraceContextExt;

use super::sampler::shut_down;
use super::{AlwaysOff, AlwaysOn, Sampler, SamplingRequest, SamplingResult};
use crate::error::{Contained, ExportError};
use crate::time::Deadline;

/// Follows the decision made for the parent, and uses another sampler for root spans, so that a trace is recorded completely
/// or not at all.
///
/// Each of the five cases can use a different sampler:
///
/// ```
/// use telemark_sdk::sampling::{AlwaysOff, ParentBased, TraceIdRatio};
///
/// let sampler = ParentBased::new(TraceIdRatio::new(0.1))
///     // Callers cannot force recording.
///     .with_remote_parent_sampled(AlwaysOff);
/// ```
///
/// spec: trace/sdk.md#parentbased
#[derive(Debug)]
pub struct ParentBased {
    root: Branch,
    remote_parent_sampled: Branch,
    remote_parent_not_sampled: Branch,
    local_parent_sampled: Branch,
    local_parent_not_sampled: Branch,
}

type Branch = Contained<Box<dyn Sampler>>;

fn branch(sampler: impl Sampler) -> Branch {
    Contained::new(Box::new(sampler))
}

impl ParentBased {
    /// Creates a sampler that uses `root` for spans without a parent. Other spans follow their parent.
    pub fn new(root: impl Sampler) -> Self {
        ParentBased {
            root: branch(root),
            remote_parent_sampled: branch(AlwaysOn),
            remote_parent_not_sampled: branch(AlwaysOff),
            local_parent_sampled: branch(AlwaysOn),
            local_parent_not_sampled: branch(AlwaysOff),
        }
    }

    /// Sets the sampler for spans whose parent is remote and sampled, instead of [`AlwaysOn`].
    pub fn with_remote_parent_sampled(mut self, sampler: impl Sampler) -> Self {
        self.remote_parent_sampled = branch(sampler);
        self
    }

    /// Sets the sampler for spans whose parent is remote and not sampled, instead of [`AlwaysOff`].
    pub fn with_remote_parent_not_sampled(mut self, sampler: impl Sampler) -> Self {
        self.remote_parent_not_sampled = branch(sampler);
        self
    }

    /// Sets the sampler for spans whose parent is local and sampled, instead of [`AlwaysOn`].
    pub fn with_local_parent_sampled(mut self, sampler: impl Sampler) -> Self {
        self.local_parent_sampled = branch(sampler);
        self
    }

    /// Sets the sampler for spans whose parent is local and not sampled, instead of [`AlwaysOff`].
    pub fn with_local_parent_not_sampled(mut self, sampler: impl Sampler) -> Self {
        self.local_parent_not_sampled = branch(sampler);
        self
    }

    fn branches(&self) -> [&Branch; 5] {
        [
            &self.root,
            &self.remote_parent_sampled,
            &self.remote_parent_not_sampled,
            &self.local_parent_sampled,
            &self.local_parent_not_sampled,
        ]
    }
}

impl Default for ParentBased {
    /// Returns the specification's default sampler, which samples every span unless its parent is not sampled.
    fn default() -> Self {
        ParentBased::new(AlwaysOn)
    }
}

impl Sampler for ParentBased {
    fn sample(&self, request: &SamplingRequest<'_>) -> SamplingResult {
        // Takes the parent by reference, because copying its span context may have to allocate for the trace state.
        let span = request.parent.span();
        let parent = span.span_context();
        let sampler = match (parent.is_valid(), parent.is_remote(), parent.is_sampled()) {
            (false, _, _) => &self.root,
            (true, true, true) => &self.remote_parent_sampled,
            (true, true, false) => &self.remote_parent_not_sampled,
            (true, false, true) => &self.local_parent_sampled,
            (true, false, false) => &self.local_parent_not_sampled,
        };
        sampler.sample(request)
    }

    fn description(&self) -> Cow<'static, str> {
        Cow::Owned(format!(
            "ParentBased{{root:{},remoteParentSampled:{},remoteParentNotSampled:{},localParentSampled:{},\
             localParentNotSampled:{}}}",
            self.root.description(),
            self.remote_parent_sampled.description(),
            self.remote_parent_not_sampled.description(),
            self.local_parent_sampled.description(),
            self.local_parent_not_sampled.description(),
        ))
    }

    /// Shuts down every branch, even if one fails, and returns the first error.
    fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        let mut result = Ok(());
        for branch in self.branches() {
            result = result.and(shut_down(&***branch, deadline));
        }
        result
    }

    fn drops_below_unsampled_parents(&self) -> bool {
        // Only these branches apply to such a parent.
        let branches = [&self.local_parent_not_sampled, &self.remote_parent_not_sampled];
        branches.iter().all(|branch| branch.drops_below_unsampled_parents())
    }

    fn samples_below_sampled_parents(&self) -> bool {
        self.local_parent_sampled.samples_below_sampled_parents()
    }

    fn samples_roots(&self) -> bool {
        self.root.samples_roots()
    }

    fn wants_attributes(&self) -> bool {
        self.branches().iter().any(|branch| branch.wants_attributes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampling::{AlwaysRecord, Decision, TraceIdRatio};
    use opentelemetry::Context;
    use opentelemetry::trace::{SpanContext, SpanId, SpanKind, TraceFlags, TraceId, TraceState};

    fn context(parent: &str) -> Context {
        let (is_remote, flags) = match parent {
            "none" => return Context::new(),
            "invalid" => return Context::new().with_remote_span_context(SpanContext::NONE),
            "remote sampled" => (true, TraceFlags::SAMPLED),
            "remote" => (true, TraceFlags::default()),
            "local sampled" => (false, TraceFlags::SAMPLED),
            "local" => (false, TraceFlags::default()),
            other => panic!("{other}"),
        };
        let span = SpanContext::new(TraceId::from(1), SpanId::from(2), flags, is_remote, TraceState::NONE);
        Context::new().with_remote_span_context(span)
    }

    /// Compares the kinds of parents whose children are sampled with `expected`, and with what the sampler says about roots.
    fn check(sampler: &impl Sampler, expected: &str) {
        let parents = ["none", "invalid", "remote sampled", "remote", "local sampled", "local"];
        let sampled = parents.into_iter().filter(|parent| {
            let context = context(parent);
            let request = SamplingRequest::new(&context, TraceId::from(1), "span", &SpanKind::Internal);
            sampler.sample(&request).decision == Decision::RecordAndSample
        });
        assert_eq!(sampled.collect::<Vec<_>>().join(", "), expected, "{sampler:?}");
        assert_eq!(sampler.samples_roots(), expected.contains("none"), "{sampler:?}");
    }

    #[test]
    fn five_branches() {
        check(&ParentBased::default(), "none, invalid, remote sampled, local sampled");
        check(&ParentBased::new(AlwaysRecord::new(AlwaysOn)), "none, invalid, remote sampled, local sampled");
        check(&ParentBased::new(AlwaysOff), "remote sampled, local sampled");
        let off = || ParentBased::new(AlwaysOff);
        check(&off().with_remote_parent_sampled(AlwaysOff), "local sampled");
        check(&off().with_local_parent_sampled(AlwaysOff), "remote sampled");
        check(&off().with_remote_parent_not_sampled(AlwaysOn), "remote sampled, remote, local sampled");
        check(&off().with_local_parent_not_sampled(AlwaysOn), "remote sampled, local sampled, local");
    }

    #[test]
    fn the_description_names_every_branch() {
        assert_eq!(
            ParentBased::new(TraceIdRatio::new(0.0001)).description(),
            "ParentBased{root:TraceIdRatioBased{0.000100},remoteParentSampled:AlwaysOnSampler,\
             remoteParentNotSampled:AlwaysOffSampler,localParentSampled:AlwaysOnSampler,\
             localParentNotSampled:AlwaysOffSampler}"
        );
    }

    #[test]
    fn whether_it_may_be_left_out_depends_on_the_branches_of_unsampled_parents_alone() {
        let check = |sampler: ParentBased, expected| {
            assert_eq!(sampler.drops_below_unsampled_parents(), expected, "{sampler:?}");
        };
        check(ParentBased::default(), true);
        check(ParentBased::default().with_remote_parent_not_sampled(AlwaysOn), false);
        check(ParentBased::default().with_local_parent_not_sampled(TraceIdRatio::new(0.0)), true);
        check(ParentBased::default().with_local_parent_not_sampled(ParentBased::default()), true);
        check(ParentBased::new(AlwaysOff).with_local_parent_not_sampled(TraceIdRatio::new(0.5)), false);
        check(ParentBased::default().with_local_parent_not_sampled(AlwaysRecord::new(AlwaysOff)), false);
    }
}
