//! A sampler that selects another one by what is known about the span when it starts.

use std::borrow::Cow;

use opentelemetry::trace::TraceContextExt;

use super::rule::{Facts, ParentKind};
use super::{ComposableSampler, Rule, SamplingIntent};
use crate::error::{ExportError, catch};
use crate::sampling::SamplingRequest;
use crate::time::Deadline;

/// Uses the sampler of the first [`Rule`] that selects the span. Drops spans that no rule selects.
///
/// The SDK skips the rules for a child of a local parent, and decides as the parent, if that follows from the rules: give rules that are
/// meant for the beginning of a trace the condition [`ParentKind::None`], and let a last rule without conditions follow the parent
/// with a [`ParentThreshold`](super::ParentThreshold). Or make the rules the root of a `ParentThreshold`.
///
/// spec: trace/sdk.md#composablerulebased, in development
#[derive(Debug, Default)]
pub struct RuleBased {
    rules: Vec<Rule>,
}

impl RuleBased {
    /// Creates a sampler without rules, which drops every span.
    pub fn new() -> Self {
        RuleBased::default()
    }

    /// Adds a rule after the others.
    pub fn with_rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Returns true if every span with this kind of parent is decided by rules whose samplers have a property. Spans that no rule selects
    /// are dropped; `is_kept` is true if that does not have the property.
    fn all_below(&self, parent: ParentKind, is_kept: bool, has: impl Fn(&dyn ComposableSampler) -> bool) -> bool {
        for rule in self.rules.iter().filter(|rule| rule.may_select_below(parent)) {
            if !has(&**rule.sampler) {
                return false;
            }
            if rule.selects_all_below(parent) {
                return true;
            }
        }
        !is_kept
    }
}

impl ComposableSampler for RuleBased {
    fn intent<'a>(&'a self, request: &'a SamplingRequest<'_>) -> SamplingIntent<'a> {
        let facts = Facts::new(request, request.parent.span().span_context());
        let selected = self.rules.iter().find(|rule| rule.selects(facts));
        selected.map_or(SamplingIntent::DROP, |rule| rule.sampler.intent(request))
    }

    fn description(&self) -> Cow<'static, str> {
        let rules: Vec<_> = self.rules.iter().map(Rule::description).collect();
        Cow::Owned(format!("ComposableRuleBasedSampler{{{}}}", rules.join(",")))
    }

    fn drops_below_unsampled_parents(&self) -> bool {
        let drops = |sampler: &dyn ComposableSampler| sampler.drops_below_unsampled_parents();
        [ParentKind::Local, ParentKind::Remote].into_iter().all(|parent| self.all_below(parent, false, drops))
    }

    fn samples_below_sampled_parents(&self) -> bool {
        self.all_below(ParentKind::Local, true, |sampler| sampler.samples_below_sampled_parents())
    }

    fn wants_attributes(&self) -> bool {
        self.rules.iter().any(|rule| rule.looks_at_attributes() || rule.sampler.wants_attributes())
    }

    /// Shuts down the sampler of every rule, even if one fails, and returns the first error.
    fn shutdown(&self, deadline: Deadline) -> Result<(), ExportError> {
        let shut_down = |rule: &Rule| {
            catch(|| rule.sampler.shutdown(deadline))
                .unwrap_or_else(|_| Err(ExportError::other("the sampler panicked when it was shut down")))
        };
        self.rules.iter().map(shut_down).fold(Ok(()), Result::and)
    }
}
