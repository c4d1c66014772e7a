//! Tail sampling: what is kept whole, with which weights, and what is counted. Tests drive the clock and the work themselves.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::baggage::BaggageExt;
use opentelemetry::logs::Severity;
use opentelemetry::trace::{SpanContext, SpanId, Status, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer};
use opentelemetry::{Array, Context, KeyValue, StringValue, Value};
use telemark_sdk::batch::{Stage, Verdict};
use telemark_sdk::config::Env;
use telemark_sdk::install::{Control, Telemetry, TelemetryBuilder};
use telemark_sdk::logs::LogVolume;
use telemark_sdk::metrics::PullReader;
use telemark_sdk::runtime::{ManualRuntime, Runtime};
use telemark_sdk::sampling::{
    AlwaysOff, AlwaysOn, Decision, ParentBased, Randomness, Sampler, SamplingRequest, SamplingResult, Threshold,
    TraceIdRatio, ot_entry,
};
use telemark_sdk::signal::Traces;
use telemark_sdk::stages::tail::{Budget, Policy, TailSampling};
use telemark_sdk::testing::{InMemoryExporter, logs_text, metrics_text};
use telemark_sdk::time::{Clock, Deadline, TimeSource, Timestamp};
use telemark_sdk::trace::SpanData;

use support::{Service, end};

impl Service {
    /// Answers a request that takes `millis` milliseconds and calls a database.
    fn answer(&self, parent: &Context, millis: u64, fails: bool) -> SpanContext {
        let root = self.start("GET /", parent);
        let query = self.start("SELECT", &root);
        if fails {
            query.span().set_status(Status::error("no such table"));
        }
        end(&query);
        self.clock.advance(Duration::from_millis(millis));
        end(&root);
        root.span().span_context().clone()
    }

    /// Returns everything that has been exported, after a flush.
    fn flushed(&self) -> Vec<SpanData> {
        self.telemetry.force_flush(Deadline::NEVER).unwrap();
        self.spans.items()
    }

    /// Returns the exported spans as text, each with its attributes.
    fn exported(&self) -> String {
        let text = |span: &SpanData| {
            let attributes = span.attributes().map(|a| format!(" {}={}", a.key.as_str(), a.value));
            let state = span.context.trace_state().header();
            let state = if state.is_empty() { state } else { format!(" {state}") };
            format!("{}{state}{}", span.name, attributes.collect::<String>()).replace("telemark.sampling.", "")
        };
        self.spans.items().iter().map(text).collect::<Vec<_>>().join(", ")
    }

    fn kept(&self) -> String {
        let kept = self.health().kept;
        let kept = kept.iter().filter(|(_, count)| count.total > 0);
        kept.map(|(name, count)| format!("{name} {}/{}", count.errors, count.total)).collect::<Vec<_>>().join(", ")
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn remote(sampled: bool, state: &[(&str, &str)]) -> Context {
    let ids = telemark_sdk::id::RandomIds;
    use telemark_sdk::id::IdGenerator;
    let state = TraceState::from_key_value(state.iter().copied()).unwrap();
    let flags = TraceFlags::default().with_sampled(sampled);
    Context::new().with_remote_span_context(SpanContext::new(ids.trace_id(), ids.span_id(), flags, true, state))
}

/// A sampler with a probability, which writes its threshold.
#[derive(Debug)]
struct Probability(Threshold);

impl Sampler for Probability {
    fn sample(&self, request: &SamplingRequest<'_>) -> SamplingResult {
        let parent = request.parent_span();
        let state = parent.map(|parent| parent.trace_state().clone()).unwrap_or_default();
        let keeps = self.0.keeps(Randomness::for_trace(&state, request.trace_id));
        let decision = if keeps { Decision::RecordAndSample } else { Decision::Drop };
        let threshold = keeps.then_some(self.0);
        SamplingResult::new(decision).with_trace_state(ot_entry::with_threshold(&state, threshold).into_owned())
    }

    fn description(&self) -> Cow<'static, str> {
        "Probability".into()
    }
}

/// Returns the sum of what the local roots stand for; `None` if one has no weight.
fn weight<'a>(roots: impl Iterator<Item = &'a SpanData>) -> Option<f64> {
    roots.map(|root| ot_entry::threshold(root.context.trace_state()).map(Threshold::adjusted_count)).sum()
}

const POLICIES: fn() -> TailSampling = || {
    let slow = Policy::slower_than(Duration::from_millis(500));
    TailSampling::new().keep(Policy::errors()).keep(slow).keep(Policy::probability(0.1).named("rest"))
};

/// A stage that marks every span, and drops those of health checks.
struct Enriching;

impl Stage<Traces> for Enriching {
    fn process(&mut self, span: &mut SpanData) -> Verdict {
        span.own_attributes.push(KeyValue::new("region", "north"));
        if span.name == "health" { Verdict::Drop } else { Verdict::Keep }
    }
}

