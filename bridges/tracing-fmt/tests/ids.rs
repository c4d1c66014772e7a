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
fn an_event_with_a_parent_has_the_ids_of_that_span() {
    /// What another layer keeps for a span.
    struct Ids(SpanContext);
    struct Keeps;
    impl<S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>> tracing_subscriber::Layer<S>
        for Keeps
    {
        fn on_new_span(
            &self,
            attributes: &tracing::span::Attributes<'_>,
            id: &tracing::span::Id,
            context: tracing_subscriber::layer::Context<'_, S>,
        ) {
            if attributes.metadata().name() != "left out" {
                let ids = span("of the layer").in_scope(current_span_context);
                context.span(id).unwrap().extensions_mut().insert(Ids(ids));
            }
        }
    }
    let telemetry = TestTelemetry::new();
    let _guard = telemetry.attach();
    let kept = Kept::default();
    let lines = layer(Format::JsonFlat, &kept).with_ids_of_spans(|extensions| Some(extensions.get::<Ids>()?.0.clone()));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(Keeps).with(lines), || {
        let own = tracing::info_span!("own");
        let left_out = tracing::info_span!(parent: &own, "left out");
        span("current").in_scope(|| {
            tracing::info!(parent: &own, "own");
            tracing::info!(parent: &left_out, "nearest");
            tracing::info!(parent: None, "none");
            tracing::info!("current");
        });
    });
    let spans = telemetry.spans();
    let name = |id: &str| spans.iter().find(|span| span.context.span_id().to_string() == id).map_or("-", |s| &*s.name);
    let lines = kept.lines();
    let lines = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let found: Vec<_> =
        lines.map(|line| format!("{}: {}", text(&line["body"]), name(&text(&line["span_id"])))).collect();
    assert_eq!(found, ["own: of the layer", "nearest: of the layer", "none: -", "current: current"]);
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
