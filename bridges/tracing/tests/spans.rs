//! The life of a span: fields, parents, links, threads, end.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use std::fmt;
use std::sync::Barrier;
use std::time::Duration;

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry::{Context, Value};
use support::{check, dispatch, plain, run};
use telemark_sdk::instrument::spans::{self, span};
use telemark_sdk::sampling::AlwaysOff;
use telemark_sdk::testing::TestTelemetry;
use telemark_tracing::{OpenTelemetrySpanExt, SetParentError};
use tracing::field::Empty;
use tracing::{error, info, info_span};

#[derive(Debug)]
struct Broken(Option<Box<Broken>>);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "cannot save" } else { "disk full" })
    }
}

impl std::error::Error for Broken {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.as_deref().map(|cause| cause as &(dyn std::error::Error + 'static))
    }
}

fn broken() -> Broken {
    Broken(Some(Box::new(Broken(None))))
}

#[test]
fn every_type_of_a_field_keeps_its_type() {
    let error = broken();
    let telemetry = run(plain(), || {
        let _span = info_span!(
            "types",
            small = -7_i64,
            unsigned = 7_u64,
            largest = i64::MAX as u64,
            beyond = u64::MAX,
            wide = 7_i128,
            wider = u128::MAX,
            float = 0.5,
            flag = true,
            text = "a",
            bytes = &[0xde_u8, 0xad][..],
            debugged = ?Some(1),
            displayed = %"b",
            error = &error as &dyn std::error::Error,
            empty = Empty,
        );
    });
    let spans = telemetry.spans();
    let values: Vec<_> = spans[0].attributes().map(|found| (found.key.as_str(), found.value.clone())).collect();
    let text = |text: &'static str| Value::from(text);
    assert_eq!(
        values,
        [
            ("small", Value::I64(-7)),
            ("unsigned", Value::I64(7)),
            ("largest", Value::I64(i64::MAX)),
            ("beyond", text("18446744073709551615")),
            ("wide", Value::I64(7)),
            ("wider", text("340282366920938463463374607431768211455")),
            ("float", Value::F64(0.5)),
            ("flag", Value::Bool(true)),
            ("text", text("a")),
            ("bytes", text("dead")),
            ("debugged", text("Some(1)")),
            ("displayed", text("b")),
            ("error", text("cannot save")),
        ]
    );
    let event = &spans[0].events[0];
    assert_eq!(event.name, "exception");
    let attributes: Vec<_> = event.attributes.iter().map(|found| (found.key.as_str(), found.value.as_str())).collect();
    assert_eq!(attributes, [("exception.message", "cannot save: disk full".into())]);
    assert_eq!(spans[0].status, Status::Unset);
}

#[test]
fn fields_with_a_meaning_are_honoured_at_creation() {
    check(
        || drop(info_span!("a", otel.name = "GET /", otel.kind = "server", otel.status_code = "ok", n = 1)),
        "GET / (server) ok n=1\n",
    );
    check(|| drop(info_span!("a", otel.kind = ?SpanKind::Client)), "a (client)\n");
    check(|| drop(info_span!("a", otel.status_code = "Error")), "a error\n");
    check(|| drop(info_span!("a", otel.status_description = "late")), "a error[late]\n");
    check(|| drop(info_span!("a", otel.status_message = "late", otel.status_code = "error")), "a error[late]\n");
    check(|| drop(info_span!("a", otel.kind = "sideways")), "a\n");
}

#[test]
fn fields_with_a_meaning_are_honoured_when_they_are_recorded() {
    let recorded = |entered: bool| {
        run(plain(), || {
            let span = info_span!(
                "a",
                otel.name = Empty,
                otel.kind = Empty,
                otel.status_code = Empty,
                otel.status_description = Empty,
                n = Empty
            );
            let entered = entered.then(|| span.enter());
            span.record("otel.name", "b").record("otel.kind", "producer").record("n", 2);
            span.record("otel.status_description", "late").record("otel.status_code", "ERROR");
            drop(entered);
        })
        .tree()
    };
    assert_eq!(recorded(false), "b (producer) error[late] n=2\n");
    assert_eq!(recorded(true), "b (producer) error[late] n=2\n");
}

#[test]
fn parents_are_contextual_explicit_or_none() {
    check(
        || {
            let outer = info_span!("outer");
            let other = info_span!("other");
            outer.in_scope(|| {
                info_span!("contextual").in_scope(|| ());
                info_span!(parent: &other, "explicit").in_scope(|| info_span!("below").in_scope(|| ()));
                info_span!(parent: None, "root").in_scope(|| ());
            });
        },
        "root\nother\n  explicit\n    below\nouter\n  contextual\n",
    );
}

#[test]
fn a_cause_is_a_link() {
    let telemetry = run(plain(), || {
        let cause = info_span!("cause");
        let span = info_span!("effect");
        span.follows_from(&cause);
        span.add_link(SpanContext::NONE);
    });
    let spans = telemetry.spans();
    let find = |name| spans.iter().find(|span| span.name == name).unwrap();
    assert_eq!(find("effect").links.len(), 1);
    assert_eq!(find("effect").links[0].span_context, find("cause").context);
}

#[test]
fn a_span_ends_when_it_is_left_for_the_last_time_or_else_when_it_is_closed() {
    let telemetry = TestTelemetry::new();
    let _attached = telemetry.attach();
    let step = || telemetry.clock.advance(Duration::from_secs(1));
    tracing::dispatcher::with_default(&dispatch(plain().with_busy_and_idle_times(true)), || {
        let (entered, idle) = (info_span!("entered"), info_span!("idle"));
        step();
        entered.in_scope(step);
        step();
        entered.in_scope(step);
        step();
        drop((entered, idle));
    });
    let ends: Vec<_> = telemetry.spans().iter().map(|span| (span.name.clone(), span.duration().as_secs())).collect();
    assert_eq!(ends, [("entered".into(), 4), ("idle".into(), 5)]);
    assert_eq!(telemetry.tree(), "entered busy_ns=2000000000 idle_ns=2000000000\nidle busy_ns=0 idle_ns=0\n");
}

#[test]
fn the_place_and_the_target_are_known() {
    let telemetry = run(telemark_tracing::builder(), || drop(info_span!(target: "shop::cart", "a")));
    let spans = telemetry.spans();
    assert_eq!(spans[0].scope.name(), "shop::cart");
    assert_eq!(spans[0].scope.version(), None);
    let keys: Vec<_> = spans[0].attributes().map(|found| found.key.as_str().to_owned()).collect();
    assert_eq!(keys, ["code.file.path", "code.line.number"]);
    let telemetry = run(plain().with_threads(true), || drop(info_span!("a")));
    let keys: Vec<_> = telemetry.spans()[0].attributes().map(|found| found.key.to_string()).collect();
    assert_eq!(keys, ["thread.id", "thread.name"]);
}

fn remote(sampled: bool) -> Context {
    let flags = if sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
    let (trace, span) = (TraceId::from(0xabc_u128), SpanId::from(0xdef_u64));
    Context::new().with_remote_span_context(SpanContext::new(trace, span, flags, true, TraceState::default()))
}

/// Asserts that all spans belong to the trace of [`remote`].
fn assert_remote(telemetry: &TestTelemetry, expected: &str) {
    assert_eq!(telemetry.tree(), expected);
    let spans = telemetry.spans();
    assert!(spans.iter().all(|span| span.context.trace_id() == TraceId::from(0xabc_u128)), "{spans:?}");
    assert!(spans.iter().any(|span| span.parent_span_id == SpanId::from(0xdef_u64) && span.parent_is_remote));
}

fn in_attached(telemetry: &TestTelemetry, program: impl FnOnce(&dyn Fn(bool) -> Context)) {
    let _attached = telemetry.attach();
    let base = telemetry.context();
    let parent = |sampled| base.with_remote_span_context(remote(sampled).span().span_context().clone());
    tracing::dispatcher::with_default(&dispatch(plain()), || program(&parent));
}

#[test]
fn a_parent_can_be_set_before_and_after_entering() {
    for entered in [false, true] {
        let telemetry = TestTelemetry::new();
        in_attached(&telemetry, |remote| {
            let span = info_span!("a", n = 1, m = Empty);
            let guard = entered.then(|| span.enter());
            span.record("m", 2);
            assert_eq!(span.set_parent(remote(true)), Ok(()));
            if entered {
                span_of_another_library();
            }
            drop(guard);
            span.in_scope(|| info_span!("below").in_scope(span_of_another_library));
        });
        let before = if entered { "  hand\n" } else { "" };
        assert_remote(&telemetry, &format!("a n=1 m=2\n{before}  below\n    hand\n"));
    }
}

fn span_of_another_library() {
    span("hand").in_scope(|| ());
}

#[test]
fn a_parent_cannot_be_set_once_there_is_a_child() {
    let telemetry = TestTelemetry::new();
    in_attached(&telemetry, |remote| {
        let late = Err(SetParentError::AlreadyStarted);
        let contextual = info_span!("contextual");
        contextual.in_scope(|| drop(info_span!("child")));
        assert_eq!(contextual.set_parent(remote(true)), late);
        let within = info_span!("within");
        within.in_scope(|| {
            drop(info_span!("child"));
            assert_eq!(within.set_parent(remote(true)), late);
        });
        let explicit = info_span!("explicit");
        drop(info_span!(parent: &explicit, "child"));
        assert_eq!(explicit.set_parent(remote(true)), late);
        let used = info_span!("used");
        let _ = used.context();
        assert_eq!(used.set_parent(remote(true)), late);
        let by_hand = info_span!("by hand");
        by_hand.in_scope(|| span("child").in_scope(|| assert_eq!(by_hand.set_parent(remote(true)), late)));
        assert_eq!(tracing::Span::none().set_parent(remote(true)), Err(SetParentError::SpanDisabled));
    });
    assert_eq!(telemetry.tree(), "by hand\n  child\nused\nexplicit\n  child\nwithin\n  child\ncontextual\n  child\n");
}

#[test]
fn the_sampler_is_asked_again_for_another_parent() {
    let telemetry =
        TestTelemetry::with(|builder| builder.with_sampler(telemark_sdk::sampling::ParentBased::new(AlwaysOff)));
    in_attached(&telemetry, |remote| {
        let span = info_span!("a", otel.name = "b", n = 1, m = Empty);
        span.record("m", 2);
        span.in_scope(|| span.set_parent(remote(true)).unwrap());
        let unsampled = info_span!("c");
        unsampled.set_parent(remote(false)).unwrap();
        unsampled.in_scope(|| drop(info_span!("d")));
    });
    assert_remote(&telemetry, "b n=1 m=2\n");
    let telemetry = TestTelemetry::new();
    in_attached(&telemetry, |remote| {
        let span = info_span!("a");
        span.set_parent(remote(false)).unwrap();
        span.in_scope(|| drop(info_span!("below")));
    });
    assert_eq!(telemetry.tree(), "");
}

#[test]
fn a_span_below_a_suppressed_parent_leaves_the_parent_alone() {
    let telemetry = TestTelemetry::new();
    in_attached(&telemetry, |_| {
        let parent = info_span!("parent");
        let suppressed = parent.context().with_telemetry_suppressed();
        let span = info_span!(parent: None, "span", late = Empty);
        span.set_parent(suppressed).unwrap();
        span.in_scope(|| ());
        span.record("late", 1);
        span.set_status(Status::error("of the span"));
        drop(span);
        parent.set_attribute("after", true);
    });
    assert_eq!(telemetry.tree(), "parent after=true\n");
}

#[test]
fn a_span_dropped_like_its_first_parent_keeps_the_option_of_the_location() {
    for has_location in [false, true] {
        let telemetry = TestTelemetry::new();
        let _attached = telemetry.attach();
        let base = telemetry.context();
        let within = |sampled| base.with_remote_span_context(remote(sampled).span().span_context().clone());
        tracing::dispatcher::with_default(&dispatch(plain().with_location(has_location)), || {
            let _dropped = within(false).attach();
            let span = info_span!("a");
            span.set_parent(within(true)).unwrap();
        });
        let spans = telemetry.spans();
        assert_eq!((&*spans[0].name, spans[0].attributes().count()), ("a", if has_location { 2 } else { 0 }));
    }
}

#[test]
fn an_entry_that_fails_does_not_count() {
    let telemetry = TestTelemetry::new();
    let _attached = telemetry.attach();
    let step = || telemetry.clock.advance(Duration::from_secs(1));
    tracing::dispatcher::with_default(&dispatch(plain().with_busy_and_idle_times(true)), || {
        let span = info_span!("a");
        // The API lends its current context and cannot attach another one.
        opentelemetry::trace::get_active_span(|_| span.in_scope(step));
        span.in_scope(step);
    });
    assert_eq!(telemetry.tree(), "a busy_ns=1000000000 idle_ns=1000000000\n");
}

#[test]
fn the_extension_trait_acts_on_the_span() {
    let telemetry = run(plain(), || {
        let span = info_span!("a");
        span.set_attribute("any.key", 1);
        span.add_event("tick", vec![]);
        span.add_event_with_timestamp("tock", std::time::UNIX_EPOCH + Duration::from_secs(5), vec![]);
        span.set_status(Status::error("late"));
        let context = span.context();
        span.in_scope(|| assert_eq!(Context::current().span().span_context(), context.span().span_context()));
    });
    assert_eq!(telemetry.tree(), "a error[late] any.key=1\n  * tick\n  * tock\n");
    assert_eq!(telemetry.spans()[0].events[1].time.as_nanos(), 5_000_000_000);
}

#[test]
fn exits_in_another_order_than_entries_leave_the_right_span_current() {
    let current = || spans::current_span_context().span_id();
    check(
        || {
            let (a, b) = (info_span!("a"), info_span!("b"));
            let entered_a = a.enter();
            let entered_b = b.enter();
            drop(entered_a);
            assert_eq!(current(), b.context().span().span_context().span_id());
            drop(info_span!("below b"));
            drop(entered_b);
            assert_eq!(current(), SpanId::INVALID);
        },
        "b\n  below b\na\n",
    );
}

#[test]
fn a_span_may_be_entered_on_many_threads_and_closed_on_another() {
    let telemetry = TestTelemetry::new();
    let _attached = telemetry.attach();
    let dispatch = dispatch(plain());
    let barrier = Barrier::new(4);
    tracing::dispatcher::with_default(&dispatch, || {
        let span = info_span!("shared");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let (span, dispatch, barrier) = (span.clone(), &dispatch, &barrier);
                scope.spawn(move || {
                    tracing::dispatcher::with_default(dispatch, || {
                        let entered = span.entered();
                        barrier.wait();
                        info_span!("part").in_scope(span_of_another_library);
                        drop(entered);
                        assert!(!spans::current_span_context().is_valid());
                    });
                });
            }
            drop(span);
        });
    });
    assert_eq!(telemetry.tree(), format!("shared\n{}", "  part\n    hand\n".repeat(4)));
}