#[test]
fn stages_of_the_program_come_before_the_decision() {
    let service = Service::with(TailSampling::new().keep(Policy::attribute("region", ["north"])), |builder| {
        builder.with_span_stage(Enriching)
    });
    let root = service.start("GET /", &Context::new());
    let late = service.start("late", &root);
    ["health", "SELECT"].iter().for_each(|name| end(&service.start(*name, &root)));
    end(&root);
    service.pass(seconds(1));
    end(&late);
    service.pass(seconds(1));
    let kept = "SELECT ot=th:0 region=north, GET / ot=th:0 region=north policy=attribute, late ot=th:0 region=north";
    assert_eq!(service.exported(), kept);
    assert_eq!((service.health().late_kept.total, service.health().held_bytes), (1, 0));
}

/// Returns true if a policy with the probability 0.1 keeps this trace.
fn tenth_keeps(trace: TraceId) -> bool {
    Threshold::for_probability(0.1).unwrap().keeps(Randomness::for_trace(&TraceState::NONE, trace))
}

/// Returns the sum of the weights of `number` traces that such a policy has kept, ten each.
fn tenths(number: usize) -> f64 {
    (0..number).map(|_| Threshold::for_probability(0.1).unwrap().adjusted_count()).sum()
}

/// Sends 10,000 requests, of which one of a thousand fails and one of a hundred is slow.
fn check_a_service(sampler: impl Sampler) {
    check_service(Service::with(POLICIES(), |builder| builder.with_sampler(sampler)));
}

fn check_service(service: Service) {
    let (mut failed, mut slow, mut rest) = (HashSet::new(), HashSet::new(), HashSet::new());
    for number in 0..10_000 {
        let (fails, is_slow) = (number % 1000 == 17, number % 100 == 50);
        let context = service.answer(&Context::new(), if is_slow { 800 } else { 3 }, fails);
        fails.then(|| failed.insert(context.trace_id()));
        is_slow.then(|| slow.insert(context.trace_id()));
        (!fails && !is_slow && tenth_keeps(context.trace_id())).then(|| rest.insert(context.trace_id()));
        if number % 500 == 0 {
            service.pass(seconds(1));
        }
    }
    let spans = service.flushed();
    let mut traces: HashMap<TraceId, Vec<&SpanData>> = HashMap::new();
    spans.iter().for_each(|span| traces.entry(span.trace_id()).or_default().push(span));
    let kept: HashSet<_> = traces.keys().copied().collect();
    assert_eq!(kept, &(&failed | &slow) | &rest, "every error, every slow trace, and a tenth of the others");
    assert!(traces.values().all(|spans| spans.len() == 2), "every trace that is kept is whole");
    assert!(spans.iter().all(|span| span.context.is_sampled()), "exporters receive sampled spans only");
    let roots = || spans.iter().filter(|span| span.parent_span_id == SpanId::INVALID);
    let of = |kind: &HashSet<TraceId>| weight(roots().filter(|root| kind.contains(&root.trace_id()))).unwrap();
    assert_eq!((of(&failed), of(&slow), of(&rest)), (10.0, 100.0, tenths(rest.len())));
    let health = service.health();
    assert_eq!((health.dropped.total as usize, health.dropped.errors), (10_000 - traces.len(), 0));
    assert_eq!(service.kept(), format!("errors 10/10, slower_than 0/100, rest 0/{}", rest.len()));
    let exported = &service.telemetry.health().traces[0];
    assert_eq!((exported.exported, exported.exported + exported.dropped_by_stage), (spans.len() as u64, 20_000));
}

#[test]
fn errors_and_slow_traces_are_whole_and_weights_recover_the_counts() {
    check_a_service(ParentBased::default());
    // Behind another stage, spans come one by one instead of in chunks.
    check_service(Service::with(POLICIES(), |builder| builder.with_span_stage(Enriching)));
}

#[test]
fn so_they_are_whatever_the_sampler_decides() {
    check_a_service(ParentBased::new(AlwaysOff));
    check_a_service(ParentBased::new(TraceIdRatio::new(0.2)));
    check_a_service(Probability(Threshold::for_probability(0.25).unwrap()));
}

#[test]
fn the_context_that_is_sent_has_the_decision_of_the_sampler() {
    for is_sampled in [false, true] {
        let service = Service::new(TailSampling::new().keep(Policy::always()));
        let root = service.start("GET /", &remote(is_sampled, &[("a", "b")]));
        let call = service.start("call", &root);
        let sent = call.span().span_context().clone();
        assert_eq!((sent.is_sampled(), sent.trace_state().header()), (is_sampled, "a=b".to_owned()));
        assert!(call.span().is_recording());
        end(&call);
        end(&root);
        let spans = service.flushed();
        assert!(spans.iter().all(|span| span.context.is_sampled()) && spans.len() == 2);
        let head = if is_sampled { "" } else { " head_sampled=false" };
        assert_eq!(service.exported(), format!("call ot=th:0,a=b, GET / ot=th:0,a=b policy=always{head}"));
    }
}

