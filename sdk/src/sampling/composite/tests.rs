//! Decisions, compositions and simulations of composable samplers.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry::{Array, Context, KeyValue, Value};
use proptest::prelude::*;

use super::*;
use crate::error::ExportError;
use crate::sampling::{
    AlwaysOff, AlwaysOn, Decision, Probability, Sampler, SamplingRequest, SamplingResult, Threshold, ot_entry,
};
use crate::text::Patterns;
use crate::time::{Clock, Deadline, TimeSource, Timestamp};

/// The highest and the lowest random value.
const HIGH: u128 = 1 << 100 | 0xff_ffff_ffff_ffff;
const LOW: u128 = 1 << 100;

/// Returns a context with a parent such as `remote sampled ot=th:8`, or without one for `none`.
fn parent(text: &str, id: u128) -> Context {
    let mut words = text.split(' ');
    let is_remote = match words.next() {
        Some("remote") => true,
        Some("local") => false,
        _ => return Context::new(),
    };
    let mut words = words.peekable();
    let flags = if words.next_if_eq(&"sampled").is_some() { 3 } else { 2 };
    let state: TraceState = words.next().unwrap_or_default().parse().unwrap();
    let span = SpanContext::new(TraceId::from(id), SpanId::from(2), TraceFlags::new(flags), is_remote, state);
    Context::new().with_remote_span_context(span)
}

/// Compares the decision about a span, its trace state and the added attributes with `expected`.
fn check(sampler: impl ComposableSampler, of_parent: &str, id: u128, expected: &str) {
    let context = parent(of_parent, id);
    let request = SamplingRequest::new(&context, TraceId::from(id), "span", &SpanKind::Server);
    let sampler = Composite::new(sampler);
    let result = sampler.sample(&request);
    assert_eq!(shown(&context, &result), expected, "{sampler:?} {of_parent} {id:x}");
}

fn shown(context: &Context, result: &SamplingResult) -> String {
    let state = match &result.trace_state {
        Some(state) => state.header(),
        None => context.span().span_context().trace_state().header(),
    };
    let attributes: Vec<_> = result.attributes.iter().map(|a| format!(" {}={}", a.key, a.value)).collect();
    let decision = if result.decision == Decision::RecordAndSample { "sampled" } else { "dropped" };
    format!("{decision} {state}{}", attributes.concat()).trim_end().to_owned()
}

#[test]
fn thresholds_are_compared_and_written() {
    check(AlwaysOn, "none", LOW, "sampled ot=th:0");
    check(AlwaysOff, "none", HIGH, "dropped");
    check(Probability::new(0.25), "none", HIGH, "sampled ot=th:c");
    check(Probability::new(0.25), "none", LOW, "dropped");
    check(Probability::new(0.25), "remote sampled ot=th:8;rv:ffffffffffffff", LOW, "sampled ot=th:c;rv:ffffffffffffff");
    check(Probability::new(0.25), "remote sampled a=b,ot=th:8", LOW, "dropped a=b");
    check(Probability::new(0.0), "none", HIGH, "dropped");
    check(AlwaysOff, "remote sampled ot=th:8", HIGH, "dropped");
    check(RuleBased::new(), "none", HIGH, "dropped");
}

#[test]
fn the_parents_threshold_is_followed() {
    let root = || ParentThreshold::new(Probability::new(0.25));
    check(root(), "none", HIGH, "sampled ot=th:c");
    check(root(), "none", LOW, "dropped");
    for place in ["remote", "local"] {
        check(root(), &format!("{place} sampled ot=th:8"), HIGH, "sampled ot=th:8");
        check(root(), &format!("{place} sampled ot=th:0"), LOW, "sampled ot=th:0");
        check(root(), &format!("{place} sampled"), LOW, "sampled");
        check(root(), &format!("{place} sampled a=b,ot=x:y"), LOW, "sampled a=b,ot=x:y");
        // The random value does not reach the threshold.
        check(root(), &format!("{place} sampled ot=th:8"), LOW, "sampled");
        check(root(), &format!("{place} sampled ot=th:8;rv:10000000000000"), HIGH, "sampled ot=rv:10000000000000");
        check(root(), place, HIGH, "dropped");
        check(root(), &format!("{place}  ot=th:8"), HIGH, "dropped");
    }
}

