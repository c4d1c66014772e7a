//! The behaviour of providers, tracers and spans through the API, shown as span trees.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{
    Event, Link, Span, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer,
    TracerProvider,
};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use telemark_sdk::config::Env;
use telemark_sdk::diag::{Counters, SignalHealth};
use telemark_sdk::id::IdGenerator;
use telemark_sdk::install::Telemetry;
use telemark_sdk::limits::{AttributeLimits, SpanLimits};
use telemark_sdk::sampling::{AlwaysOff, AlwaysOn, Decision, ParentBased, Sampler, SamplingRequest, SamplingResult};
use telemark_sdk::testing::TestTelemetry;
use telemark_sdk::time::{Clock, Deadline, TimeSource, Timestamp};
use telemark_sdk::trace::{Attention, SdkSpan, SdkTracerProvider, SpanData, SpanProcessor};

fn remote(trace: u128, span: u64, flags: u8) -> SpanContext {
    SpanContext::new(TraceId::from(trace), SpanId::from(span), TraceFlags::new(flags), true, TraceState::NONE)
}

#[test]
fn a_tree_through_the_current_context() {
    let telemetry = TestTelemetry::new();
    let tracer = telemetry.tracer("test");
    tracer.in_span("root", |cx| {
        cx.span().set_attribute(KeyValue::new("a", 1));
        tracer.in_span("child", |_| tracer.in_span("grandchild", |_| {}));
        let mut sibling = tracer.span_builder("sibling").with_kind(SpanKind::Client).start(&tracer);
        sibling.set_status(Status::error("broken"));
        sibling.end();
    });
    assert_eq!(telemetry.tree(), "root a=1\n  child\n    grandchild\n  sibling (client) error[broken]\n");
}

#[test]
fn everything_a_builder_may_carry() {
    let telemetry = TestTelemetry::new();
    let tracer = telemetry.tracer("test");
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
    let mut span = tracer
        .span_builder("s")
        .with_kind(SpanKind::Producer)
        .with_start_time(start)
        .with_attributes([KeyValue::new("a", 1), KeyValue::new("b", "x"), KeyValue::new("a", 2)])
        .with_events(vec![Event::new("e", start, vec![KeyValue::new("k", true)], 0)])
        .with_links(vec![Link::new(remote(7, 8, 1), vec![KeyValue::new("l", 1.5)], 0)])
        .start(&tracer);
    span.update_name("renamed");
    span.add_event("later", vec![]);
    span.add_link(remote(9, 10, 0), vec![]);
    span.end_with_timestamp(start + Duration::from_secs(5));
    assert_eq!(
        telemetry.tree(),
        "renamed (producer) a=2 b=x\n  * e k=true\n  * later\n  \
         > 00000000000000000000000000000007:0000000000000008 l=1.5\n  \
         > 00000000000000000000000000000009:000000000000000a\n"
    );
    let span = &telemetry.spans()[0];
    assert_eq!((span.start.as_nanos(), span.duration()), (1_000_000_000_000, Duration::from_secs(5)));
}

#[test]
fn the_scope_of_a_span_is_its_tracers() {
    let telemetry = TestTelemetry::new();
    let scope = InstrumentationScope::builder("lib").with_version("1.2").with_schema_url("https://s").build();
    telemetry.provider().tracer_with_scope(scope.clone()).start("s").end();
    assert_eq!(*telemetry.spans()[0].scope, scope);
}

#[test]
fn a_span_ends_once_and_no_longer_records() {
    let telemetry = TestTelemetry::new();
    let mut span = telemetry.tracer("test").start("s");
    assert!(span.is_recording());
    let context = span.span_context().clone();
    span.end();
    assert!(!span.is_recording());
    assert_eq!(span.span_context(), &context);
    span.set_attribute(KeyValue::new("late", 1));
    span.add_event("late", vec![]);
    span.end();
    drop(span);
    assert_eq!(telemetry.tree(), "s\n");
}

#[test]
fn dropping_a_span_ends_it() {
    let telemetry = TestTelemetry::new();
    let span = telemetry.tracer("test").start("s");
    telemetry.clock.advance(Duration::from_millis(3));
    drop(span);
    assert_eq!(telemetry.spans()[0].duration(), Duration::from_millis(3));
}