/// Sends a request with this context to a service with these policies. Expects the exported root, or nothing.
#[track_caller]
fn check(policies: impl IntoIterator<Item = Policy>, parent: &Context, expected: &str) {
    let service = Service::new(policies.into_iter().fold(TailSampling::new(), TailSampling::keep));
    let root = service.start("GET /", parent);
    let names = Value::Array(Array::String(vec![StringValue::from("false"), StringValue::from("true")]));
    root.span().set_attribute(KeyValue::new("http.request.header.x-debug", names));
    let child = service.start("child", &root);
    child.span().set_attribute(KeyValue::new("http.response.status_code", 404));
    end(&child);
    end(&root);
    service.flushed();
    let exported = service.exported();
    let root = exported.split(", ").find(|span| span.starts_with("GET")).unwrap_or_default();
    let root = root.replace(" http.request.header.x-debug=[\"false\",\"true\"]", "");
    assert_eq!(root, expected);
}

#[test]
fn policies_and_the_weights_that_they_give() {
    let any = Context::new();
    let kept = |policy: &str| format!("GET / ot=th:0 policy={policy}");
    check([Policy::attribute("http.request.header.x-debug", ["true"])], &any, &kept("attribute"));
    check([Policy::attribute("http.response.status_code", ["40?"])], &any, &kept("attribute"));
    check([Policy::attribute("http.response.status_code", [""; 0])], &any, &kept("attribute"));
    check([Policy::attribute("http.response.status_code", ["5*"]).named("server")], &any, "");
    check([Policy::root_name(["GET *"])], &any, &kept("root_name"));
    check([Policy::root_name(["child"])], &any, "");
    check([Policy::more_spans_than(1)], &any, &kept("more_spans_than"));
    check([Policy::more_spans_than(2)], &any, "");
    check([Policy::errors().not()], &any, &kept("not"));
    check([Policy::errors().not().and(Policy::root_name(["POST *"]))], &any, "");
    check([Policy::when(|trace| trace.span_count() == 2 && !trace.has_error())], &any, &kept("when"));
    check([Policy::when(|trace| trace.local_roots().any(|root| root.name() == "child"))], &any, "");
    let debug = any.with_baggage([KeyValue::new("debug", "true")]);
    check([Policy::baggage("debug", ["true"])], &debug, &kept("baggage"));
    check([Policy::baggage("debug", ["false"])], &debug, "");
    check([Policy::baggage("debug", [""; 0])], &any, "");
}

/// A trace with a random value from `rv`, sampled or not, with or without a threshold.
fn with_rv(sampled: bool, rv: &str, threshold: &str) -> Context {
    let threshold = if threshold.is_empty() { String::new() } else { format!("th:{threshold};") };
    remote(sampled, &[("ot", &format!("{threshold}rv:{rv}"))])
}

#[test]
fn weights_beside_a_sampler() {
    let high = |sampled, threshold| with_rv(sampled, "e0000000000000", threshold);
    let half = || Policy::probability(0.5);
    let head = Policy::head_sampled;
    // The threshold of the sampler remains only if the tail follows the sampler.
    check([head()], &high(true, "c"), "GET / ot=th:c;rv:e0000000000000 policy=head_sampled");
    check([head()], &high(true, ""), "GET / ot=rv:e0000000000000 policy=head_sampled");
    check([head()], &high(false, ""), "");
    // A threshold that the random value does not reach is not true.
    check([head()], &high(true, "f"), "GET / ot=rv:e0000000000000 policy=head_sampled");
    check([half()], &high(true, "c"), "GET / ot=th:8;rv:e0000000000000 policy=probability");
    check([half()], &high(false, ""), "GET / ot=th:8;rv:e0000000000000 policy=probability head_sampled=false");
    check([half()], &with_rv(true, "70000000000000", "4"), "");
    // Of several policies, the lowest threshold counts, whichever comes first.
    check([half(), head()], &high(true, "c"), "GET / ot=th:8;rv:e0000000000000 policy=probability");
    check([head(), half()], &high(true, "c"), "GET / ot=th:8;rv:e0000000000000 policy=head_sampled");
    check([head(), half()], &high(true, "4"), "GET / ot=th:4;rv:e0000000000000 policy=head_sampled");
    check([head(), half()], &high(true, ""), "GET / ot=rv:e0000000000000 policy=head_sampled");
    check([half(), head()], &high(false, ""), "GET / ot=rv:e0000000000000 policy=probability head_sampled=false");
    check([half(), head(), Policy::always()], &high(true, ""), "GET / ot=th:0;rv:e0000000000000 policy=probability");
    // Both must keep it: the highest threshold counts.
    check([head().and(half())], &high(true, "c"), "GET / ot=th:c;rv:e0000000000000 policy=all");
    check([head().and(half())], &high(true, "4"), "GET / ot=th:8;rv:e0000000000000 policy=all");
    check([head().and(half())], &high(true, ""), "GET / ot=rv:e0000000000000 policy=all");
    let low = with_rv(true, "70000000000000", "4");
    check([half().not()], &low, "GET / ot=rv:70000000000000 policy=not");
}