#[test]
fn attributes_are_added_to_what_is_sampled() {
    let annotated = |ratio: f64| {
        let inner = Annotating::new(Probability::new(ratio), [KeyValue::new("inner", 1)]);
        Annotating::new(inner, [KeyValue::new("outer", "a"), KeyValue::new("more", true)])
    };
    check(annotated(0.5), "none", HIGH, "sampled ot=th:8 inner=1 outer=a more=true");
    check(annotated(0.5), "none", LOW, "dropped");
    check(annotated(0.0), "none", HIGH, "dropped");
}

/// Returns an intent whose probability is unknown, or that changes the trace state.
#[derive(Debug)]
struct Own(Option<Threshold>, bool);

impl ComposableSampler for Own {
    fn intent<'a>(&'a self, request: &'a SamplingRequest<'_>) -> SamplingIntent<'a> {
        let intent = match self.0 {
            Some(threshold) if self.1 => SamplingIntent::reliable(threshold),
            Some(threshold) => SamplingIntent::unreliable(threshold),
            None => SamplingIntent::DROP,
        };
        let change = |state: TraceState, decision| state.insert("own", format!("{decision:?}")).unwrap_or(state);
        let intent = intent.with_trace_state(change).with_trace_state(|state, _| state.insert("b", "2").unwrap());
        intent.with_attributes(|| vec![KeyValue::new("name", request.name.to_owned())])
    }

    fn description(&self) -> Cow<'static, str> {
        Cow::Borrowed("Own")
    }
}

#[test]
fn a_sampler_of_the_program_may_change_the_trace_state_of_every_span() {
    let half = Threshold::for_probability(0.5);
    check(Own(half, true), "none", HIGH, "sampled ot=th:8,b=2,own=RecordAndSample name=span");
    check(Own(half, true), "none", LOW, "dropped b=2,own=Drop");
    check(Own(None, true), "remote sampled ot=th:8", LOW, "dropped b=2,own=Drop");
    check(
        Own(Some(Threshold::ALWAYS), false),
        "remote sampled ot=th:8",
        LOW,
        "sampled b=2,own=RecordAndSample name=span",
    );
}

#[test]
fn a_probability_that_is_unknown_uses_a_random_value_of_its_own() {
    let sampler = Composite::new(Own(Threshold::for_probability(0.5), false));
    let context = Context::new();
    let request = SamplingRequest::new(&context, TraceId::from(HIGH), "span", &SpanKind::Server);
    let kept = (0..10_000).filter(|_| sampler.sample(&request).decision == Decision::RecordAndSample).count();
    // Six standard deviations.
    assert!(kept.abs_diff(5000) < 300, "{kept}");
}

/// Compares the names of the rules that select spans with `expected`: each rule adds its name.
fn check_rule(rule: Rule, of_parent: &str, (name, kind): (&str, SpanKind), attributes: &[KeyValue], expected: bool) {
    let context = parent(of_parent, HIGH);
    let request = SamplingRequest::new(&context, TraceId::from(HIGH), name, &kind).with_attributes(attributes);
    let rules = Composite::new(RuleBased::new().with_rule(rule));
    let decision = rules.sample(&request).decision;
    assert_eq!(decision == Decision::RecordAndSample, expected, "{rules:?} {of_parent} {name} {kind:?} {attributes:?}");
}

#[test]
fn rules_look_at_names_kinds_and_parents() {
    let server = |name| (name, SpanKind::Server);
    let names = || Rule::new(AlwaysOn).with_span_names(["GET /health*", "ping"]);
    check_rule(Rule::new(AlwaysOn), "none", server("span"), &[], true);
    check_rule(names(), "none", server("GET /healthz"), &[], true);
    check_rule(names(), "none", server("ping"), &[], true);
    check_rule(names(), "none", server("pings"), &[], false);
    check_rule(names(), "none", server("get /health"), &[], false);
    let kinds = || Rule::new(AlwaysOn).with_kinds([SpanKind::Server, SpanKind::Consumer]);
    for (kind, expected) in [
        (SpanKind::Internal, false),
        (SpanKind::Server, true),
        (SpanKind::Client, false),
        (SpanKind::Producer, false),
        (SpanKind::Consumer, true),
    ] {
        check_rule(kinds(), "none", ("span", kind), &[], expected);
    }
    for (accepted, expected) in [
        (ParentKind::None, [true, false, false]),
        (ParentKind::Remote, [false, true, false]),
        (ParentKind::Local, [false, false, true]),
    ] {
        for (of_parent, expected) in ["none", "remote sampled", "local"].into_iter().zip(expected) {
            check_rule(Rule::new(AlwaysOn).with_parents([accepted]), of_parent, server("span"), &[], expected);
        }
    }
    let all = || names().with_kinds([SpanKind::Client]).with_parents([ParentKind::Local]);
    check_rule(all(), "local", ("ping", SpanKind::Client), &[], true);
    check_rule(all(), "local", ("ping", SpanKind::Server), &[], false);
    check_rule(all(), "none", ("ping", SpanKind::Client), &[], false);
    check_rule(all(), "local", ("pong", SpanKind::Client), &[], false);
}