#[test]
fn what_is_not_sampled_is_not_evaluated_below() {
    struct Never;
    impl fmt::Debug for Never {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("evaluated")
        }
    }
    let telemetry = TestTelemetry::with(|builder| builder.with_sampler(AlwaysOff));
    let _attached = telemetry.attach();
    tracing::dispatcher::with_default(&dispatch(plain().with_events_as_span_events(true)), || {
        info_span!("root").in_scope(|| {
            info_span!("child", field = ?Never).in_scope(|| info!(field = ?Never, "event"));
        });
    });
    assert_eq!(telemetry.tree(), "");
}

#[test]
fn nothing_is_recorded_while_telemetry_is_suppressed() {
    check(
        || {
            let outer = info_span!("outer");
            outer.in_scope(|| {
                spans::suppress(|| {
                    info_span!("contextual").in_scope(|| error!("event"));
                    info_span!(parent: &outer, "explicit").in_scope(|| ());
                    info_span!(parent: None, "root").in_scope(|| ());
                });
            });
        },
        "outer\n",
    );
}

#[test]
fn an_error_event_fails_its_span() {
    #[tracing::instrument(err, skip_all)]
    fn fails() -> Result<(), Broken> {
        Err(Broken(None))
    }
    check(|| assert!(fails().is_err()), "fails error[disk full]\n  * exception exception.message=disk full\n");
    check(|| info_span!("a").in_scope(|| error!("no")), "a error\n");
    check(|| info_span!("a").in_scope(|| info!("no")), "a\n");
    check(|| info_span!("a").in_scope(|| span("hand").in_scope(|| error!("not of hand"))), "a\n  hand\n");
    let silent = run(plain().with_error_events(false), || info_span!("a").in_scope(|| error!("no")));
    assert_eq!(silent.tree(), "a\n");
}

#[test]
fn events_are_span_events_on_request() {
    let telemetry = TestTelemetry::new();
    let _attached = telemetry.attach();
    tracing::dispatcher::with_default(&dispatch(plain().with_events_as_span_events(true)), || {
        let other = info_span!("other");
        telemetry.clock.advance(Duration::from_secs(1));
        info_span!("a").in_scope(|| {
            telemetry.clock.advance(Duration::from_secs(1));
            info!(n = u64::MAX, "first");
            info!(parent: &other, "elsewhere");
            span("hand").in_scope(|| info!("by hand"));
        });
        info!("nowhere");
    });
    let expected = r#"
other
  * elsewhere level=INFO target=spans
a
  * first level=INFO target=spans n=18446744073709551615
  hand
    * by hand level=INFO target=spans
"#;
    assert_eq!(telemetry.tree(), expected.trim_start());
    let spans = telemetry.spans();
    let a = spans.iter().find(|span| span.name == "a").unwrap();
    assert_eq!(a.events[0].time.since(a.start), Duration::from_secs(1));
}
