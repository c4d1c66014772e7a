//! The policies at work: what is noted about each span as it arrives, and the decision about a trace.

use opentelemetry::baggage::BaggageExt;
use opentelemetry::{Array, Context, Value};

use super::HeldTrace;
use super::budget::Spending;
use super::chance::Chance;
use super::held_trace::Arrival;
use super::latency::Latencies;
use super::policy::{Policy, Rule, Values, When};
use crate::diag::Decisions;
use crate::error::{ConfigError, catch};
use crate::sampling::{Randomness, Threshold};
use crate::text::matches_pattern;
use crate::time::Timestamp;
use crate::trace::Asks;

/// The bit of traces with an error.
pub(super) const ERROR: u64 = 1;

/// The policies of one sampler.
pub(super) struct Rules {
    conditions: Vec<(u64, Condition)>,
    /// True if a condition looks at spans that are not local roots.
    looks_at_all: bool,
    policies: Vec<Expression>,
    spendings: Vec<Spending>,
    baggage: Vec<Values>,
}

/// A condition on a span, of which a trace notes that a span has met it.
enum Condition {
    SlowerThan(std::time::Duration),
    Slowest(Latencies),
    Attribute(Values),
    RootName(Vec<String>),
}

/// A policy, as far as it depends on more than one span.
enum Expression {
    Is(Chance),
    Met(u64),
    Asked(u16),
    MoreSpansThan(usize),
    HeadSampled,
    When(When),
    All(Vec<Expression>),
    Not(Box<Expression>),
    /// The policy with its budget and its place therein.
    Within(Box<Expression>, usize, usize),
}

/// The decision of the sampler about a trace when it started, as far as the trace shows it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Head {
    Sampled(Option<Threshold>),
    Unsampled,
}

/// What is known about a trace that is to be decided.
pub(super) struct Facts<'a> {
    pub(super) met: u64,
    pub(super) asked: u16,
    pub(super) head: Head,
    pub(super) randomness: Randomness,
    pub(super) trace: &'a HeldTrace<'a>,
    pub(super) now: Timestamp,
}

/// The result for a trace.
#[derive(Debug, PartialEq)]
pub(super) struct Judged {
    pub(super) chance: Chance,
    /// The first policy that keeps the trace.
    pub(super) policy: Option<usize>,
}

const SETTING: &str = "tail_sampling";

impl Rules {
    /// Prepares policies.
    ///
    /// # Errors
    /// Returns an error if a policy has an argument that it does not accept, or if there are more conditions than a trace can note.
    pub(super) fn new(policies: &[Policy], now: Timestamp) -> Result<Self, ConfigError> {
        let mut rules = Rules {
            conditions: Vec::new(),
            looks_at_all: false,
            policies: Vec::new(),
            spendings: Vec::new(),
            baggage: Vec::new(),
        };
        for policy in policies {
            let expression = rules.expression(policy, now)?;
            rules.policies.push(expression);
        }
        Ok(rules)
    }

