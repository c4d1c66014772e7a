//! The layer in every place that a subscriber has for it, and code that uses `tracing` while `tracing` calls it.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use support::{Lines, dispatch, plain};
use telemark_sdk::testing::TestTelemetry;
use telemark_sdk::trace::{SdkSpan, SpanData, SpanProcessor};
use telemark_tracing::OpenTelemetrySpanExt;
use tracing::{Dispatch, Subscriber, error, info, info_span};
use tracing_subscriber::prelude::*;
use tracing_subscriber::{Layer, reload};

/// Runs a program on a subscriber that uses all of the extension trait.
fn check(subscriber: impl Subscriber + Send + Sync + 'static) {
    let telemetry = TestTelemetry::new();
    let _attached = telemetry.attach();
    let remote = SpanContext::new(
        TraceId::from(0xabc_u128),
        SpanId::from(0xdef_u64),
        TraceFlags::SAMPLED,
        true,
        TraceState::default(),
    );
    let parent = telemetry.context().with_remote_span_context(remote);
    tracing::subscriber::with_default(subscriber, || {
        let span = info_span!("outer", otel.kind = "server");
        assert_eq!(span.set_parent(parent), Ok(()));
        span.set_attribute("set", true);
        span.in_scope(|| {
            let inner = info_span!("inner");
            assert!(inner.context().span().span_context().is_valid());
            inner.in_scope(|| info!("event"));
        });
    });
    assert_eq!(telemetry.tree(), "outer (server) set=true\n  inner\n");
    assert!(telemetry.spans().iter().all(|span| span.context.trace_id() == TraceId::from(0xabc_u128)));
}

#[test]
fn the_layer_works_wherever_it_is_put() {
    let text = Lines::default();
    macro_rules! lines {
        () => {
            tracing_subscriber::fmt::layer().with_writer(text.clone())
        };
    }
    check(tracing_subscriber::registry().with(plain().build()));
    check(tracing_subscriber::registry().with(lines!()).with(plain().build()));
    check(tracing_subscriber::registry().with(plain().build()).with(lines!()));
    check(tracing_subscriber::registry().with(plain().build().boxed()));
    check(tracing_subscriber::registry().with(Some(plain().build())));
    check(tracing_subscriber::registry().with(vec![lines!().boxed(), plain().build().boxed()]));
    check(tracing_subscriber::registry().with(lines!().and_then(plain().build())));
    check(tracing_subscriber::registry().with(reload::Layer::new(plain().build()).0));
    check(tracing_subscriber::registry().with(reload::Layer::new(plain().build().boxed()).0).with(lines!()));
    check(tracing_subscriber::registry().with(plain().build()).with(tracing_subscriber::filter::LevelFilter::INFO));
}

#[test]
fn filters_of_other_layers_may_be_reloaded() {
    let telemetry = TestTelemetry::new();
    let _attached = telemetry.attach();
    let text = Lines::default();
    let (filter, handle) = reload::Layer::new(tracing_subscriber::filter::LevelFilter::OFF);
    let lines = tracing_subscriber::fmt::layer().with_writer(text.clone()).with_filter(filter);
    let subscriber = tracing_subscriber::registry().with(lines).with(plain().build());
    tracing::subscriber::with_default(subscriber, || {
        info_span!("before").in_scope(|| info!("line before"));
        handle.reload(tracing_subscriber::filter::LevelFilter::INFO).unwrap();
        info_span!("after").in_scope(|| info!("line after"));
    });
    assert_eq!(telemetry.tree(), "before\nafter\n");
    assert!(text.text().contains("line after") && !text.text().contains("line before"));
}

#[test]
fn a_layer_that_is_used_twice_records_once() {
    check(tracing_subscriber::registry().with(plain().build()).with(plain().build()));
}

#[test]
fn subscribers_beside_each_other_do_not_mix() {
    let telemetry = TestTelemetry::new();
    let _attached = telemetry.attach();
    let (first, second) = (dispatch(plain()), dispatch(plain()));
    tracing::dispatcher::with_default(&first, || {
        let outer = info_span!("first");
        let _entered = outer.enter();
        // Ids of the second registry are the same as those of the first.
        tracing::dispatcher::with_default(&second, || {
            info_span!("second").in_scope(|| {
                tracing::dispatcher::with_default(&first, || info_span!("third").in_scope(|| ()));
            });
        });
        info_span!("fourth").in_scope(|| ());
    });
    assert_eq!(telemetry.tree(), "first\n  second\n    third\n  fourth\n");
}

#[test]
fn spans_from_before_the_telemetry_are_not_recorded_and_do_no_harm() {
    let subscriber = dispatch(plain());
    let telemetry = TestTelemetry::new();
    tracing::dispatcher::with_default(&subscriber, || {
        let early = info_span!("early", n = tracing::field::Empty);
        let entered = early.enter();
        let attached = telemetry.attach();
        early.record("n", 1);
        early.set_attribute("m", 2);
        early.follows_from(info_span!("late").id());
        info_span!("below").in_scope(|| error!("event"));
        drop(attached);
        drop(entered);
        drop(early);
    });
    assert_eq!(telemetry.tree(), "late\nbelow error\n");
}

