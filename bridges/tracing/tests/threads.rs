//! A span that several threads share: its end, its parent, and what a thread keeps of it.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use support::{dispatch, plain};
use telemark_sdk::span_filter::{Level, SpanFilter};
use telemark_sdk::testing::TestTelemetry;
use telemark_tracing::OpenTelemetrySpanExt;
use tracing::{Dispatch, info_span};

fn remote(telemetry: &TestTelemetry) -> Context {
    let (trace, span) = (TraceId::from(0xabc_u128), SpanId::from(0xdef_u64));
    let remote = SpanContext::new(trace, span, TraceFlags::SAMPLED, true, TraceState::default());
    telemetry.context().with_remote_span_context(remote)
}

/// Runs `work` on another thread of the telemetry, until it ends.
fn elsewhere(telemetry: &TestTelemetry, dispatch: &Dispatch, work: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _attached = telemetry.attach();
            tracing::dispatcher::with_default(dispatch, work);
        });
    });
}

#[test]
fn a_parent_set_on_another_thread_keeps_the_last_exit_of_this_one() {
    let telemetry = TestTelemetry::new();
    let _attached = telemetry.attach();
    let dispatch = dispatch(plain().with_busy_and_idle_times(true));
    let parent = remote(&telemetry);
    tracing::dispatcher::with_default(&dispatch, || {
        let span = info_span!("a");
        let entered = span.enter();
        elsewhere(&telemetry, &dispatch, || {
            assert_eq!(span.set_parent(parent), Ok(()));
            span.set_attribute("set", "elsewhere");
        });
        telemetry.clock.advance(Duration::from_secs(1));
        drop(entered);
        telemetry.clock.advance(Duration::from_secs(7));
        drop(span);
    });
    let span = &telemetry.spans()[0];
    assert_eq!((span.context.trace_id(), span.parent_span_id), (TraceId::from(0xabc_u128), SpanId::from(0xdef_u64)));
    assert_eq!(span.end.since(span.start), Duration::from_secs(1));
    assert_eq!(telemetry.spans().len(), 1);
    let text =
        telemetry.spans()[0].own_attributes.iter().map(|a| format!("{}={} ", a.key, a.value)).collect::<String>();
    assert_eq!(text, "set=elsewhere busy_ns=1000000000 idle_ns=0 ");
}

#[test]
fn a_span_that_another_thread_gave_a_parent_is_entered_with_the_new_identity() {
    let telemetry = TestTelemetry::new();
    let _attached = telemetry.attach();
    let dispatch = dispatch(plain());
    let parent = remote(&telemetry);
    tracing::dispatcher::with_default(&dispatch, || {
        // The most recent span of this thread, first because it was created here, then because it was left here.
        let (created, left) = (info_span!("created"), info_span!("left"));
        left.in_scope(|| ());
        elsewhere(&telemetry, &dispatch, || assert_eq!(left.set_parent(parent.clone()), Ok(())));
        left.in_scope(|| drop(info_span!("below")));
        drop(left);
        drop(created);
        let created = info_span!("created");
        elsewhere(&telemetry, &dispatch, || assert_eq!(created.set_parent(parent.clone()), Ok(())));
        created.in_scope(|| drop(info_span!("below")));
    });
    let in_trace = telemetry.spans().iter().filter(|span| span.context.trace_id() == TraceId::from(0xabc_u128)).count();
    assert_eq!(in_trace, 4, "{}", telemetry.tree());
}

