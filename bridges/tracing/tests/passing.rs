//! A parent passes through spans that the filter removes, so that an incoming trace reaches what is below them: spans, log records
//! and outgoing requests.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer};
use opentelemetry::{Context, propagation::TextMapPropagator};
use support::{dispatch, plain};
use telemark_sdk::instrument::spans::current_span_context;
use telemark_sdk::propagation::TraceContextPropagator;
use telemark_sdk::span_filter::{Level, SpanFilter};
use telemark_sdk::testing::TestTelemetry;
use telemark_tracing::{LayerBuilder, OpenTelemetrySpanExt, SetParentError};
use tracing::{Span, debug_span, info, info_span, warn_span};

const TRACE: TraceId = TraceId::from_bytes([7; 16]);

fn remote() -> Context {
    let context = SpanContext::new(TRACE, SpanId::from_bytes([9; 8]), TraceFlags::SAMPLED, true, TraceState::NONE);
    // As `extract` of a propagator does.
    Context::current().with_remote_span_context(context)
}

/// Returns a layer that keeps spans at WARN and above.
fn warn() -> LayerBuilder {
    plain().with_span_filter(SpanFilter::up_to(Level::Warn))
}

fn current_trace() -> TraceId {
    current_span_context().trace_id()
}

fn injected(span: &Span) -> String {
    let mut carrier = std::collections::HashMap::new();
    TraceContextPropagator::new().inject_context(&span.context(), &mut carrier);
    carrier.remove("traceparent").unwrap_or_default()
}

#[test]
fn the_trace_of_a_parent_passes_through_a_span_that_the_filter_removes() {
    let telemetry = TestTelemetry::new();
    let _attached = telemetry.attach();
    tracing::dispatcher::with_default(&dispatch(warn()), || {
        // As in a function with `#[instrument]`: the span is entered already, left and entered again.
        let span = info_span!("request");
        let entered = span.enter();
        Span::current().set_parent(remote()).unwrap();
        assert_eq!(current_trace(), TRACE);
        warn_span!("kept").in_scope(|| tracing::error!("in the trace"));
        assert!(injected(&span).contains(&TRACE.to_string()), "{}", injected(&span));
        drop(entered);
        assert_eq!(current_trace(), TraceId::INVALID);
        span.in_scope(|| telemetry.tracer("other").in_span("below", |_| ()));
        info_span!(parent: &span, "removed")
            .in_scope(|| warn_span!(parent: &Span::current(), "grandchild").in_scope(|| ()));
        // Another parent replaces the first.
        span.set_parent(Context::new()).unwrap();
        span.in_scope(|| assert_eq!(current_trace(), TraceId::INVALID));
        drop(span);

        // Before entering.
        let span = info_span!("request");
        span.set_parent(remote()).unwrap();
        assert_eq!(current_trace(), TraceId::INVALID);
        span.in_scope(|| assert_eq!(current_trace(), TRACE));
    });
    let traced: Vec<_> = telemetry.spans().into_iter().filter(|span| span.trace_id() == TRACE).collect();
    let names: Vec<_> = traced.iter().map(|span| &*span.name).collect();
    assert_eq!(names, ["kept", "below", "grandchild"]);
    assert!(traced.iter().all(|span| span.parent_span_id == SpanId::from_bytes([9; 8])), "{traced:?}");
    assert_eq!(telemetry.spans().len(), 3);
    assert_eq!(telemetry.log_records()[0].trace_context().unwrap().trace_id, TRACE);
    assert_eq!(current_trace(), TraceId::INVALID);
}

#[test]
fn without_a_parent_a_removed_span_changes_nothing() {
    let telemetry = TestTelemetry::new();
    let _attached = telemetry.attach();
    tracing::dispatcher::with_default(&dispatch(warn()), || {
        warn_span!("outer").in_scope(|| {
            info_span!("removed").in_scope(|| {
                // The status belongs to the nearest span that is kept.
                tracing::error!("failed");
                warn_span!("inner").in_scope(|| ());
            });
        });
    });
    assert_eq!(telemetry.tree(), "outer error\n  inner\n");
}

#[test]
fn a_span_below_info_that_was_not_created_is_an_error() {
    let telemetry = TestTelemetry::new();
    let _attached = telemetry.attach();
    tracing::dispatcher::with_default(&dispatch(warn()), || {
        assert_eq!(debug_span!("removed").set_parent(remote()), Err(SetParentError::SpanDisabled));
        info!("not kept");
    });
    assert_eq!(telemetry.log_records().len(), 0);
}