#[test]
fn a_service_that_calls_itself_keeps_both_parts() {
    let service = Service::new(TailSampling::new().keep(Policy::errors()));
    for fails in [false, true] {
        let outer = service.start("outer", &Context::new());
        let call = service.start("call", &outer);
        let sent = call.span().span_context().clone();
        let received = SpanContext::new(sent.trace_id(), sent.span_id(), sent.trace_flags(), true, TraceState::NONE);
        let inner = service.start("inner", &Context::new().with_remote_span_context(received));
        end(&service.start("work", &inner));
        end(&inner);
        service.pass(seconds(2));
        assert_eq!(service.health().held_traces, 1, "the outer local root is still running");
        end(&call);
        service.pass(seconds(2));
        if fails {
            outer.span().set_status(Status::error("late"));
        }
        end(&outer);
        service.pass(seconds(2));
        let expected = "work ot=th:0, inner ot=th:0 policy=errors, call ot=th:0, outer ot=th:0 policy=errors";
        assert_eq!(service.exported(), if fails { expected } else { "" });
    }
    assert_eq!((service.health().dropped.total, service.kept().as_str()), (1, "errors 1/1"));
}

#[test]
fn a_local_root_that_starts_while_its_trace_waits_for_late_spans_is_waited_for() {
    for ends in [true, false] {
        let tail = TailSampling::new().keep(Policy::errors()).with_grace(seconds(5)).with_deadline(seconds(60));
        let service = Service::new(tail);
        let parent = remote(true, &[]);
        service.answer(&parent, 1, false);
        service.pass(seconds(1));
        let second = service.start("second", &parent);
        service.pass(seconds(10));
        assert_eq!(service.health().held_traces, 1);
        if ends {
            second.span().set_status(Status::error("no"));
            end(&second);
            service.pass(seconds(6));
            assert_eq!(service.exported(), "SELECT ot=th:0, GET / ot=th:0 policy=errors, second ot=th:0 policy=errors");
        } else {
            service.pass(seconds(50));
            assert_eq!((service.health().held_traces, service.health().at_deadline), (0, 1));
        }
    }
}

#[test]
fn two_requests_of_one_trace_are_two_decisions_if_they_do_not_overlap() {
    let service = Service::new(TailSampling::new().keep(Policy::errors()));
    let parent = remote(true, &[]);
    for fails in [false, true, false] {
        service.answer(&parent, 1, fails);
        service.pass(seconds(2));
    }
    // The third one follows the second: the trace is kept.
    let kept = "SELECT ot=th:0, GET / ot=th:0 policy=errors";
    assert_eq!(service.exported(), format!("{kept} incomplete=true, {kept}"));
    let health = service.health();
    assert_eq!((health.dropped.total, health.incomplete), (1, 1));
}

#[test]
fn a_long_trace_is_decided_at_the_deadline_and_a_later_error_keeps_the_rest() {
    let tail = || TailSampling::new().keep(Policy::errors()).with_deadline(seconds(10));
    for fails in [false, true] {
        let service = Service::new(tail());
        let root = service.start("job", &Context::new());
        end(&service.start("first", &root));
        service.pass(seconds(5));
        assert_eq!(service.health().held_spans, 1);
        service.pass(seconds(6));
        let health = service.health();
        assert_eq!((health.held_spans, health.at_deadline, health.dropped.total), (0, 1, 1));
        let second = service.start("second", &root);
        if fails {
            second.span().set_status(Status::error("later"));
        }
        end(&second);
        service.pass(seconds(1));
        end(&root);
        service.pass(seconds(1));
        let expected = "second ot=th:0, job ot=th:0 policy=errors incomplete=true";
        assert_eq!(service.exported(), if fails { expected } else { "" });
        assert_eq!(service.health().held_traces, 0);
    }
}

/// A clock in seconds that can be set back.
#[derive(Clone)]
struct Settable(Arc<AtomicU64>);

impl TimeSource for Settable {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.0.load(Ordering::Relaxed) * 1_000_000_000)
    }
}

#[test]
fn a_clock_that_is_set_back_delays_no_decision() {
    let clock = Settable(Arc::new(AtomicU64::new(100_000)));
    let policies = TailSampling::new().keep(Policy::always()).with_grace(seconds(5)).with_deadline(seconds(30));
    let service = Service::with(policies, |builder| builder.with_clock(Clock::from_source(clock.clone())));
    let pass = |time: u64| {
        clock.0.store(time, Ordering::Relaxed);
        (0..2).for_each(|_| service.runtime.run_timers());
    };
    end(&service.start("before", &Context::new()));
    let running = service.start("running", &Context::new());
    end(&service.start("child", &running));
    pass(100_000);
    for step in 0..3 {
        pass(10_000 + 3 * step);
    }
    end(&service.start("after", &Context::new()));
    for step in 3..6 {
        pass(10_000 + 3 * step);
    }
    assert_eq!(service.exported(), "before ot=th:0 policy=always, after ot=th:0 policy=always");
    pass(10_060);
    assert_eq!(service.health().at_deadline, 1);
}

