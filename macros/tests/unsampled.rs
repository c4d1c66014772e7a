//! Spans below an unsampled parent are not recorded, have their own ids, and allocate nothing.

#![allow(clippy::unwrap_used, clippy::panic, reason = "panics are what is tested")]

mod support;

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;

use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer, TracerProvider,
};
use support::{block_on, poll_once, yield_now};
use telemark::traced;
use telemark_sdk::propagation::{B3Propagator, TraceContextPropagator};
use telemark_sdk::sampling::AlwaysOff;
use telemark_sdk::testing::TestTelemetry;
use telemark_sdk::trace::{SdkTracerProvider, SpanData, SpanProcessor, active};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// Returns the header of a request to another service: the ids of the trace and of the span, and the flags.
fn call() -> (String, String, String) {
    let mut headers = HashMap::new();
    TraceContextPropagator::new().inject_context(&Context::current(), &mut headers);
    let parts: Vec<_> = headers["traceparent"].split('-').map(str::to_owned).collect();
    let mut b3 = HashMap::new();
    B3Propagator::single().inject_context(&Context::current(), &mut b3);
    assert_eq!(b3["b3"], format!("{}-{}-{}", parts[1], parts[2], u8::from(parts[3].ends_with(['1', '3']))));
    let current = telemark::current_span_context();
    assert_eq!((current.trace_id().to_string(), current.span_id().to_string()), (parts[1].clone(), parts[2].clone()));
    (parts[1].clone(), parts[2].clone(), parts[3].clone())
}

/// Returns the span id of a call below the unsampled parent.
fn id() -> String {
    let (trace, span, flags) = call();
    assert_eq!((trace.as_str(), flags.as_str()), (TRACE, "00"));
    span
}

fn remote(is_sampled: bool) -> SpanContext {
    let (trace, span) = (TraceId::from_hex(TRACE).unwrap(), SpanId::from_hex(PARENT).unwrap());
    let flags = TraceFlags::default().with_sampled(is_sampled);
    SpanContext::new(trace, span, flags, true, TraceState::NONE)
}

#[derive(Clone, Debug, Default)]
struct Ignore;

impl SpanProcessor for Ignore {
    fn on_end(&self, _: SpanData) {
        panic!("nothing is recorded here");
    }
}

/// Runs `scenario` below the parent, once with ids from the default generator and once with ids from a custom one.
fn below_unsampled(scenario: impl Fn()) {
    let provider = SdkTracerProvider::builder().with_processor(Ignore).build();
    let random = active::with_tracer(&Context::new(), provider.tracer("test"));
    let telemetry = TestTelemetry::new();
    let counting = {
        let _guard = telemetry.attach();
        Context::current()
    };
    for context in [random, counting] {
        let _guard = context.with_remote_span_context(remote(false)).attach();
        scenario();
        assert_eq!(id(), PARENT, "left behind");
    }
    assert_eq!(telemetry.tree(), "");
}

#[traced]
fn one() -> String {
    assert_eq!(id(), id());
    id()
}

#[traced]
fn nested() -> [String; 3] {
    let before = id();
    let inner = one();
    assert_eq!(id(), before);
    [before, inner, one()]
}

#[traced]
async fn slow() -> String {
    let first = id();
    yield_now().await;
    assert_eq!(id(), first);
    let inner = quick().await;
    assert_ne!(inner, first);
    first
}

#[traced]
async fn quick() -> String {
    id()
}

#[traced]
fn future() -> impl Future<Output = String> {
    let in_the_call = id();
    async move {
        yield_now().await;
        assert_eq!(id(), in_the_call);
        in_the_call
    }
}

#[traced(metrics)]
async fn measured() -> String {
    let first = id();
    yield_now().await;
    assert_eq!(id(), first);
    first
}

#[track_caller]
fn all_differ(ids: impl IntoIterator<Item = String>) {
    let ids: Vec<_> = ids.into_iter().collect();
    let distinct: HashSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len(), "{ids:?}");
    assert!(!ids.iter().any(|id| id == PARENT), "{ids:?}");
}

#[test]
fn two_calls_to_other_services_have_two_ids() {
    below_unsampled(|| all_differ([one(), one()]));
    below_unsampled(|| all_differ(nested().into_iter().chain(nested())));
}