    fn expression(&mut self, policy: &Policy, now: Timestamp) -> Result<Expression, ConfigError> {
        let invalid = |argument: &str, value: f64, accepted: &'static str| {
            Err(ConfigError::invalid(format!("{SETTING}.{argument}"), value.to_string(), accepted))
        };
        Ok(match &policy.rule {
            Rule::Always => Expression::Is(Chance::ALWAYS),
            Rule::Errors => Expression::Met(ERROR),
            Rule::SlowerThan(duration) => self.condition(Condition::SlowerThan(*duration))?,
            Rule::Slowest(quantile) if *quantile > 0.0 && *quantile < 1.0 => {
                self.condition(Condition::Slowest(Latencies::new(*quantile, now)))?
            }
            Rule::Slowest(quantile) => return invalid("slowest", *quantile, "a number between 0 and 1, such as 0.99"),
            Rule::Attribute(values) => self.condition(Condition::Attribute(values.clone()))?,
            Rule::RootName(patterns) => self.condition(Condition::RootName(patterns.clone()))?,
            Rule::Baggage(values) => {
                let Some(bit) = 1_u16.checked_shl(self.baggage.len() as u32) else {
                    return Err(ConfigError::state(SETTING, "has more than 16 policies that look at baggage"));
                };
                self.baggage.push(values.clone());
                Expression::Asked(bit)
            }
            Rule::MoreSpansThan(spans) => Expression::MoreSpansThan(*spans),
            Rule::HeadSampled => Expression::HeadSampled,
            Rule::Probability(probability) => match Threshold::for_probability(*probability) {
                Some(threshold) => Expression::Is(Chance::Above(threshold)),
                None => return invalid("probability", *probability, "a number above 0 and up to 1"),
            },
            Rule::When(when) => Expression::When(when.clone()),
            Rule::All(parts) => {
                let parts: Result<_, _> = parts.iter().map(|part| self.expression(part, now)).collect();
                Expression::All(parts?)
            }
            Rule::Not(inner) => Expression::Not(Box::new(self.expression(inner, now)?)),
            Rule::Within(inner, budget) => {
                let traces = budget.traces();
                if !(traces.is_finite() && traces > 0.0) {
                    return invalid("traces_per_second", traces, "a number above 0");
                }
                let inner = Box::new(self.expression(inner, now)?);
                let known = self.spendings.iter().position(|spending| spending.is_for(budget));
                let index = known.unwrap_or_else(|| {
                    self.spendings.push(Spending::new(budget.clone(), now));
                    self.spendings.len() - 1
                });
                let member = self.spendings.get_mut(index).map_or(0, Spending::add_member);
                Expression::Within(inner, index, member)
            }
        })
    }

    fn condition(&mut self, condition: Condition) -> Result<Expression, ConfigError> {
        // The first bit is that of errors.
        let Some(bit) = 1_u64.checked_shl(self.conditions.len() as u32 + 1) else {
            return Err(ConfigError::state(SETTING, "has more than 63 policies that look at spans"));
        };
        self.looks_at_all |= matches!(condition, Condition::Attribute(_));
        self.conditions.push((bit, condition));
        Ok(Expression::Met(bit))
    }

    /// Returns the function that looks at the contexts in which local roots start, if there is a policy that needs it.
    pub(super) fn asks(&self) -> Option<Asks> {
        if self.baggage.is_empty() {
            return None;
        }
        let questions = self.baggage.clone();
        Some(Box::new(move |context| {
            let yes = questions.iter().enumerate().filter(|(_, values)| values.are_in_baggage(context));
            yes.fold(0, |bits, (index, _)| bits | 1 << index)
        }))
    }

    /// Returns true if a span that is not a local root meets none of the conditions, whatever they are.
    #[inline]
    pub(super) fn ignores(&self, span: &impl Arrival) -> bool {
        !self.looks_at_all && !span.has_failed()
    }

    /// Returns the bits of the conditions that a span meets.
    #[inline]
    pub(super) fn met_by(&mut self, span: &impl Arrival) -> u64 {
        let mut met = if span.has_failed() { ERROR } else { 0 };
        if !self.conditions.is_empty() {
            let is_root = span.is_local_root();
            for (bit, condition) in &mut self.conditions {
                let is_met = match condition {
                    Condition::Attribute(values) => values.are_in(span),
                    _ if !is_root => false,
                    Condition::SlowerThan(duration) => span.duration() >= *duration,
                    Condition::Slowest(latencies) => latencies.is_slow(span.name(), span.duration()),
                    Condition::RootName(patterns) => matches_one(patterns, span.name()),
                };
                met |= if is_met { *bit } else { 0 };
            }
        }
        met
    }

    /// Does what is due once in a while.
    pub(super) fn tick(&mut self, now: Timestamp) {
        self.spendings.iter_mut().for_each(|spending| spending.roll(now));
        for (_, condition) in &mut self.conditions {
            if let Condition::Slowest(latencies) = condition {
                latencies.decay(now);
            }
        }
    }

    /// Decides about a trace. Calls policies of the program.
    pub(super) fn judge(&mut self, facts: &Facts<'_>, counts: &Decisions) -> Judged {
        let mut judged = Judged { chance: Chance::Never, policy: None };
        let spendings = &mut self.spendings;
        for (index, policy) in self.policies.iter().enumerate() {
            let is_first = judged.policy.is_none();
            let chance = Judging { facts, counts, spendings, uses_budgets: is_first }.chance(policy);
            if is_first && chance.keeps(facts.randomness) {
                judged.policy = Some(index);
            }
            judged.chance = judged.chance.or(chance, facts.randomness);
            // Further policies can change neither the result nor the weight, and must not use their budgets.
            if judged.chance == Chance::ALWAYS && judged.policy.is_some() {
                break;
            }
        }
        judged
    }
}