#[test]
fn a_trace_that_was_kept_at_the_deadline_stays_kept() {
    let service = Service::new(TailSampling::new().keep(Policy::errors()).with_deadline(seconds(10)));
    let root = service.start("job", &Context::new());
    let first = service.start("first", &root);
    first.span().set_status(Status::error("early"));
    end(&first);
    service.pass(seconds(11));
    assert_eq!(service.exported(), "first ot=th:0");
    end(&root);
    service.pass(seconds(2));
    assert_eq!(service.exported(), "first ot=th:0, job ot=th:0 policy=errors");
}

#[test]
fn a_trace_that_was_kept_stays_kept_after_a_part_was_lost() {
    let service =
        Service::new(TailSampling::new().keep(Policy::errors()).with_max_traces(1).with_deadline(seconds(10)));
    let root = service.start("job", &Context::new());
    let first = service.start("first", &root);
    first.span().set_status(Status::error("early"));
    end(&first);
    service.pass(seconds(11));
    end(&service.start("lost", &root));
    service.pass(Duration::ZERO);
    let other = service.start("other", &Context::new());
    end(&service.start("child", &other));
    service.pass(Duration::ZERO);
    end(&other);
    service.pass(seconds(1));
    assert_eq!(service.health().evicted.total, 1);
    end(&root);
    service.flushed();
    assert_eq!(service.exported(), "first ot=th:0, job ot=th:0 policy=errors");
}

#[test]
fn spans_that_end_late_follow_the_decision() {
    for fails in [false, true] {
        let service = Service::new(TailSampling::new().keep(Policy::errors()));
        let root = service.start("GET /", &Context::new());
        let [late, later] = ["late", "later"].map(|name| service.start(name, &root));
        if fails {
            root.span().set_status(Status::error("no"));
        }
        end(&root);
        service.runtime.run_timers();
        end(&late);
        service.pass(seconds(1));
        later.span().set_status(Status::error("too late"));
        end(&later);
        service.pass(seconds(1));
        let (kept, dropped) = (service.health().late_kept, service.health().late_dropped);
        if fails {
            assert_eq!(service.exported(), "GET / ot=th:0 policy=errors, late ot=th:0, later ot=th:0");
            assert_eq!((kept.total, kept.errors, dropped.total), (1, 1, 0));
        } else {
            assert_eq!((service.exported().as_str(), kept.total), ("", 0));
            assert_eq!((dropped.total, dropped.errors), (1, 1));
        }
    }
}

#[test]
fn short_of_memory_the_oldest_traces_go_whole_and_are_counted() {
    let all = || TailSampling::new().keep(Policy::always());
    for tail in [all().with_max_traces(10), all().with_max_spans(20), all().with_max_bytes(6_000)] {
        let service = Service::new(tail);
        let roots: Vec<_> = (0..50_u32)
            .map(|number| {
                let root = service.start(format!("GET /{number}"), &Context::new());
                for name in ["a", "b"] {
                    let child = service.start(name, &root);
                    if number == 0 {
                        child.span().set_status(Status::error("lost"));
                    }
                    end(&child);
                }
                root
            })
            .collect();
        service.pass(Duration::ZERO);
        let held = service.health();
        assert!(held.held_traces >= 5 && held.held_traces <= 20, "{held:?}");
        assert_eq!((held.evicted.total, held.evicted.errors), (50 - held.held_traces, 1));
        // Roots whose trace was evicted are decided by themselves, without a weight.
        roots.iter().rev().take(3).for_each(end);
        let spans = service.flushed();
        let whole = |name: &str| spans.iter().filter(|span| span.name == name).count();
        assert_eq!((whole("GET /49"), whole("GET /0")), (1, 0));
        assert_eq!(whole("a"), whole("b"));
        let counted = service.health();
        assert_eq!(counted.evicted.total + counted.kept[0].1.total, 50);
        assert_eq!((counted.held_traces, counted.held_bytes), (0, 0));
    }
}

/// Spans are moved out of old chunks, oldest first, also if chunks that arrived at the same time have taken the places of others.
#[test]
fn a_trace_that_waits_keeps_all_its_spans_while_others_are_lost() {
    let service = Service::new(TailSampling::new().keep(Policy::root_name(["job"])).with_max_spans(2100));
    (0..1000).for_each(|_| end(&service.start("lost", &Context::new())));
    let root = service.start("job", &Context::new());
    (0..2000).for_each(|_| end(&service.start("part", &root)));
    for _ in 0..3 {
        service.pass(seconds(3));
        let held = service.health();
        assert_eq!((held.held_traces, held.held_spans), (1, 2000));
    }
    end(&root);
    service.pass(seconds(1));
    let spans = service.flushed();
    let exported = |name: &str| spans.iter().filter(|span| span.name == name).count();
    assert_eq!((exported("part"), exported("job"), spans.len()), (2000, 1, 2001));
    assert_eq!((service.health().held_spans, service.health().held_bytes), (0, 0));
}