#[test]
fn a_span_by_hand_has_its_own_id_too() {
    below_unsampled(|| {
        let entered = {
            let _span = telemark::span("entered").enter();
            assert_eq!(id(), id());
            id()
        };
        let scoped = telemark::span("scoped").in_scope(|| nested()[0].clone());
        let run = block_on(telemark::span("run").run(async {
            let first = id();
            yield_now().await;
            assert_eq!(id(), first);
            first
        }));
        all_differ([entered, scoped, run]);
    });
}

#[test]
fn a_future_keeps_its_id_and_futures_that_take_turns_do_not_mix() {
    below_unsampled(|| {
        all_differ([block_on(slow()), block_on(quick()), block_on(future()), block_on(measured())]);
        let (mut a, mut b) = (pin!(slow()), pin!(slow()));
        assert!(poll_once(a.as_mut()).is_pending());
        assert_eq!(id(), PARENT);
        assert!(poll_once(b.as_mut()).is_pending());
        all_differ([block_on(a), block_on(b), one()]);
    });
}

#[test]
fn values_that_a_future_drops_have_its_id() {
    struct OnDrop<'a>(&'a std::cell::RefCell<String>);
    impl Drop for OnDrop<'_> {
        fn drop(&mut self) {
            *self.0.borrow_mut() = id();
        }
    }
    #[traced]
    async fn dropped(seen: &std::cell::RefCell<String>, dropped: &std::cell::RefCell<String>) {
        let _on_drop = OnDrop(dropped);
        *seen.borrow_mut() = id();
        std::future::pending::<()>().await;
    }
    below_unsampled(|| {
        let (seen, late) = Default::default();
        {
            let mut future = pin!(dropped(&seen, &late));
            assert!(poll_once(future.as_mut()).is_pending());
        }
        assert_eq!(seen, late);
        all_differ([seen.into_inner()]);
    });
}

#[test]
fn a_panic_leaves_no_id_behind() {
    #[traced]
    fn panics() -> Result<(), String> {
        one();
        panic!("on purpose")
    }
    #[traced]
    async fn panics_late() {
        id();
        yield_now().await;
        panic!("on purpose")
    }
    below_unsampled(|| {
        assert!(catch_unwind(panics).is_err());
        assert_eq!(id(), PARENT);
        assert!(catch_unwind(AssertUnwindSafe(|| block_on(panics_late()))).is_err());
    });
}

#[test]
fn the_id_is_that_of_its_own_trace_alone() {
    #[traced]
    fn calls_in_other_contexts() {
        let own = id();
        let with_baggage = Context::current().with_value("a value");
        assert_eq!(telemark::current_span_context().span_id().to_string(), own);
        let guard = with_baggage.attach();
        assert_eq!(id(), own, "the same span is current");
        drop(guard);
        let sampled = Context::current().with_remote_span_context(remote(true)).attach();
        assert_eq!(call(), (TRACE.to_owned(), PARENT.to_owned(), "01".to_owned()));
        drop(sampled);
        let parent = remote(false);
        let other = TraceId::from(7u128);
        let other = SpanContext::new(other, parent.span_id(), TraceFlags::default(), true, TraceState::NONE);
        let _other = Context::current().with_remote_span_context(other).attach();
        assert_eq!(call().1, PARENT, "another trace, in which that id stands for another span");
    }
    below_unsampled(calls_in_other_contexts);
}

#[test]
fn a_span_of_the_api_below_has_its_own_id_and_so_have_those_below_it() {
    let telemetry = TestTelemetry::new();
    let tracer = telemetry.tracer("test");
    let _guard = telemetry.attach();
    let _parent = Context::current().with_remote_span_context(remote(false)).attach();
    #[traced]
    fn around(tracer: &impl Tracer<Span = telemark_sdk::trace::SdkSpan>) -> [String; 3] {
        let own = id();
        let span = tracer.start("of the api");
        let _span = Context::current_with_span(span).attach();
        [own, id(), one()]
    }
    all_differ(around(&tracer));
    assert_eq!(telemetry.tree(), "");
}