#[test]
fn an_end_before_the_start_becomes_the_start() {
    let telemetry = TestTelemetry::new();
    // One nanosecond after the epoch, because the epoch itself represents the current time.
    telemetry.tracer("test").start("s").end_with_timestamp(SystemTime::UNIX_EPOCH + Duration::from_nanos(1));
    let span = &telemetry.spans()[0];
    assert_eq!(span.start, span.end);
}

/// spec: trace/api.md#set-status
#[test]
fn ok_is_final_and_nothing_takes_a_status_back() {
    let check = |given: &[Status], expected: Status| {
        let telemetry = TestTelemetry::new();
        let mut span = telemetry.tracer("test").start("s");
        given.iter().for_each(|status| span.set_status(status.clone()));
        drop(span);
        assert_eq!(telemetry.spans()[0].status, expected, "{given:?}");
    };
    check(&[], Status::Unset);
    check(&[Status::error("a"), Status::Unset], Status::error("a"));
    check(&[Status::error("a"), Status::error("b")], Status::error("b"));
    check(&[Status::error("a"), Status::Ok], Status::Ok);
    check(&[Status::Ok, Status::error("a")], Status::Ok);
}

#[test]
fn limits_drop_and_count() {
    let mut limits = SpanLimits::DEFAULT;
    limits.attributes = AttributeLimits::new(2, Some(3));
    (limits.events, limits.links) = (1, 1);
    (limits.attributes_per_event, limits.attributes_per_link) = (1, 0);
    let telemetry = TestTelemetry::with(|builder| builder.with_limits(limits));
    let tracer = telemetry.tracer("test");
    let mut span = tracer.span_builder("s").with_attributes([KeyValue::new("a", "abcdef")]).start(&tracer);
    span.set_attribute(KeyValue::new("b", 1));
    span.set_attribute(KeyValue::new("c", 2));
    span.set_attribute(KeyValue::new("a", "overwritten"));
    span.add_event("e1", vec![KeyValue::new("x", "12345"), KeyValue::new("y", 1)]);
    span.add_event("e2", vec![]);
    span.add_link(remote(1, 1, 1), vec![KeyValue::new("z", 1)]);
    span.add_link(remote(2, 2, 1), vec![]);
    drop(span);
    assert_eq!(
        telemetry.tree(),
        "s a=ove b=1 (1 attributes dropped)\n  * e1 x=123 (1 attributes dropped)\n  \
         > 00000000000000000000000000000001:0000000000000001 (1 attributes dropped)\n  \
         1 events dropped\n  1 links dropped\n"
    );
}

#[test]
fn a_link_without_a_valid_context_counts_only_for_what_it_says() {
    let telemetry = TestTelemetry::new();
    let mut span = telemetry.tracer("test").start("s");
    span.add_link(SpanContext::NONE, vec![]);
    span.add_link(SpanContext::NONE, vec![KeyValue::new("why", "batch")]);
    drop(span);
    assert_eq!(telemetry.spans()[0].links.len(), 1);
}

/// Checks the flags of a new root span, of a child of a remote parent with random ids, and of a child of a remote
/// parent without random ids.
#[test]
fn the_random_flag_starts_with_the_trace_and_is_kept() {
    let telemetry = TestTelemetry::with(|builder| builder.with_id_generator(telemark_sdk::id::RandomIds));
    let tracer = telemetry.tracer("test");
    let flags = |parent: &Context| tracer.start_with_context("s", parent).span_context().trace_flags().to_u8();
    assert_eq!(flags(&Context::new()), 0b11);
    assert_eq!(flags(&Context::new().with_remote_span_context(remote(1, 1, 0b11))), 0b11);
    assert_eq!(flags(&Context::new().with_remote_span_context(remote(1, 1, 0b01))), 0b01);
    assert_eq!(flags(&Context::new().with_remote_span_context(remote(1, 1, 0b1111_0001))), 0b01);
    let counted = TestTelemetry::new();
    assert_eq!(counted.tracer("test").start("s").span_context().trace_flags().to_u8(), 0b01);
}