#[test]
fn a_trace_that_waited_while_others_were_lost_has_no_weight() {
    let service = Service::new(TailSampling::new().keep(Policy::always()).with_max_traces(2));
    let roots: Vec<_> = ["lost", "waits", "causes the loss"]
        .map(|name| {
            let root = service.start(name, &Context::new());
            end(&service.start("child", &root));
            service.pass(Duration::ZERO);
            root
        })
        .into();
    assert_eq!(service.health().evicted.total, 1);
    roots.iter().skip(1).for_each(end);
    service.pass(seconds(1));
    service.answer(&Context::new(), 0, false);
    service.pass(seconds(1));
    let unknown = "child, waits policy=always, child, causes the loss policy=always";
    assert_eq!(service.exported(), format!("{unknown}, SELECT ot=th:0, GET / ot=th:0 policy=always"));
}

#[test]
fn the_shutdown_decides_about_everything_that_is_held() {
    let service = Service::new(POLICIES());
    service.answer(&Context::new(), 900, false);
    let running = service.start("job", &Context::new());
    let failed = service.start("failed", &running);
    failed.span().set_status(Status::error("no"));
    end(&failed);
    service.telemetry.shutdown(Deadline::NEVER).unwrap();
    let exported = service.exported();
    assert!(exported.contains("GET / ot=th:0 policy=slower_than") && exported.contains("failed ot=th:0"), "{exported}");
    assert_eq!((service.health().held_spans, service.health().at_deadline), (0, 1));
}

#[test]
fn a_policy_that_panics_keeps_the_trace_and_is_counted() {
    let service = Service::new(TailSampling::new().keep(Policy::when(|_| panic!("bad")).named("mine")));
    service.answer(&Context::new(), 1, false);
    service.flushed();
    assert_eq!(service.exported(), "SELECT ot=th:0, GET / ot=th:0 policy=mine");
    assert_eq!(service.health().panics, 1);
}

#[test]
fn what_is_slow_for_its_name_is_kept() {
    let service = Service::new(TailSampling::new().keep(Policy::slowest(0.95)));
    for number in 0..2000_u64 {
        service.answer(&Context::new(), if number % 100 == 99 { 100 } else { 10 + number % 7 }, false);
        if number % 100 == 0 {
            service.pass(Duration::ZERO);
        }
    }
    let spans = service.flushed();
    let slow = spans.iter().filter(|span| span.name == "GET /" && span.duration() > Duration::from_millis(99)).count();
    assert!((18..=20).contains(&slow), "{slow} of 20, of which the first may come before enough is known");
    assert!(spans.len() < 300, "{}", spans.len());
}

#[test]
fn a_budget_is_kept_on_average_and_weights_recover_the_counts() {
    let budget = Budget::per_second(20.0);
    let tail =
        TailSampling::new().keep(Policy::errors().within(&budget)).keep(Policy::always().named("rest").within(&budget));
    let service = Service::new(tail);
    // The random values come from the caller, and are the same in each run.
    let mut random = 1_u64;
    for second in 0..120 {
        for number in 0..200 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let caller = remote(true, &[("ot", &format!("rv:{:014x}", random >> 8))]);
            service.answer(&caller, 0, number % 40 == 0);
        }
        service.pass(seconds(1));
        if second == 59 {
            service.spans.clear();
        }
    }
    let spans = service.flushed();
    let roots = || spans.iter().filter(|span| span.parent_is_remote);
    let kept = roots().count();
    // 20 a second over 60 seconds; errors are 5 of them.
    assert!((1000..=1400).contains(&kept), "{kept}");
    let errors = spans.iter().filter(|span| span.status != Status::Unset).count();
    assert_eq!(errors, 5 * 60);
    let recovered = weight(roots()).unwrap();
    assert!((recovered - 12_000.0).abs() < 1800.0, "{recovered}");
}

#[test]
fn what_is_sampled_because_of_an_error_has_no_threshold_of_the_sampler() {
    let service = Service::with(TailSampling::new().keep(Policy::errors()).with_errors_told(true), |builder| {
        builder.with_sampler(ParentBased::new(AlwaysOff))
    });
    let state = TraceState::from_key_value([("ot", "th:8;rv:00000000000001"), ("a", "b")]).unwrap();
    let remote = SpanContext::new(TraceId::from(7), SpanId::from(7), TraceFlags::default(), true, state);
    let remote = Context::new().with_remote_span_context(remote);
    let root = service.start("GET /", &remote);
    root.span().set_status(Status::error("no"));
    // A child, and another local root of the trace.
    let calls = [service.start("call", &root), service.start("GET /", &remote)];
    for call in &calls {
        let context = call.span().span_context().clone();
        assert!(context.is_sampled());
        assert_eq!(context.trace_state().get("ot"), Some("rv:00000000000001"));
        assert_eq!(context.trace_state().get("a"), Some("b"));
    }
}

