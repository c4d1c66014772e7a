//! A line has the ids of the current span, regardless of how the span was created.
#![allow(clippy::unwrap_used, reason = "test helpers")]

mod common;

use common::{Kept, layer};
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, Tracer};
use telemark_sdk::instrument::spans::{current_span_context, span};
use telemark_sdk::testing::TestTelemetry;
use telemark_tracing_fmt::Format;
use tracing_subscriber::layer::SubscriberExt;

/// Logs an event and returns the line's ids and flags.
fn logged() -> String {
    let kept = Kept::default();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer(Format::Json, &kept)), || {
        tracing::info!("logged");
    });
    let line: serde_json::Value = serde_json::from_str(&kept.lines()).unwrap();
    let member = |name: &str| line.get(name).map_or("none", |value| value.as_str().unwrap()).to_owned();
    ["trace_id", "span_id", "trace_flags"].map(member).join(" ")
}

fn text_of(span: &SpanContext) -> String {
    format!("{} {} {:02x}", span.trace_id(), span.span_id(), span.trace_flags())
}

#[test]
fn without_a_span_there_are_no_ids() {
    assert_eq!(logged(), "none none none");
}

#[test]
fn spans_of_functions_and_of_the_api() {
    let telemetry = TestTelemetry::new();
    let _guard = telemetry.attach();
    let by_function = span("function").in_scope(|| {
        assert_eq!(logged(), text_of(&current_span_context()));
        logged()
    });
    let by_api = telemetry.tracer("test").in_span("api", |context| {
        assert_eq!(logged(), text_of(context.span().span_context()));
        logged()
    });
    assert_ne!(by_function, by_api);
    assert!(by_api.ends_with(" 01") || by_api.ends_with(" 03"), "{by_api}");
}

#[test]
fn a_span_that_is_not_sampled_has_its_own_id() {
    let telemetry = TestTelemetry::new();
    let trace_id = TraceId::from_hex("0af7651916cd43dd8448eb211c80319c").unwrap();
    let caller = SpanContext::new(trace_id, SpanId::from(7), TraceFlags::default(), true, Default::default());
    let _guard = telemetry.context().with_remote_span_context(caller.clone()).attach();
    assert_eq!(logged(), "0af7651916cd43dd8448eb211c80319c 0000000000000007 00");
    span("unsampled").in_scope(|| {
        assert_ne!(logged(), text_of(&caller), "the id is not that of the caller");
        assert_eq!(logged(), text_of(&current_span_context()));
        assert_eq!(Context::current().span().span_context(), &caller);
    });
}