#[test]
fn rules_compare_attributes_as_text() {
    let values = |values: &[&str]| Rule::new(AlwaysOn).with_attribute_values("key", values.iter().copied());
    let check = |rule: Rule, value: Value, expected: bool| {
        let attributes = [KeyValue::new("other", "404"), KeyValue::new("key", value)];
        check_rule(rule, "none", ("span", SpanKind::Server), &attributes, expected);
    };
    check(values(&["404"]), 404.into(), true);
    check(values(&["404"]), "404".into(), true);
    check(values(&["404"]), 40.into(), false);
    check(values(&["-9223372036854775808"]), i64::MIN.into(), true);
    check(values(&["true"]), true.into(), true);
    check(values(&["true"]), false.into(), false);
    check(values(&["1.5"]), 1.5.into(), true);
    check(values(&["a", "b"]), "b".into(), true);
    check(values(&["a", "b"]), "B".into(), false);
    check(values(&[]), "b".into(), false);
    check(values(&["2"]), Value::Array(Array::I64(vec![1, 2])), true);
    check(values(&["3"]), Value::Array(Array::I64(vec![1, 2])), false);
    check(values(&["b"]), Value::Array(Array::String(vec!["a".into(), "b".into()])), true);
    check(values(&["2.5"]), Value::Array(Array::F64(vec![1.0, 2.5])), true);
    check(values(&["false"]), Value::Array(Array::Bool(vec![true, false])), true);
    let patterns = |included: Option<Vec<&str>>, excluded: &[&str]| {
        let patterns = Patterns::new(included, excluded.iter().copied());
        Rule::new(AlwaysOn).with_attribute_patterns("key", patterns)
    };
    check(patterns(Some(vec!["/a/*"]), &[]), "/a/b".into(), true);
    check(patterns(Some(vec!["/a/*"]), &["*.html"]), "/a/b.html".into(), false);
    check(patterns(Some(vec!["4??"]), &[]), 404.into(), true);
    check(patterns(None, &["/a/*"]), "/b".into(), true);
    check(patterns(None, &["/a/*"]), "/a/".into(), false);
    // Without the attribute, not even an exclusion is met.
    check_rule(patterns(None, &["x"]), "none", ("span", SpanKind::Server), &[], false);
}

#[test]
fn the_first_rule_that_selects_a_span_decides() {
    let rules = || {
        RuleBased::new()
            .with_rule(Rule::new(AlwaysOff).with_kinds([SpanKind::Client]))
            .with_rule(Rule::new(Probability::new(0.5)).with_kinds([SpanKind::Server]))
            .with_rule(Rule::new(AlwaysOn))
    };
    check(rules(), "none", LOW, "dropped");
    check(rules(), "none", HIGH, "sampled ot=th:8");
    assert_eq!(
        Composite::new(rules()).description(),
        "CompositeSampler{ComposableRuleBasedSampler{span_kinds:ComposableAlwaysOffSampler,\
         span_kinds:ComposableProbabilitySampler{0.500000},*:ComposableAlwaysOnSampler}}"
    );
}

#[test]
fn descriptions_name_every_part() {
    let check = |sampler: Box<dyn ComposableSampler>, expected: &str| assert_eq!(sampler.description(), expected);
    check(
        Box::new(ParentThreshold::new(Probability::new(0.25))),
        "ComposableParentThresholdSampler{ComposableProbabilitySampler{0.250000}}",
    );
    let rule = Rule::new(AlwaysOn).with_span_names(["a"]).with_parents([ParentKind::None]);
    let rule = rule.with_attribute_values("user.id", ["a secret"]);
    let rules = RuleBased::new().with_rule(rule);
    check(Box::new(rules), "ComposableRuleBasedSampler{span_names&parent&user.id:ComposableAlwaysOnSampler}");
    let annotating = Annotating::new(AlwaysOn, [KeyValue::new("a", 1), KeyValue::new("b", "c")]);
    check(Box::new(annotating), "ComposableAnnotatingSampler{ComposableAlwaysOnSampler,attributes:[a=1,b=c]}");
    check(Box::new(RateLimiting::new(100.0)), "RateLimiting{100/s}");
    check(Box::new(Adaptive::new(0.5)), "Adaptive{0.5/s per name}");
}