#[test]
fn an_error_known_before_a_call_keeps_the_part_of_the_other_service() {
    let first = Service::with(TailSampling::new().keep(Policy::errors()).with_errors_told(true), |builder| {
        builder.with_sampler(ParentBased::new(AlwaysOff))
    });
    let second = Service::new(TailSampling::new().keep(Policy::head_sampled()));
    let mut told = Vec::new();
    for fails in [false, true] {
        let root = first.start("GET /", &Context::new());
        let early = first.start("early", &root);
        let failing = first.start("query", &root);
        if fails {
            failing.span().set_status(Status::error("no"));
        }
        end(&failing);
        let call = first.start("call", &root);
        let sent = call.span().span_context().clone();
        told.push((early.span().span_context().is_sampled(), sent.is_sampled(), sent.trace_state().header()));
        let received = SpanContext::new(sent.trace_id(), sent.span_id(), sent.trace_flags(), true, TraceState::NONE);
        second.answer(&Context::new().with_remote_span_context(received), 1, false);
        [call, early, root].iter().for_each(end);
    }
    assert_eq!(told, [(false, false, String::new()), (false, true, String::new())]);
    let traces = |service: &Service| service.flushed().iter().map(SpanData::trace_id).collect::<HashSet<_>>();
    let (kept, kept_by_the_other) = (traces(&first), traces(&second));
    assert_eq!((kept.len(), &kept), (1, &kept_by_the_other));
    // The other service cannot know the probability of an error here.
    assert_eq!(second.exported(), "SELECT, GET / policy=head_sampled");
}

#[test]
fn two_services_each_decide_about_their_part() {
    let [first, second] = [(); 2].map(|()| Service::new(POLICIES()));
    let (mut chosen, mut errors) = (HashSet::new(), HashSet::new());
    for number in 0..2000 {
        let root = first.start("GET /", &Context::new());
        let call = first.start("call", &root);
        let sent = call.span().span_context().clone();
        let received = SpanContext::new(sent.trace_id(), sent.span_id(), sent.trace_flags(), true, TraceState::NONE);
        second.answer(&Context::new().with_remote_span_context(received), 1, number % 100 == 0);
        tenth_keeps(sent.trace_id()).then(|| chosen.insert(sent.trace_id()));
        (number % 100 == 0).then(|| errors.insert(sent.trace_id()));
        end(&call);
        end(&root);
    }
    let traces = |service: &Service| service.flushed().iter().map(SpanData::trace_id).collect::<HashSet<_>>();
    // The same probability keeps the same traces. The errors of the second service are partial, unless they are among these.
    assert_eq!((traces(&first), traces(&second)), (chosen.clone(), &chosen | &errors));
    for (service, errors) in [(&first, HashSet::new()), (&second, errors)] {
        let spans = service.spans.items();
        let is_root = |span: &&SpanData| span.parent_span_id == SpanId::INVALID || span.parent_is_remote;
        let of = |kind: &HashSet<TraceId>| {
            weight(spans.iter().filter(is_root).filter(|root| kind.contains(&root.trace_id())))
        };
        let rest = &chosen - &errors;
        assert_eq!((of(&errors), of(&rest)), (Some(errors.len() as f64), Some(tenths(rest.len()))));
    }
}

#[test]
fn log_records_follow_their_traces() {
    let sampled_only = || LogVolume::new().with_sampled_traces_only(true);
    check_logs(|builder| builder.with_log_volume(sampled_only()), |_| ());
    check_logs(|builder| builder, |control| control.set_log_volume(sampled_only()));
}

fn check_logs(configure: impl FnOnce(TelemetryBuilder) -> TelemetryBuilder, change: impl FnOnce(Control)) {
    let configure = |builder: TelemetryBuilder| configure(builder.with_sampler(ParentBased::new(AlwaysOff)));
    let service = Service::with(TailSampling::new().keep(Policy::errors()).with_logs_held(true), configure);
    change(service.telemetry.control());
    let say = |context: &Context, text: String, severity| service.say(context, text, severity);
    for fails in [false, true] {
        let root = service.start("GET /", &Context::new());
        say(&root, format!("first {fails}"), Severity::Info);
        say(&root, format!("warning {fails}"), Severity::Warn);
        service.pass(seconds(1));
        if fails {
            root.span().set_status(Status::error("no"));
        }
        end(&root);
        service.pass(seconds(1));
        say(&root, format!("late {fails}"), Severity::Info);
        service.pass(seconds(1));
    }
    say(&Context::new(), "outside".to_owned(), Severity::Info);
    service.telemetry.force_flush(Deadline::NEVER).unwrap();
    let text = logs_text(&service.logs.items());
    let said: Vec<_> = text.lines().map(|line| line.split(" trace").next().unwrap_or_default()).collect();
    assert!(text.contains("warning false") && text.contains("first true") && text.contains("late true"), "{text}");
    assert!(!text.contains("first false") && !text.contains("late false"), "{text}");
    assert!(text.contains("outside") && said.len() == 5, "{text}");
    assert_eq!(service.telemetry.health().logs[0].dropped_by_stage, 2);
}

