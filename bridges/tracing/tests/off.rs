//! Without telemetry, as with `OTEL_SDK_DISABLED=true`, spans still pass a parent on. There is no telemetry in this process.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use support::dispatch;
use telemark_tracing::OpenTelemetrySpanExt;
use tracing::{Span, debug_span, info_span};

#[test]
fn a_parent_passes_through_although_nothing_is_recorded() {
    let trace = TraceId::from_bytes([7; 16]);
    let context = SpanContext::new(trace, SpanId::from_bytes([9; 8]), TraceFlags::SAMPLED, true, TraceState::NONE);
    let remote = Context::new().with_remote_span_context(context);
    let of = |context: &Context| context.span().span_context().trace_id();
    tracing::dispatcher::with_default(&dispatch(telemark_tracing::builder()), || {
        info_span!("request").in_scope(|| {
            Span::current().set_parent(remote.clone()).unwrap();
            info_span!("below").in_scope(|| {
                assert_eq!(of(&Context::current()), trace);
                assert_eq!(of(&Span::current().context()), trace);
            });
        });
        assert_eq!(of(&Context::current()), TraceId::INVALID);
        debug_span!("not created").set_parent(remote).unwrap();
    });
}