/// Samplers of any composition.
fn any_sampler() -> impl Strategy<Value = Arc<dyn ComposableSampler>> {
    let leaf = prop_oneof![
        Just(Arc::new(AlwaysOn) as Arc<dyn ComposableSampler>),
        Just(Arc::new(AlwaysOff) as Arc<dyn ComposableSampler>),
        (0.0..=1.0f64).prop_map(|ratio| Arc::new(Probability::new(ratio)) as Arc<dyn ComposableSampler>),
        Just(Arc::new(Probability::new(0.0)) as Arc<dyn ComposableSampler>),
        Just(Arc::new(RateLimiting::new(3.0)) as Arc<dyn ComposableSampler>),
        Just(Arc::new(Adaptive::new(3.0)) as Arc<dyn ComposableSampler>),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let rule = (inner.clone(), any::<u8>(), 0..8u8, any::<bool>()).prop_map(|(sampler, kinds, parents, all)| {
            let mut rule = Rule::new(Shared(sampler));
            if !all {
                let kinds_of = [SpanKind::Internal, SpanKind::Server, SpanKind::Client];
                rule = rule
                    .with_kinds(kinds_of.into_iter().enumerate().filter(|(i, _)| kinds >> i & 1 == 1).map(|(_, k)| k));
            }
            if parents != 0 {
                let parents_of = [ParentKind::None, ParentKind::Remote, ParentKind::Local];
                let chosen = parents_of.into_iter().enumerate().filter(|(i, _)| parents >> i & 1 == 1);
                rule = rule.with_parents(chosen.map(|(_, parent)| parent));
            }
            rule
        });
        prop_oneof![
            inner.clone().prop_map(|root| Arc::new(ParentThreshold::new(Shared(root))) as Arc<dyn ComposableSampler>),
            (inner, any::<bool>()).prop_map(|(sampler, adds)| {
                let attributes = adds.then(|| KeyValue::new("a", 1));
                Arc::new(Annotating::new(Shared(sampler), attributes)) as Arc<dyn ComposableSampler>
            }),
            proptest::collection::vec(rule, 0..4).prop_map(|rules| {
                Arc::new(rules.into_iter().fold(RuleBased::new(), RuleBased::with_rule)) as Arc<dyn ComposableSampler>
            }),
        ]
    })
}

/// A sampler that proptest can copy.
#[derive(Debug)]
struct Shared(Arc<dyn ComposableSampler>);

impl ComposableSampler for Shared {
    fn intent<'a>(&'a self, request: &'a SamplingRequest<'_>) -> SamplingIntent<'a> {
        self.0.intent(request)
    }

    fn description(&self) -> Cow<'static, str> {
        self.0.description()
    }

    fn drops_below_unsampled_parents(&self) -> bool {
        self.0.drops_below_unsampled_parents()
    }

    fn samples_below_sampled_parents(&self) -> bool {
        self.0.samples_below_sampled_parents()
    }
}