struct Judging<'a> {
    facts: &'a Facts<'a>,
    counts: &'a Decisions,
    spendings: &'a mut Vec<Spending>,
    /// False if an earlier policy keeps the trace.
    uses_budgets: bool,
}

impl Judging<'_> {
    fn chance(&mut self, policy: &Expression) -> Chance {
        let facts = self.facts;
        match policy {
            Expression::Is(chance) => *chance,
            Expression::Met(bit) => Chance::certain(facts.met & bit != 0),
            Expression::Asked(bit) => Chance::certain(facts.asked & bit != 0),
            Expression::MoreSpansThan(spans) => Chance::certain(facts.trace.span_count() > *spans),
            Expression::HeadSampled => match facts.head {
                Head::Sampled(Some(threshold)) if threshold.keeps(facts.randomness) => Chance::Above(threshold),
                Head::Sampled(_) => Chance::Unknown { keeps: true },
                // It might have been sampled with a probability that this trace does not show.
                Head::Unsampled => Chance::Unknown { keeps: false },
            },
            Expression::When(When(keeps)) => match catch(|| keeps(facts.trace)) {
                Ok(keeps) => Chance::certain(keeps),
                Err(_) => {
                    self.counts.panicked();
                    crate::__warn!("tail_sampling.panic", "a policy of tail sampling panicked; it keeps the trace");
                    Chance::ALWAYS
                }
            },
            Expression::All(parts) => {
                let both = |chance: Chance, part| chance.and(self.chance(part), facts.randomness);
                parts.iter().fold(Chance::ALWAYS, both)
            }
            Expression::Not(inner) => self.chance(inner).not(facts.randomness),
            Expression::Within(inner, budget, member) => {
                let chance = self.chance(inner);
                let Some(spending) = self.spendings.get_mut(*budget) else { return chance };
                let (chance, is_refused) =
                    spending.limit(*member, chance, facts.randomness, self.uses_budgets, facts.now);
                if is_refused {
                    self.counts.over_budget();
                }
                chance
            }
        }
    }
}

impl Values {
    fn are_in(&self, span: &impl Arrival) -> bool {
        span.attribute(&self.key).is_some_and(|value| self.accept(value))
    }

    fn are_in_baggage(&self, context: &Context) -> bool {
        context.baggage().get(&self.key).is_some_and(|value| self.accepts(value.as_str()))
    }

    fn accept(&self, value: &Value) -> bool {
        match value {
            _ if self.patterns.is_empty() => true,
            Value::Array(Array::String(items)) => items.iter().any(|item| self.accepts(item.as_str())),
            Value::Array(Array::Bool(items)) => items.iter().any(|item| self.accepts(&item.to_string())),
            Value::Array(Array::I64(items)) => items.iter().any(|item| self.accepts(&item.to_string())),
            Value::Array(Array::F64(items)) => items.iter().any(|item| self.accepts(&item.to_string())),
            other => self.accepts(&other.as_str()),
        }
    }

    fn accepts(&self, text: &str) -> bool {
        self.patterns.is_empty() || matches_one(&self.patterns, text)
    }
}

fn matches_one(patterns: &[String], text: &str) -> bool {
    patterns.iter().any(|pattern| matches_pattern(pattern, text, |a, b| a == b))
}