#[test]
fn a_remote_parent_gives_trace_state_and_remoteness() {
    let telemetry = TestTelemetry::new();
    let state = TraceState::from_key_value([("vendor", "1")]).unwrap();
    let parent = SpanContext::new(TraceId::from(5), SpanId::from(6), TraceFlags::SAMPLED, true, state.clone());
    let cx = Context::new().with_remote_span_context(parent);
    drop(telemetry.tracer("test").start_with_context("s", &cx));
    let span = &telemetry.spans()[0];
    assert_eq!(span.context.trace_id(), TraceId::from(5));
    assert_eq!(span.parent_span_id, SpanId::from(6));
    assert!(span.parent_is_remote && !span.context.is_remote());
    assert_eq!(span.context.trace_state(), &state);
}

#[test]
fn a_dropped_span_has_its_own_id_and_its_children_are_dropped() {
    let telemetry = TestTelemetry::with(|builder| builder.with_sampler(ParentBased::new(AlwaysOff)));
    let tracer = telemetry.tracer("test");
    tracer.in_span("root", |cx| {
        let context = cx.span().span_context().clone();
        assert!(context.is_valid() && !context.is_sampled() && !cx.span().is_recording());
        let child = tracer.start("child");
        assert_eq!(child.span_context().trace_id(), context.trace_id());
        assert_ne!(child.span_context().span_id(), context.span_id());
        assert!(!child.is_recording());
    });
    assert_eq!(telemetry.tree(), "");
}

/// A sampler that records without sampling, adds an attribute and changes the trace state.
#[derive(Debug)]
struct RecordOnly;

impl Sampler for RecordOnly {
    fn sample(&self, request: &SamplingRequest<'_>) -> SamplingResult {
        assert_eq!(request.attributes, [KeyValue::new("early", 1)]);
        SamplingResult::new(Decision::RecordOnly)
            .with_attributes(vec![KeyValue::new("by", "sampler")])
            .with_trace_state(TraceState::from_key_value([("k", "v")]).unwrap())
    }

    fn description(&self) -> Cow<'static, str> {
        "RecordOnly".into()
    }
}

/// Records everything it observes.
#[derive(Clone, Debug, Default)]
struct Witness(Arc<std::sync::Mutex<Vec<String>>>);

impl SpanProcessor for Witness {
    fn on_start(&self, span: &mut SdkSpan, parent: &Context) {
        span.set_attribute(KeyValue::new("seen", true));
        let name = span.data().unwrap().name.clone();
        self.0.lock().unwrap().push(format!("start {name} under {}", parent.span().span_context().span_id()));
    }

    fn on_ending(&self, span: &mut SpanData) {
        span.name = format!("{}!", span.name).into();
        self.0.lock().unwrap().push(format!("ending {}", span.name));
    }

    fn on_end(&self, span: SpanData) {
        let attributes: Vec<_> = span.attributes().map(|a| format!("{}={}", a.key, a.value)).collect();
        self.0.lock().unwrap().push(format!("end {} {}", span.name, attributes.join(" ")));
    }
}

#[test]
fn record_only_spans_reach_the_processors_but_no_exporter() {
    let witness = Witness::default();
    let telemetry = TestTelemetry::with(|builder| builder.with_sampler(RecordOnly).with_processor(witness.clone()));
    let tracer = telemetry.tracer("test");
    let span = tracer.span_builder("s").with_attributes([KeyValue::new("early", 1)]).start(&tracer);
    assert!(span.is_recording() && !span.span_context().is_sampled());
    assert_eq!(span.span_context().trace_state().get("k"), Some("v"));
    drop(span);
    assert_eq!(telemetry.tree(), "");
    assert_eq!(
        *witness.0.lock().unwrap(),
        ["start s under 0000000000000000", "ending s!", "end s! early=1 by=sampler seen=true"]
    );
}

/// Counts the calls of a processor that pays attention only at times.
#[derive(Debug, Default)]
struct Attentive(Attention, Arc<AtomicUsize>, Arc<AtomicUsize>);