/// Panics while it is formatted.
struct Panics;

impl fmt::Debug for Panics {
    #[allow(clippy::panic, reason = "the panic is the test")]
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("in Debug")
    }
}

#[test]
fn a_panic_of_a_value_loses_the_value() {
    support::check(
        || {
            let span = info_span!("a", before = 1, value = ?Panics, after = 2);
            span.record("before", tracing::field::debug(Panics));
            span.in_scope(|| error!(value = ?Panics, "event"));
        },
        "a error before= value= after=2\n",
    );
}

/// Uses `tracing` when a span ends.
#[derive(Debug)]
struct ChattyProcessor(Arc<AtomicUsize>);

impl SpanProcessor for ChattyProcessor {
    fn on_start(&self, _: &mut SdkSpan, _: &opentelemetry::Context) {
        info!("started");
    }

    fn on_end(&self, span: SpanData) {
        self.0.fetch_add(1, Ordering::Relaxed);
        if span.name == "a" {
            info_span!("in a processor").in_scope(|| error!("ended"));
        }
    }
}

#[test]
fn a_processor_may_use_tracing() {
    let ended = Arc::new(AtomicUsize::new(0));
    let telemetry = TestTelemetry::with(|builder| builder.with_processor(ChattyProcessor(ended.clone())));
    let _attached = telemetry.attach();
    tracing::dispatcher::with_default(&dispatch(plain().with_events_as_span_events(true)), || {
        let a = info_span!("a");
        a.in_scope(|| ());
        // Closed by leaving it.
        let entered = a.entered();
        drop(entered);
    });
    assert!(ended.load(Ordering::Relaxed) >= 1);
}

#[test]
fn a_layer_behind_reload_may_be_changed() {
    let telemetry = TestTelemetry::new();
    let _attached = telemetry.attach();
    let (layer, handle) = reload::Layer::new(plain().build());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        let early = info_span!("early");
        let filter = "error".parse().unwrap();
        let changed = handle.modify(|layer| plain().with_busy_and_idle_times(true).reconfigure(layer));
        assert!(changed.is_ok());
        info_span!("with times").in_scope(|| ());
        drop(early);
        assert!(handle.modify(|layer| plain().with_span_filter(filter).reconfigure(layer)).is_ok());
        info_span!("filtered").in_scope(|| ());
        tracing::error_span!("kept").in_scope(|| ());
    });
    assert_eq!(telemetry.tree(), "with times busy_ns=0 idle_ns=0\nearly\nkept\n");
}

#[test]
fn spans_are_closed_on_other_threads_while_they_are_entered() {
    let telemetry = TestTelemetry::new();
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(plain().build()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let _attached = telemetry.attach();
                tracing::dispatcher::with_default(&dispatch, || {
                    for _ in 0..200 {
                        let span = info_span!("shared");
                        let id = span.id().unwrap();
                        let dispatch = &dispatch;
                        dispatch.enter(&id);
                        std::thread::scope(|scope| drop(scope.spawn(move || drop(span))));
                        dispatch.exit(&id);
                        info_span!("next").in_scope(|| ());
                    }
                });
                assert!(!telemark_sdk::instrument::spans::current_span_context().is_valid());
            });
        }
    });
    let tree = telemetry.tree();
    assert!(tree.lines().all(|line| ["shared", "next"].contains(&line)), "{tree:.200}");
    assert_eq!(tree.lines().count(), 1600);
}

#[test]
fn a_span_that_is_closed_while_it_is_entered_is_left() {
    let telemetry = TestTelemetry::new();
    let _attached = telemetry.attach();
    let dispatch = dispatch(plain());
    tracing::dispatcher::with_default(&dispatch, || {
        let span = info_span!("closed");
        let id = span.id().unwrap();
        dispatch.enter(&id);
        drop(span);
        assert!(!telemark_sdk::instrument::spans::current_span_context().is_valid());
        info_span!("next").in_scope(|| ());
        dispatch.exit(&id);
    });
    assert_eq!(telemetry.tree(), "closed\nnext\n");
}

/// A span that is never left keeps its context in a thread-local until the thread ends.
#[test]
fn a_thread_may_end_within_a_span() {
    let telemetry = TestTelemetry::new();
    let dispatch = dispatch(plain());
    for _ in 0..2 {
        let thread = std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    let _attached = std::mem::ManuallyDrop::new(telemetry.attach());
                    tracing::dispatcher::with_default(&dispatch, || {
                        std::mem::forget(info_span!("forgotten").entered());
                    });
                })
                .join()
        });
        assert!(thread.is_ok());
    }
}
