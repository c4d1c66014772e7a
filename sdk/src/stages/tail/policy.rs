//! Policies: which traces are kept.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{Budget, HeldTrace};

/// Keeps traces of one kind. Add policies with [`TailSampling::keep`](super::TailSampling::keep).
///
/// A policy judges a trace as far as it has passed through this process. A local root is a span without a parent in this process.
#[derive(Clone, Debug)]
pub struct Policy {
    pub(super) name: Option<Cow<'static, str>>,
    pub(super) rule: Rule,
}

#[derive(Clone, Debug)]
pub(super) enum Rule {
    Always,
    Errors,
    SlowerThan(Duration),
    Slowest(f64),
    Attribute(Values),
    Baggage(Values),
    RootName(Vec<String>),
    MoreSpansThan(usize),
    HeadSampled,
    Probability(f64),
    When(When),
    All(Vec<Policy>),
    Not(Box<Policy>),
    Within(Box<Policy>, Budget),
}

/// A key, and the patterns of its values; no patterns accept every value.
#[derive(Clone, Debug)]
pub(super) struct Values {
    pub(super) key: String,
    pub(super) patterns: Vec<String>,
}

/// A policy of the program.
#[derive(Clone)]
pub(super) struct When(pub(super) Arc<dyn Fn(&HeldTrace<'_>) -> bool + Send + Sync>);

impl fmt::Debug for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("When")
    }
}

impl Policy {
    fn new(rule: Rule) -> Self {
        Policy { name: None, rule }
    }

    /// Keeps traces in which a span has the status error.
    pub fn errors() -> Self {
        Policy::new(Rule::Errors)
    }

    /// Keeps traces with a local root that takes at least this long.
    pub fn slower_than(duration: Duration) -> Self {
        Policy::new(Rule::SlowerThan(duration))
    }

    /// Keeps traces with a local root that takes longer than this fraction of the local roots with the same name, such as 0.99.
    ///
    /// The durations of each name are counted in an exponential histogram, in which they lose half of their weight every ten minutes. No
    /// trace is slow before 100 durations of its name are known. Up to 256 names are told apart, in at most 640 KB for each such policy,
    /// which count in no limit.
    pub fn slowest(quantile: f64) -> Self {
        Policy::new(Rule::Slowest(quantile))
    }

    /// Keeps traces with a span that has an attribute with this key and one of these values. In a value, `*` stands for any text and
    /// `?` for one character; without values, every value is accepted. Other types are compared as text, and an array matches if one
    /// of its items does.
    ///
    /// A header of a request is an attribute if it is captured, for example `http.request.header.x-debug`.
    pub fn attribute(key: impl Into<String>, values: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Policy::new(Rule::Attribute(Values::new(key, values)))
    }

    /// Keeps traces with a local root in whose context the baggage has this key with one of these values, such as `debug` with `true`.
    /// The values are patterns as in [`Policy::attribute`].
    pub fn baggage(key: impl Into<String>, values: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Policy::new(Rule::Baggage(Values::new(key, values)))
    }

    /// Keeps traces with a local root whose name matches one of these patterns.
    pub fn root_name(patterns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Policy::new(Rule::RootName(patterns.into_iter().map(Into::into).collect()))
    }

    /// Keeps traces with more spans than this in the process.
    pub fn more_spans_than(spans: usize) -> Self {
        Policy::new(Rule::MoreSpansThan(spans))
    }

    /// Keeps traces that the sampler has sampled when they started, in this process or in the one before. Traces that several services
    /// keep for this reason are whole.
    pub fn head_sampled() -> Self {
        Policy::new(Rule::HeadSampled)
    }

    /// Keeps a fraction of all traces, from above 0 to 1. The decision depends on the trace id alone, so all services that keep at
    /// least this fraction keep the same traces.
    pub fn probability(probability: f64) -> Self {
        Policy::new(Rule::Probability(probability))
    }

    /// Keeps this many traces a second, evenly chosen.
    pub fn per_second(traces: f64) -> Self {
        Policy::always().named("per_second").within(&Budget::per_second(traces))
    }

    /// Keeps every trace. Useful [within a budget](Self::within), for the rest.
    pub fn always() -> Self {
        Policy::new(Rule::Always)
    }

    /// Keeps traces for which a function of the program returns true.
    ///
    /// The function is called once for each decision, on an SDK thread. It must depend on the contents of the trace only, or the weights
    /// are wrong. If it panics, the panic is counted and the trace is kept.
    pub fn when(keeps: impl Fn(&HeldTrace<'_>) -> bool + Send + Sync + 'static) -> Self {
        Policy::new(Rule::When(When(Arc::new(keeps))))
    }

    /// Keeps traces that every one of these policies keeps.
    pub fn all(policies: impl IntoIterator<Item = Policy>) -> Self {
        Policy::new(Rule::All(policies.into_iter().collect()))
    }

    /// Keeps traces that both policies keep.
    pub fn and(self, other: Policy) -> Self {
        Policy::all([self, other])
    }

    /// Keeps traces that this policy does not keep.
    #[allow(clippy::should_implement_trait, reason = "the word of the configuration file")]
    pub fn not(self) -> Self {
        Policy::new(Rule::Not(Box::new(self)))
    }

    /// Keeps what this policy keeps, as long as the budget lasts. What it does not keep may be kept by a later policy.
    pub fn within(self, budget: &Budget) -> Self {
        let name = self.name.clone();
        Policy { name, rule: Rule::Within(Box::new(self), budget.clone()) }
    }

    /// Sets the name, which is counted and written on the local root. The default is the kind of the policy, such as `errors`.
    pub fn named(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Returns the name.
    pub(super) fn name(&self) -> Cow<'static, str> {
        if let Some(name) = &self.name {
            return name.clone();
        }
        Cow::Borrowed(match &self.rule {
            Rule::Always => "always",
            Rule::Errors => "errors",
            Rule::SlowerThan(_) => "slower_than",
            Rule::Slowest(_) => "slowest",
            Rule::Attribute(_) => "attribute",
            Rule::Baggage(_) => "baggage",
            Rule::RootName(_) => "root_name",
            Rule::MoreSpansThan(_) => "more_spans_than",
            Rule::HeadSampled => "head_sampled",
            Rule::Probability(_) => "probability",
            Rule::When(_) => "when",
            Rule::All(_) => "all",
            Rule::Not(_) => "not",
            Rule::Within(inner, _) => return inner.name(),
        })
    }
}

impl Values {
    fn new(key: impl Into<String>, values: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Values { key: key.into(), patterns: values.into_iter().map(Into::into).collect() }
    }
}