impl SpanProcessor for Attentive {
    fn on_start(&self, _: &mut SdkSpan, _: &Context) {
        self.1.fetch_add(1, Ordering::Relaxed);
    }

    fn on_ending(&self, _: &mut SpanData) {
        self.2.fetch_add(1, Ordering::Relaxed);
    }

    fn attention(&self) -> Option<Attention> {
        Some(self.0.clone())
    }

    fn on_end(&self, _: SpanData) {}
}

#[test]
fn a_processor_sees_spans_start_and_end_while_its_switch_is_on() {
    let processor = Attentive::default();
    let (attention, starts, endings) = (processor.0.clone(), processor.1.clone(), processor.2.clone());
    let counts = || (starts.load(Ordering::Relaxed), endings.load(Ordering::Relaxed));
    let telemetry = TestTelemetry::with(|builder| builder.with_processor(processor));
    let tracer = telemetry.tracer("test");
    drop(tracer.start("unseen"));
    assert_eq!(counts(), (0, 0));
    let early = tracer.start("started before");
    attention.set(true);
    drop(early);
    let late = tracer.start("ended after");
    assert_eq!(counts(), (1, 1));
    attention.set(false);
    drop(late);
    assert_eq!(counts(), (1, 1));
    assert_eq!(telemetry.spans().len(), 3);
}

#[test]
fn another_processor_sees_all_spans_whatever_the_switch() {
    let witness = Witness::default();
    let telemetry =
        TestTelemetry::with(|builder| builder.with_processor(Attentive::default()).with_processor(witness.clone()));
    drop(telemetry.tracer("test").start("s"));
    assert_eq!(witness.0.lock().unwrap().len(), 3);
}

#[test]
fn processors_run_in_order_and_each_sees_the_whole_span() {
    let (first, second) = (Witness::default(), Witness::default());
    let provider = SdkTracerProvider::builder().with_processor(first.clone()).with_processor(second.clone()).build();
    drop(provider.tracer("test").start("s"));
    assert_eq!(first.0.lock().unwrap()[1..], ["ending s!", "end s!! seen=true"]);
    assert_eq!(second.0.lock().unwrap()[1..], ["ending s!!", "end s!! seen=true"]);
}

#[derive(Debug)]
struct Panics;

impl SpanProcessor for Panics {
    fn on_start(&self, _: &mut SdkSpan, _: &Context) {
        panic!("on purpose");
    }

    fn on_end(&self, _: SpanData) {
        panic!("on purpose");
    }
}

impl Sampler for Panics {
    fn sample(&self, _: &SamplingRequest<'_>) -> SamplingResult {
        panic!("on purpose");
    }

    fn description(&self) -> Cow<'static, str> {
        "Panics".into()
    }
}

#[test]
fn a_processor_or_a_sampler_that_panics_never_reaches_the_host() {
    let provider = SdkTracerProvider::builder().with_processor(Panics).build();
    drop(provider.tracer("test").start("s"));
    let telemetry = TestTelemetry::with(|builder| builder.with_sampler(Panics));
    assert!(!telemetry.tracer("test").start("s").is_recording());
}

#[test]
fn a_processor_that_panics_takes_the_span_from_no_other_one() {
    let witness = Witness::default();
    let telemetry = TestTelemetry::with(|builder| {
        builder.with_processor(EndPanics).with_processor(witness.clone()).with_processor(EndPanics)
    });
    for _ in 0..2 {
        drop(telemetry.tracer("test").start("s"));
    }
    let ends = witness.0.lock().unwrap().iter().filter(|seen| seen.starts_with("end s!")).count();
    assert_eq!((ends, telemetry.spans().len()), (2, 2));
}

/// Panics whenever it is asked about itself, and when it is dropped.
#[derive(Debug)]
struct Shy;

impl SpanProcessor for Shy {
    fn wants_start(&self) -> bool {
        std::panic::panic_any(Bomb)
    }

    fn wants_ending(&self) -> bool {
        std::panic::panic_any(Bomb)
    }

    fn on_end(&self, _: SpanData) {}

    fn health(&self) -> Option<SignalHealth> {
        std::panic::panic_any(Bomb)
    }