proptest! {
    /// What a sampler says about spans below others is what it decides, and whatever it samples has the threshold that it applied.
    #[test]
    fn samplers_do_what_the_sdk_may_assume_of_them(
        sampler in any_sampler(),
        place in 0..3usize,
        is_sampled: bool,
        has_threshold: bool,
        kind in 0..3usize,
        id: u128,
    ) {
        let id = id | 1 << 100;
        let sampler = Composite::new(Shared(sampler));
        let kind = [SpanKind::Internal, SpanKind::Server, SpanKind::Client][kind].clone();
        // A local parent is consistent.
        let threshold = Threshold::for_probability(0.5).filter(|threshold| {
            let random = crate::sampling::Randomness::for_trace(&TraceState::NONE, TraceId::from(id));
            has_threshold && is_sampled && threshold.keeps(random)
        });
        let state = threshold.map(|threshold| format!("ot=th:{threshold}")).unwrap_or_default();
        let sampled = if is_sampled { "sampled" } else { "" };
        let context = parent(&format!("{} {sampled} {state}", ["none", "remote", "local"][place]).replace("  ", " "), id);
        let request = SamplingRequest::new(&context, TraceId::from(id), "span", &kind);
        let result = sampler.sample(&request);
        if place != 0 && !is_sampled && sampler.drops_below_unsampled_parents() {
            prop_assert_eq!(result.decision, Decision::Drop);
        }
        if place == 2 && is_sampled && sampler.samples_below_sampled_parents() {
            prop_assert_eq!(result.decision, Decision::RecordAndSample);
            prop_assert!(result.trace_state.is_none() && result.attributes.is_empty(), "{:?}", result);
        }
        let after = result.trace_state.unwrap_or_else(|| context.span().span_context().trace_state().clone());
        let written = ot_entry::threshold(&after);
        if let Some(written) = written.filter(|_| result.decision == Decision::RecordAndSample) {
            prop_assert!(written.keeps(crate::sampling::Randomness::for_trace(&after, TraceId::from(id))));
        }
        prop_assert!(written.is_none() || result.decision == Decision::RecordAndSample);
    }
}

#[test]
fn the_sdk_may_decide_below_parents_where_rules_follow_them() {
    let follow = || Rule::new(ParentThreshold::new(AlwaysOn));
    let roots = || Rule::new(AlwaysOff).with_parents([ParentKind::None]).with_span_names(["GET /health"]);
    let check = |rules: RuleBased, drops: bool, samples: bool| {
        let actual = (rules.drops_below_unsampled_parents(), rules.samples_below_sampled_parents());
        assert_eq!(actual, (drops, samples), "{rules:?}");
    };
    check(RuleBased::new().with_rule(roots()).with_rule(follow()), true, true);
    check(RuleBased::new().with_rule(roots()), true, false);
    check(RuleBased::new().with_rule(Rule::new(AlwaysOff)).with_rule(follow()), true, false);
    check(RuleBased::new().with_rule(Rule::new(AlwaysOff).with_span_names(["a"])).with_rule(follow()), true, false);
    check(RuleBased::new().with_rule(Rule::new(AlwaysOn)).with_rule(follow()), false, false);
    check(RuleBased::new().with_rule(follow().with_span_names(["a"])), true, false);
}

#[test]
fn attributes_are_wanted_only_by_rules_that_look_at_them() {
    let check = |sampler: RuleBased, expected: bool| {
        assert_eq!(sampler.wants_attributes(), expected);
        let outer = Annotating::new(ParentThreshold::new(sampler), []);
        let composite = crate::sampling::ParentBased::new(crate::sampling::AlwaysRecord::new(Composite::new(outer)));
        assert_eq!(composite.wants_attributes(), expected);
    };
    check(RuleBased::new().with_rule(Rule::new(AlwaysOn).with_span_names(["a"])), false);
    check(RuleBased::new().with_rule(Rule::new(AlwaysOn).with_attribute_values("a", ["b"])), true);
    let inner = RuleBased::new().with_rule(Rule::new(AlwaysOn).with_attribute_patterns("a", Patterns::default()));
    check(RuleBased::new().with_rule(Rule::new(inner)), true);
}

/// A clock that a simulation moves.
#[derive(Clone, Default)]
struct Moved(Arc<AtomicU64>);

impl Moved {
    fn clock(&self) -> Clock {
        Clock::from_source(self.clone())
    }
}

impl TimeSource for Moved {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(1_800_000_000_000_000_000 + self.0.load(Ordering::Relaxed))
    }
}

/// The same random numbers in each run.
struct Random(u64);

impl Random {
    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn trace_id(&mut self) -> TraceId {
        TraceId::from(u128::from(self.next() | 1) << 64 | u128::from(self.next()))
    }

    /// Returns the time until the next arrival of a Poisson process, in nanoseconds.
    fn gap(&mut self, per_second: f64) -> u64 {
        let uniform = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        (-(1.0 - uniform).ln() / per_second * 1e9) as u64
    }
}

/// What was started, what was kept, what the weights of the kept say was started, and the variance of that.
#[derive(Debug, Default)]
struct Tally {
    started: f64,
    kept: f64,
    weight: f64,
    variance: f64,
}