#[test]
fn a_root_that_is_not_sampled_has_ids_and_so_have_those_below_it() {
    let telemetry = TestTelemetry::with(|builder| builder.with_sampler(AlwaysOff));
    let _guard = telemetry.attach();
    #[traced]
    fn root() -> [(String, String, String); 3] {
        [call(), child(), child()]
    }
    #[traced]
    fn child() -> (String, String, String) {
        call()
    }
    let (first, second) = (root(), root());
    for root in [&first, &second] {
        assert!(root.iter().all(|(trace, _, _)| *trace == root[0].0));
    }
    assert_ne!(first[0].0, second[0].0);
    all_differ(first.into_iter().chain(second).map(|(_, span, _)| span));
    assert_eq!(telemetry.tree(), "");
}

#[test]
fn below_an_explicit_parent_that_is_not_sampled_nothing_is_recorded() {
    let telemetry = TestTelemetry::new();
    let _guard = telemetry.attach();
    #[traced(parent = remote(false))]
    fn elsewhere() -> [String; 2] {
        [id(), one()]
    }
    #[traced]
    fn here() {
        all_differ(elsewhere());
        all_differ(telemark::span("by hand").with_parent(remote(false)).in_scope(|| [id(), one()]));
        let silent = telemark::suppress(Context::current);
        telemark::span("silent").with_parent(silent).in_scope(|| telemark::span("inner").in_scope(|| ()));
    }
    here();
    assert_eq!(telemetry.tree(), "here\n");
}

#[test]
fn the_ids_come_from_the_generator_of_the_program() {
    let telemetry = TestTelemetry::new();
    let _guard = telemetry.attach();
    telemark::span("counts").in_scope(|| ());
    let parent = Context::current().with_remote_span_context(remote(false)).attach();
    let ids = [one(), one()];
    drop(parent);
    telemark::span("counts").in_scope(|| ());
    let recorded: Vec<_> = telemetry.spans().iter().map(|span| span.context.span_id().to_string()).collect();
    let number = |id: &str| u64::from_str_radix(id, 16).unwrap();
    let all = [&recorded[0], &ids[0], &ids[1], &recorded[1]].map(|id| number(id));
    assert_eq!(all, [all[0], all[0] + 1, all[0] + 2, all[0] + 3]);
}

#[test]
fn each_dropped_span_is_counted_once() {
    let telemetry = TestTelemetry::with(|builder| builder.with_span_counts());
    let _guard = telemetry.attach();
    {
        let _parent = Context::current().with_remote_span_context(remote(false)).attach();
        nested();
    }
    let metrics = telemetry.metrics();
    let started = metrics.lines().find(|line| line.contains("DROP") && line.contains("remote")).unwrap_or(&metrics);
    assert!(started.ends_with(" sum 3"), "{metrics}");
}

#[test]
fn a_call_that_asks_for_no_id_allocates_nothing() {
    #[traced(fields(n))]
    fn quiet(n: u32) -> Result<u32, String> {
        Ok(n)
    }
    let provider = SdkTracerProvider::builder().with_processor(Ignore).build();
    let context = active::with_tracer(&Context::new(), provider.tracer("test"));
    let _guard = context.with_remote_span_context(remote(false)).attach();
    let call = || {
        quiet(1).unwrap();
        let mut future = pin!(quick_and_quiet());
        assert!(poll_once(future.as_mut()).is_ready());
    };
    #[traced]
    async fn quick_and_quiet() {}
    // A call site decides whether its spans are on without waiting for a lock, so another test may delay the decision.
    let allocations = (0..20).map(|_| allocation_counter::measure(call).count_total);
    assert_eq!(allocations.min(), Some(0));
}

#[test]
fn the_destructor_of_a_thread_local_may_be_traced() {
    struct Last;
    impl Drop for Last {
        fn drop(&mut self) {
            one_or_nothing();
        }
    }
    #[traced]
    fn one_or_nothing() {
        let _ = telemark::current_span_context();
    }
    thread_local!(static LAST: Last = const { Last });
    for traced_first in [false, true] {
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                let run = || {
                    below_unsampled(|| {
                        one();
                    });
                };
                if traced_first {
                    run();
                }
                LAST.with(|_| ());
                run();
            });
            assert!(thread.join().is_ok());
        });
    }
}