    fn all_counters(&self) -> Vec<Arc<Counters>> {
        std::panic::panic_any(Bomb)
    }
}

impl Drop for Shy {
    fn drop(&mut self) {
        std::panic::panic_any(Bomb)
    }
}

/// A sampler that panics whenever it is asked about itself.
#[derive(Debug)]
struct ShySampler;

impl Sampler for ShySampler {
    fn sample(&self, _: &SamplingRequest<'_>) -> SamplingResult {
        SamplingResult::new(Decision::RecordAndSample)
    }

    fn description(&self) -> Cow<'static, str> {
        std::panic::panic_any(Bomb)
    }

    fn drops_below_unsampled_parents(&self) -> bool {
        std::panic::panic_any(Bomb)
    }

    fn samples_below_sampled_parents(&self) -> bool {
        std::panic::panic_any(Bomb)
    }

    fn samples_roots(&self) -> bool {
        std::panic::panic_any(Bomb)
    }
}

impl Drop for ShySampler {
    fn drop(&mut self) {
        std::panic::panic_any(Bomb)
    }
}

struct BrokenClock;

impl TimeSource for BrokenClock {
    fn now(&self) -> Timestamp {
        std::panic::panic_any(Bomb)
    }
}

impl Drop for BrokenClock {
    fn drop(&mut self) {
        std::panic::panic_any(Bomb)
    }
}

/// An id generator that panics whenever it is asked, and when it is dropped.
#[derive(Debug)]
struct ShyIds;

impl IdGenerator for ShyIds {
    fn trace_id(&self) -> TraceId {
        std::panic::panic_any(Bomb)
    }

    fn span_id(&self) -> SpanId {
        std::panic::panic_any(Bomb)
    }
}

impl Drop for ShyIds {
    fn drop(&mut self) {
        std::panic::panic_any(Bomb)
    }
}

#[test]
fn what_a_processor_a_sampler_or_a_clock_says_about_itself_never_panics_into_the_host() {
    let witness = Witness::default();
    let provider = SdkTracerProvider::builder()
        .with_processor(Shy)
        .with_processor(witness.clone())
        .with_sampler(ParentBased::new(ShySampler).with_local_parent_sampled(ShySampler))
        .with_id_generator(ShyIds)
        .with_clock(Clock::from_source(BrokenClock))
        .build();
    drop(provider.tracer("test").start("s"));
    assert!(provider.health().is_empty());
    assert!(provider.force_flush(Deadline::NEVER).is_ok() && provider.shutdown(Deadline::NEVER).is_ok());
    let ends = witness.0.lock().unwrap().iter().filter(|seen| seen.starts_with("end s!")).count();
    assert_eq!(ends, 1);
    drop(provider);
}

/// Panics with a payload that panics again when dropped.
#[derive(Debug)]
struct EndPanics;

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("on purpose, in the destructor of a payload");
    }
}

impl SpanProcessor for EndPanics {
    fn on_ending(&self, _: &mut SpanData) {
        std::panic::panic_any(Bomb);
    }

    fn on_end(&self, _: SpanData) {
        std::panic::panic_any(Bomb);
    }
}

#[test]
fn after_shutdown_nothing_is_recorded_and_what_was_open_is_counted() {
    let telemetry = TestTelemetry::new();
    let tracer = telemetry.tracer("test");
    let open = tracer.start("open");
    drop(tracer.start("before"));
    telemetry.provider().shutdown(Deadline::NEVER).unwrap();
    telemetry.provider().shutdown(Deadline::NEVER).unwrap();
    assert!(!tracer.enabled());
    assert!(!tracer.start("after").is_recording());
    drop(open);
    assert_eq!(telemetry.tree(), "before\n");
    assert_eq!(telemetry.exporter.shutdowns(), 1);
    let health = telemetry.provider().health();
    assert_eq!((health[0].exported, health[0].dropped_after_shutdown), (1, 1));
}

