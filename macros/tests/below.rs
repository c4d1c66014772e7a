//! `below`, which starts a span only below another one, and `owner`, the type in the names of a method.

#![allow(clippy::unwrap_used, reason = "a broken test may panic")]

mod support;

use std::future::Future;
use std::pin::Pin;

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use support::{block_on, check, poll_once, yield_now};
use telemark::traced;
use telemark_sdk::sampling::AlwaysOff;
use telemark_sdk::testing::TestTelemetry;

#[traced]
fn outer() {
    _ = helper();
    block_on(waiting());
    _ = numbers().count();
}

#[traced(below, fields(seen = 1))]
fn helper() -> Result<(), String> {
    Err("no".to_owned())
}

#[traced(below)]
async fn waiting() {
    yield_now().await;
}

#[traced(below, iterator)]
fn numbers() -> impl Iterator<Item = u32> {
    [1, 2].into_iter()
}

#[test]
fn a_span_starts_only_below_another() {
    let all = || {
        _ = helper();
        block_on(waiting());
        _ = numbers().count();
    };
    check(all, "");
    check(
        outer,
        "
        outer
          helper error[no] seen=1 error.type=alloc::string::String
          waiting
          numbers telemark.items=2
        ",
    );
}

#[test]
fn a_future_looks_for_a_span_at_its_first_poll() {
    let scenario = || {
        let mut early = Box::pin(waiting());
        assert!(poll_once(early.as_mut()).is_pending());
        let mut late = Box::pin(waiting());
        let _here = telemark::span("here").enter();
        block_on(early);
        assert!(poll_once(late.as_mut()).is_pending());
        block_on(late);
    };
    check(scenario, "here\n  waiting");
}

/// A parent in another process counts, and so does one that is not sampled.
#[test]
fn a_remote_span_and_one_that_is_not_sampled_are_spans() {
    let in_trace = |flags| {
        let ids = (TraceId::from_bytes([1; 16]), SpanId::from_bytes([2; 8]));
        let remote = SpanContext::new(ids.0, ids.1, flags, true, TraceState::NONE);
        let _attached = Context::current().with_remote_span_context(remote).attach();
        let id = seen_from();
        assert_ne!(id, SpanId::INVALID);
        assert_ne!(id, ids.1, "the call has its own id");
    };
    check(|| in_trace(TraceFlags::SAMPLED), "seen_from");
    check(|| in_trace(TraceFlags::default()), "");
    let telemetry = TestTelemetry::with(|builder| builder.with_sampler(AlwaysOff));
    let _attached = telemetry.attach();
    assert_eq!(seen_from(), SpanId::INVALID);
    let outer = telemark::span("outer").enter();
    let of_outer = telemark::current_span_context().span_id();
    let of_call = seen_from();
    assert!(of_call != SpanId::INVALID && of_call != of_outer);
    drop(outer);
    assert_eq!(telemetry.tree(), "");
}

#[traced(below)]
fn seen_from() -> SpanId {
    telemark::current_span_context().span_id()
}

#[traced(below, metrics, fields(seen = evaluated()))]
fn measured() {}

fn evaluated() -> u32 {
    unreachable!("there is no span")
}

#[test]
fn a_call_without_a_span_is_measured_and_evaluates_nothing() {
    let telemetry = TestTelemetry::new();
    {
        let _guard = telemetry.attach();
        measured();
    }
    assert_eq!(telemetry.tree(), "");
    let metrics = telemetry.metrics();
    assert!(metrics.contains("code.function.name=below::measured"), "{metrics}");
}

struct Store;

#[traced(below)]
impl Store {
    fn get(&self) {}

    #[traced(below = off)]
    fn open(&self) {
        self.get();
    }

    #[traced(root)]
    fn sweep(&self) {
        self.get();
    }
}

#[test]
fn a_block_passes_it_on_and_a_function_decides_otherwise() {
    check(|| Store.get(), "");
    check(|| Store.open(), "Store::open\n  Store::get");
    check(|| Store.sweep(), "Store::sweep\n  Store::get");
}

struct Cache;

trait Load {
    fn load(&self) -> Pin<Box<dyn Future<Output = u32> + Send + '_>>;
}

impl Cache {
    #[traced(owner = "Cache")]
    fn get(&self) {}

    #[traced(owner = "Cache", name = "fill")]
    async fn set(&self) {}
}

impl Load for Cache {
    #[traced(owner = "Cache", metrics)]
    fn load(&self) -> Pin<Box<dyn Future<Output = u32> + Send + '_>> {
        Box::pin(async move { 7 })
    }
}

#[test]
fn a_method_has_the_name_of_its_owner() {
    let scenario = || {
        Cache.get();
        block_on(Cache.set());
        assert_eq!(block_on(Cache.load()), 7);
    };
    check(scenario, "Cache::get\nfill\nCache::load");
    let telemetry = TestTelemetry::new();
    {
        let _guard = telemetry.attach();
        assert_eq!(block_on(Cache.load()), 7);
    }
    let metrics = telemetry.metrics();
    assert!(metrics.contains("code.function.name=below::Cache::load"), "{metrics}");
}