/// A value of a context that reports its end.
struct Ends(Arc<AtomicBool>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_thread_keeps_nothing_of_a_span_that_another_thread_closes() {
    let telemetry = TestTelemetry::new();
    let dispatch = dispatch(plain());
    for entered in [false, true] {
        let ended = Arc::new(AtomicBool::new(false));
        let attached = telemetry.context().with_value(Ends(ended.clone())).attach();
        let span = tracing::dispatcher::with_default(&dispatch, || {
            let span = info_span!("a");
            if entered {
                span.in_scope(|| ());
            }
            span
        });
        drop(attached);
        assert!(!ended.load(Ordering::SeqCst));
        elsewhere(&telemetry, &dispatch, || drop(span));
        assert!(ended.load(Ordering::SeqCst), "entered: {entered}");
    }
    assert_eq!(telemetry.tree(), "a\na\n");
}

#[test]
fn spans_that_wander_between_threads_end_once_and_leave_no_context() {
    let telemetry = TestTelemetry::new();
    let dispatch = dispatch(plain());
    let (send, receive) = std::sync::mpsc::channel::<tracing::Span>();
    let receive = std::sync::Mutex::new(receive);
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let (send, receive, telemetry, dispatch) = (send.clone(), &receive, &telemetry, &dispatch);
            scope.spawn(move || {
                let _attached = telemetry.attach();
                tracing::dispatcher::with_default(dispatch, || {
                    for n in 0..300_u64 {
                        let span = info_span!("wanders", n);
                        let _first = (n % 3 == 0).then(|| span.clone().entered());
                        // `None` if another worker has taken all of them.
                        let other = receive.lock().unwrap().try_recv().ok();
                        if let Some(other) = &other {
                            other.in_scope(|| drop(info_span!("below")));
                            if (n + worker) % 5 == 0 {
                                let _ = other.set_parent(remote(telemetry));
                            }
                        }
                        let _ = send.send(span);
                    }
                    assert!(!telemark_sdk::instrument::spans::current_span_context().is_valid());
                });
            });
        }
    });
    drop(send);
    let _attached = telemetry.attach();
    tracing::dispatcher::with_default(&dispatch, || receive.lock().unwrap().try_iter().for_each(drop));
    let spans = telemetry.spans();
    assert_eq!(spans.iter().filter(|span| span.name == "wanders").count(), 1200);
    assert!(spans.iter().all(|span| span.end >= span.start));
}

#[test]
fn a_span_entered_elsewhere_may_be_given_many_parents_and_keeps_only_the_last() {
    const PARENTS: usize = 2000;
    let telemetry = TestTelemetry::new();
    for filter in [Level::Info, Level::Warn] {
        let dispatch = dispatch(plain().with_span_filter(SpanFilter::up_to(filter)));
        let span = tracing::dispatcher::with_default(&dispatch, || {
            let _attached = telemetry.attach();
            info_span!("shared")
        });
        let kept = Arc::new(());
        let (entered, is_entered) = std::sync::mpsc::channel();
        let (leave, may_leave) = std::sync::mpsc::channel::<()>();
        let (shared, own) = (&span, &dispatch);
        let hold = move || {
            tracing::dispatcher::with_default(own, || {
                shared.in_scope(|| {
                    entered.send(()).unwrap();
                    may_leave.recv().unwrap();
                });
                // The new parent applies from the next time.
                shared.in_scope(telemark_sdk::instrument::spans::current_span_context).trace_id()
            })
        };
        std::thread::scope(|scope| {
            // Dropped at a failure, so that the other thread ends too.
            let leave = leave;
            let holder = std::thread::Builder::new().stack_size(128 << 10).spawn_scoped(scope, hold).unwrap();
            is_entered.recv().unwrap();
            for _ in 0..PARENTS {
                let parent = remote(&telemetry).with_value(kept.clone());
                tracing::dispatcher::with_default(&dispatch, || span.set_parent(parent)).unwrap();
                assert!(Arc::strong_count(&kept) < 10, "earlier parents are kept");
            }
            leave.send(()).unwrap();
            assert_eq!(holder.join().unwrap(), TraceId::from(0xabc_u128));
        });
        tracing::dispatcher::with_default(&dispatch, || drop(span));
    }
    assert_eq!(telemetry.tree(), "shared\n");
}

#[test]
fn a_span_closed_elsewhere_after_a_new_parent_leaves_no_context() {
    let telemetry = TestTelemetry::new();
    let _attached = telemetry.attach();
    let dispatch = dispatch(plain());
    tracing::dispatcher::with_default(&dispatch, || {
        let span = info_span!("a");
        // Entered without a guard, as if this thread never left it.
        span.with_subscriber(|(id, dispatch)| dispatch.enter(id));
        elsewhere(&telemetry, &dispatch, || {
            span.set_parent(remote(&telemetry)).unwrap();
            let id = span.id().unwrap();
            // The entry holds a reference of the registry.
            let closed = (0..2).any(|_| dispatch.try_close(id.clone()));
            assert!(closed);
        });
        assert!(telemark_sdk::instrument::spans::current_span_context().is_valid());
        drop(info_span!(parent: None, "next"));
        assert!(!telemark_sdk::instrument::spans::current_span_context().is_valid());
        std::mem::forget(span);
    });
}