impl Tally {
    fn add(&mut self, result: &SamplingResult) {
        self.started += 1.0;
        if result.decision == Decision::RecordAndSample {
            let threshold = result.trace_state.as_ref().and_then(ot_entry::threshold).unwrap();
            let count = threshold.adjusted_count();
            self.kept += 1.0;
            self.weight += count;
            self.variance += count * (count - 1.0);
        }
    }

    /// Checks that the weights say how many were started, within five standard deviations.
    fn check(&self) {
        let bound = 5.0 * self.variance.sqrt();
        assert!((self.weight - self.started).abs() <= bound + 1e-6, "{self:?} {bound}");
    }
}

/// Starts traces at random times with this rate for some seconds.
fn simulate(sampler: &impl Sampler, time: &Moved, random: &mut Random, name: &str, rate: f64, seconds: f64) -> Tally {
    let (mut tally, context) = (Tally::default(), Context::new());
    let end = time.0.load(Ordering::Relaxed) + (seconds * 1e9) as u64;
    loop {
        let now = time.0.load(Ordering::Relaxed) + random.gap(rate);
        if now >= end {
            time.0.store(end, Ordering::Relaxed);
            return tally;
        }
        time.0.store(now, Ordering::Relaxed);
        let id = random.trace_id();
        tally.add(&sampler.sample(&SamplingRequest::new(&context, id, name, &SpanKind::Server)));
    }
}

#[test]
fn a_limit_keeps_the_rate_and_the_weights_are_right_however_the_rate_changes() {
    let (time, mut random) = (Moved::default(), Random(1));
    let sampler = Composite::new(RateLimiting::new(100.0).with_clock(time.clock()));
    let mut all = Tally::default();
    for (rate, seconds) in [(50.0, 20.0), (10_000.0, 20.0), (200.0, 20.0), (20_000.0, 5.0), (0.5, 60.0), (3000.0, 20.0)]
    {
        let tally = simulate(&sampler, &time, &mut random, "GET /", rate, seconds);
        tally.check();
        // The bucket, and five standard deviations of the number of kept traces.
        let expected = 100.0 * seconds;
        assert!(tally.kept <= expected + 100.0 + 5.0 * expected.sqrt(), "{rate}: {tally:?}");
        if rate >= 200.0 {
            assert!(tally.kept >= expected - 5.0 * expected.sqrt(), "{rate}: {tally:?}");
        } else {
            assert_eq!(tally.kept, tally.started, "{rate}");
        }
        all.started += tally.started;
        all.weight += tally.weight;
        all.variance += tally.variance;
    }
    all.check();
}

#[test]
fn each_name_has_its_own_target() {
    let (time, mut random) = (Moved::default(), Random(2));
    let sampler = Composite::new(ParentThreshold::new(Adaptive::new(100.0).with_clock(time.clock())));
    let context = Context::new();
    let mut ask = |name: &str| {
        let request = SamplingRequest::new(&context, random.trace_id(), name, &SpanKind::Server);
        sampler.sample(&request)
    };
    let mut tallies = [Tally::default(), Tally::default(), Tally::default()];
    // Ten thousand a second, a hundred a second, and one in ten seconds.
    for tick in 0..300_000u64 {
        time.0.store(tick * 100_000, Ordering::Relaxed);
        // The bucket of ten seconds is used up in the first tenth.
        let is_steady = tick > 60_000;
        let hot = ask("GET /hot");
        if is_steady {
            tallies[0].add(&hot);
        }
        if tick % 100 == 0 {
            tallies[1].add(&ask("GET /usual"));
        }
        if tick % 100_000 == 0 {
            tallies[2].add(&ask("GET /rare"));
        }
    }
    let [hot, usual, rare] = tallies;
    assert!((hot.kept / hot.started - 0.01).abs() < 0.001, "{hot:?}");
    hot.check();
    assert_eq!((usual.kept, usual.weight), (3000.0, 3000.0));
    assert_eq!((rare.kept, rare.weight), (3.0, 3.0));
}

#[test]
fn a_hundred_a_second_at_random_times_are_kept_whole() {
    let (time, mut random) = (Moved::default(), Random(3));
    let sampler = Composite::new(Adaptive::new(100.0).with_clock(time.clock()));
    let tally = simulate(&sampler, &time, &mut random, "GET /", 100.0, 60.0);
    assert_eq!(tally.kept, tally.started);
    let tally = simulate(&sampler, &time, &mut random, "GET /", 10_000.0, 20.0);
    assert!(tally.kept > 2000.0 - 5.0 * 2000f64.sqrt(), "{tally:?}");
    assert!(tally.kept < 2000.0 + 1000.0 + 5.0 * 3000f64.sqrt(), "{tally:?}");
    tally.check();
}