#[test]
fn without_a_processor_spans_have_ids_that_travel_on_and_keep_nothing() {
    let provider = SdkTracerProvider::builder().build();
    let tracer = provider.tracer("test");
    assert!(!tracer.enabled());
    let root = tracer.start("s");
    // spec: trace/sdk.md#sampling — a sampled span always records.
    assert!(root.span_context().is_valid() && root.span_context().is_sampled() && root.is_recording());

    let cx = Context::new().with_remote_span_context(remote(3, 4, 1));
    let mut span = tracer.span_builder("s").with_attributes([KeyValue::new("a", 1)]).start_with_context(&tracer, &cx);
    assert_eq!(span.span_context().trace_id(), remote(3, 4, 1).trace_id());
    assert_ne!(span.span_context().span_id(), remote(3, 4, 1).span_id());
    assert!(span.span_context().is_sampled());
    span.set_attribute(KeyValue::new("b", 1));
    span.add_event("e", Vec::new());
    span.add_link(remote(5, 6, 1), Vec::new());
    let data = span.data().unwrap();
    assert!(data.own_attributes.is_empty() && data.events.is_empty() && data.links.is_empty());

    let cx = Context::new().with_remote_span_context(remote(3, 4, 0));
    let span = tracer.start_with_context("s", &cx);
    assert!(!span.is_recording() && !span.span_context().is_sampled());
}

#[test]
fn disabled_traces_have_no_ids_and_the_parents_context_travels_on() {
    let env = Env::from_pairs([("OTEL_SDK_DISABLED", "true")]);
    let telemetry = Telemetry::builder(env).build().unwrap();
    assert!(!telemetry.tracer("test").start("s").span_context().is_valid());
    let cx = Context::new().with_remote_span_context(remote(3, 4, 1));
    let span = telemetry.tracer("test").start_with_context("s", &cx);
    assert!(!span.is_recording());
    assert_eq!(span.span_context(), &remote(3, 4, 1));
}

#[test]
fn suppressed_telemetry_records_nothing() {
    let telemetry = TestTelemetry::new();
    let _suppressed = Context::enter_telemetry_suppressed_scope();
    assert!(!telemetry.tracer("test").start("s").is_recording());
}

#[test]
fn instances_beside_each_other_do_not_mix() {
    let (one, two) = (TestTelemetry::new(), TestTelemetry::new());
    one.tracer("test").in_span("in one", |_| drop(two.tracer("test").start("in two")));
    assert_eq!(one.tree(), "in one\n");
    assert_eq!(two.tree(), "in two\n");
}

/// Samples everything, counts the spans about which it is asked, and may say that it samples all roots.
#[derive(Debug)]
struct Counting {
    calls: Arc<AtomicUsize>,
    says_so: bool,
}

impl Sampler for Counting {
    fn sample(&self, request: &SamplingRequest<'_>) -> SamplingResult {
        self.calls.fetch_add(1, Ordering::Relaxed);
        AlwaysOn.sample(request)
    }

    fn description(&self) -> Cow<'static, str> {
        "Counting".into()
    }

    fn samples_roots(&self) -> bool {
        self.says_so
    }
}

#[test]
fn the_sampler_sees_each_span_once_unless_it_says_that_it_samples_all_roots() {
    let roots = [false, true].map(|says_so| {
        let calls = Arc::new(AtomicUsize::new(0));
        // A test's telemetry has ids of its own, for which the sampler is always asked.
        let provider = SdkTracerProvider::builder().with_sampler(Counting { calls: calls.clone(), says_so }).build();
        let tracer = provider.tracer("test");
        tracer.in_span("a", |_| drop(tracer.start("b")));
        assert_eq!(calls.load(Ordering::Relaxed), 2 - usize::from(says_so));
        // The tracer reads a parent that is none, as a propagator returns for a bad header, like no parent.
        let state = TraceState::from_key_value([("vendor", "x")]).unwrap();
        let none = SpanContext::new(TraceId::INVALID, SpanId::INVALID, TraceFlags::default(), true, state);
        [Context::new(), Context::new().with_remote_span_context(none)].map(|parent| {
            let root = tracer.start_with_context("root", &parent);
            let context = root.span_context();
            assert!(context.is_valid() && !context.is_remote());
            (context.trace_flags(), context.trace_state().header())
        })
    });
    assert_eq!(roots[0], roots[1]);
}