#[test]
fn what_cannot_be_used_is_an_error_that_names_the_argument() {
    let check = |tail: TailSampling, expected: &str| {
        let builder = Telemetry::builder(Env::from_pairs([("", "")])).with_span_exporter(InMemoryExporter::new());
        let error = builder.with_tail_sampling(tail).build().unwrap_err().to_string();
        assert_eq!(error, expected);
    };
    let one = |policy| TailSampling::new().keep(policy);
    check(TailSampling::new(), "tail_sampling: has no policy, so every trace would be dropped");
    check(
        one(Policy::probability(1.5)),
        "tail_sampling.probability=\"1.5\" cannot be used: expected a number above 0 and up to 1",
    );
    check(
        one(Policy::errors().and(Policy::slowest(99.0))),
        "tail_sampling.slowest=\"99\" cannot be used: expected a number between 0 and 1, such as 0.99",
    );
    check(
        one(Policy::per_second(0.0)),
        "tail_sampling.traces_per_second=\"0\" cannot be used: expected a number above 0",
    );
    let many = (0..64).fold(TailSampling::new(), |tail, _| tail.keep(Policy::attribute("a", ["b"])));
    check(many, "tail_sampling: has more than 63 policies that look at spans");
}

#[test]
fn a_sampler_that_is_replaced_changes_what_is_sent_and_not_what_is_kept() {
    let service = Service::new(TailSampling::new().keep(Policy::errors()));
    for (sampler, is_sampled) in [(Box::new(AlwaysOff) as Box<dyn Sampler>, false), (Box::new(AlwaysOn), true)] {
        service.telemetry.handle().control().set_sampler(sampler);
        let sent = service.answer(&Context::new(), 1, true);
        assert_eq!(sent.is_sampled(), is_sampled);
    }
    assert_eq!(service.flushed().len(), 4);
}

#[test]
fn decisions_are_metrics_of_the_sdk() {
    let reader = PullReader::default();
    let service = Service::with(TailSampling::new().keep(Policy::errors()), |builder| {
        builder.with_metric_reader(reader.clone()).with_self_metrics()
    });
    for fails in [true, false, false] {
        service.answer(&Context::new(), 1, fails);
    }
    service.pass(seconds(1));
    let running = service.start("job", &Context::new());
    end(&service.start("child", &running));
    service.pass(seconds(1));
    let page = metrics_text(&reader.collect(Deadline::NEVER).unwrap());
    let of_tail: Vec<_> = page.lines().map(str::trim).filter(|line| line.contains("sdk.tail")).collect();
    let expected = [
        "decided[{trace}]{telemark.sampling.policy=errors,telemark.sampling.result=kept,telemark.sampling.was_error=true} sum 1",
        "decided[{trace}]{telemark.sampling.result=dropped,telemark.sampling.was_error=false} sum 2",
        "held[{trace}] up-down sum 1",
    ]
    .map(|line| format!("telemark.sdk.tail.{line}"));
    for line in expected {
        assert!(of_tail.contains(&line.as_str()), "{line}\n{page}");
    }
}

#[test]
fn a_configuration_file_has_the_same_policies() {
    use telemark_sdk::config::{Data, Item, Tree};
    let text = |text: &str| Item::new(Data::Text(text.to_owned()));
    let of_file = |policies: Vec<Item>| {
        let tail = Item::mapping([("policies", Item::new(Data::List(policies)))]);
        let telemark = Item::mapping([("telemark", Item::mapping([("tail_sampling", tail)]))]);
        let processor = Item::mapping([("none", Item::mapping(Vec::<(&str, Item)>::new()))]);
        let provider = Item::mapping([("processors", Item::new(Data::List(vec![processor])))]);
        let root = [("file_format", text("1.2")), ("tracer_provider", provider), ("distribution", telemark)];
        Tree::new("telemark.yaml", Item::mapping(root))
    };
    let build = |policies: Vec<Item>| {
        let spans = InMemoryExporter::<Traces>::new();
        let builder = Telemetry::builder(Env::from_pairs([("", "")]))
            .with_runtime(Runtime::Manual(ManualRuntime::new()))
            .with_span_exporter(spans.clone())
            .with_config(of_file(policies));
        builder.build().map(|telemetry| (telemetry, spans))
    };
    let errors = Item::mapping([("errors", Item::mapping([("name", text("failed"))]))]);
    let (telemetry, spans) = build(vec![errors]).unwrap();
    let tracer = telemetry.tracer("shop");
    for fails in [false, true] {
        let root = Context::new().with_span(tracer.start_with_context("GET /", &Context::new()));
        if fails {
            root.span().set_status(Status::error("no"));
        }
        root.span().end();
    }
    telemetry.force_flush(Deadline::NEVER).unwrap();
    assert_eq!(spans.items().len(), 1);
    assert_eq!(telemetry.health().tail.unwrap().kept[0].0, "failed");
    let ratio = Item::mapping([("ratio", Item::new(Data::Integer(0)))]);
    let error = build(vec![Item::mapping([("probability", ratio)])]).map(drop).unwrap_err().to_string();
    assert!(error.contains("a number above 0 and up to 1"), "{error}");
}
