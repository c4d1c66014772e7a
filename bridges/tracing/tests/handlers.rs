//! Events of a target that a handler records, and spans that only carry the context.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests fail by panicking and start threads")]

mod support;

use std::sync::{Arc, Mutex};

use opentelemetry::trace::{TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use support::{dispatch, plain, run};
use telemark_sdk::testing::TestTelemetry;
use tracing::{error, error_span, info, info_span, warn};

/// Makes a span of each event, as the handler of a library would.
fn record(telemetry: &TestTelemetry) -> impl Fn(&tracing::Event<'_>) + Send + Sync + 'static {
    let tracer = telemetry.tracer("jobs");
    move |event| {
        let name = event.metadata().fields().iter().next().unwrap().name();
        let context = Context::current();
        tracer.span_builder(name).start_with_context(&tracer, &context);
    }
}

/// Runs a program whose events of the target `jobs` become spans.
fn handled(program: impl FnOnce()) -> TestTelemetry {
    let telemetry = TestTelemetry::new();
    let builder = plain().with_events_as_span_events(true).with_event_handler("jobs", record(&telemetry));
    support::run_in(telemetry, builder, program)
}

#[test]
fn events_of_the_target_become_what_the_handler_makes_of_them() {
    let telemetry = handled(|| {
        let import = info_span!("import");
        import.in_scope(|| {
            info!(target: "jobs", a = 1);
            error!(target: "jobs", failed = 1);
            info!(target: "jobs::other", b = 1);
        });
        info!(target: "jobs", parent: &import, c = 1);
        info!(target: "jobs", parent: None, d = 1);
    });
    let tree = telemetry.tree();
    // Neither span events nor a status, except of the other target.
    let other = "  * event bridges/tracing/tests/handlers.rs";
    let shown: Vec<_> = tree.lines().map(|line| if line.starts_with(other) { "  * other" } else { line }).collect();
    assert_eq!(shown, ["d", "import", "  * other", "  a", "  failed", "  c"]);
    // The layer's own filter does not keep their records.
    assert_eq!(telemetry.log_records().len(), 1);
}

#[test]
fn a_handler_that_panics_loses_its_event_only() {
    let panics = |_: &tracing::Event<'_>| panic!("in a handler");
    let telemetry = run(plain().with_event_handler("jobs", panics), || {
        info_span!("import").in_scope(|| info!(target: "jobs", a = 1));
        info!("later");
    });
    assert_eq!((telemetry.tree().as_str(), telemetry.logs().as_str()), ("import\n", "INFO later\n"));
}

#[test]
fn a_later_handler_replaces_the_earlier_one() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let handler = |name: &'static str| {
        let seen = seen.clone();
        move |_: &tracing::Event<'_>| seen.lock().unwrap().push(name)
    };
    let builder = plain().with_event_handler("jobs", handler("first")).with_event_handler("jobs", handler("second"));
    run(builder, || info!(target: "jobs", a = 1));
    assert_eq!(*seen.lock().unwrap(), ["second"]);
}

#[test]
fn suppressed_telemetry_has_no_handled_events() {
    let telemetry = handled(|| {
        let _suppressed = Context::enter_telemetry_suppressed_scope();
        info!(target: "jobs", a = 1);
    });
    assert_eq!(telemetry.tree(), "");
}

/// A value in a context.
#[derive(Debug, PartialEq)]
struct Mark(u8);

#[test]
fn a_carrier_takes_the_context_to_another_thread() {
    let telemetry = TestTelemetry::new();
    let _attached = telemetry.attach();
    let dispatch = dispatch(plain());
    let _default = tracing::dispatcher::set_default(&dispatch);
    let tracer = telemetry.tracer("test");
    let call = Context::current_with_span(tracer.start("call")).with_value(Mark(7));
    let carrier = {
        let _current = call.clone().attach();
        error_span!("telemark.context")
    };
    let ids = call.span().span_context().clone();
    let worker = std::thread::spawn(move || {
        let _default = tracing::dispatcher::set_default(&dispatch);
        let _entered = carrier.enter();
        assert_eq!(Context::current().get::<Mark>(), Some(&Mark(7)));
        info_span!("work").in_scope(|| warn!("slow"));
        // Changes of the carrier and its end do not reach the span of the call.
        drop(_entered);
        drop(carrier);
        assert!(!Context::current().has_active_span());
    });
    worker.join().unwrap();
    assert!(call.span().is_recording());
    call.span().set_attribute(KeyValue::new("later", true));
    call.span().end();
    assert_eq!(telemetry.tree(), "call later=true\n  work\n");
    let record = telemetry.log_records().remove(0);
    assert_eq!(record.trace_context().unwrap().trace_id, ids.trace_id());
}

#[test]
fn a_span_that_is_entered_again_keeps_a_span_of_another_library_within_it() {
    let telemetry = TestTelemetry::new();
    let _attached = telemetry.attach();
    let tracer = telemetry.tracer("test");
    tracing::dispatcher::with_default(&dispatch(plain()), || {
        let request = info_span!("request");
        let _entered = request.enter();
        let _call = Context::current_with_span(tracer.start("call")).attach();
        // What a future does that runs `in_current_span`.
        request.in_scope(|| {
            info_span!("inner").in_scope(|| ());
            info_span!("other").in_scope(|| request.in_scope(|| info_span!("of request").in_scope(|| ())));
        });
        drop(tracer.start("after"));
    });
    assert_eq!(
        telemetry.tree(),
        "request\n  of request\n  call\n    inner\n    other\n    after\n",
        "between spans, the context is that of the span"
    );
}