#[test]
fn names_beyond_the_places_share_a_target_and_weights_stay_right() {
    let time = Moved::default();
    let sampler = Adaptive::new(1.0).with_clock(time.clock());
    let (context, mut kept, mut lowest) = (Context::new(), 0.0, 1.0_f64);
    for round in 0..12u64 {
        for name in 0..10_000u64 {
            time.0.store(round * 1_000_000_000 + name * 100_000, Ordering::Relaxed);
            let name = format!("GET /{name}");
            let request = SamplingRequest::new(&context, TraceId::from(HIGH), &name, &SpanKind::Server);
            let intent = sampler.intent(&request);
            // The places of names depend on a secret, so a sum of the weights of kept traces would be right by chance only.
            assert!(intent.is_reliable);
            let probability = intent.threshold.unwrap().probability();
            kept += probability;
            lowest = lowest.min(probability);
        }
    }
    // All names together keep what their places allow, on average, and each name with a place is kept whole.
    assert!((2048.0 * 11.0..2049.0 * (12.0 + 10.0)).contains(&kept), "{kept}");
    // Nearly 8000 names a second share the target of one.
    assert!((0.5e-4..2e-4).contains(&lowest), "{lowest}");
}

#[test]
fn counts_are_recovered_through_two_services_with_different_rules() {
    let mut random = Random(5);
    let rules = RuleBased::new()
        .with_rule(Rule::new(AlwaysOn).with_span_names(["POST *"]))
        .with_rule(Rule::new(Probability::new(0.02)).with_span_names(["GET /static*"]))
        .with_rule(Rule::new(Probability::new(0.2)));
    let first = Composite::new(ParentThreshold::new(rules));
    let second = Composite::new(ParentThreshold::new(AlwaysOn));
    for (name, count) in [("POST /order", 5_000), ("GET /static/a", 200_000), ("GET /", 50_000)] {
        let (mut at_first, mut at_second) = (Tally::default(), Tally::default());
        for _ in 0..count {
            let id = random.trace_id();
            let context = Context::new();
            let result = first.sample(&SamplingRequest::new(&context, id, name, &SpanKind::Server));
            at_first.add(&result);
            let is_sampled = result.decision == Decision::RecordAndSample;
            let flags = TraceFlags::new(2).with_sampled(is_sampled);
            let state = result.trace_state.unwrap_or_default();
            let span = SpanContext::new(id, SpanId::from(3), flags, true, state.clone());
            let context = Context::new().with_remote_span_context(span);
            let mut result = second.sample(&SamplingRequest::new(&context, id, "call", &SpanKind::Server));
            assert_eq!(result.decision == Decision::RecordAndSample, is_sampled);
            result.trace_state = Some(result.trace_state.unwrap_or(state));
            at_second.add(&result);
        }
        at_first.check();
        at_second.check();
        assert_eq!(at_first.weight, at_second.weight);
    }
}

/// Counts its shutdowns, or panics.
#[derive(Debug)]
struct Ends(Arc<AtomicU64>, bool);

impl ComposableSampler for Ends {
    fn intent<'a>(&'a self, _: &'a SamplingRequest<'_>) -> SamplingIntent<'a> {
        SamplingIntent::DROP
    }

    fn description(&self) -> Cow<'static, str> {
        Cow::Borrowed("Ends")
    }

    fn shutdown(&self, _: Deadline) -> Result<(), ExportError> {
        assert!(!self.1, "on purpose");
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

#[test]
fn every_part_is_shut_down_though_one_panics() {
    let count = Arc::new(AtomicU64::new(0));
    let part = |panics| Ends(count.clone(), panics);
    let rules = RuleBased::new()
        .with_rule(Rule::new(part(true)))
        .with_rule(Rule::new(part(false)))
        .with_rule(Rule::new(ParentThreshold::new(Annotating::new(part(false), []))));
    let error = Composite::new(rules).shutdown(Deadline::NEVER).unwrap_err();
    assert_eq!(error.to_string(), "the sampler panicked when it was shut down");
    assert_eq!(count.load(Ordering::Relaxed), 2);
}
