//! A program that exports no spans. Its spans still have ids, for logs, exemplars and called services. There is only one
//! test, because `init` is global.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::trace::{SpanContext, TraceContextExt};
use opentelemetry::{Context, global};
use telemark::config::Env;
use telemark::testing::metrics_text;
use telemark::time::Deadline;
use telemark::{Counter, traced};
use telemark_sdk::metrics::PullReader;

static ORDERS: Counter<u64> = Counter::new("orders");

/// Returns the current span context and the `traceparent` header of an outgoing request.
#[traced(fields(order = evaluated()))]
fn order() -> (SpanContext, String) {
    ORDERS.add(1, ());
    let context = Context::current();
    let mut headers = HashMap::new();
    global::get_text_map_propagator(|propagator| propagator.inject_context(&context, &mut headers));
    (context.span().span_context().clone(), headers.remove("traceparent").unwrap_or_default())
}

/// Set when a field has been evaluated, which would be wasted work here.
static EVALUATED: AtomicBool = AtomicBool::new(false);

fn evaluated() -> bool {
    EVALUATED.swap(true, Ordering::Relaxed)
}

#[traced]
fn parent() -> (SpanContext, (SpanContext, String)) {
    (Context::current().span().span_context().clone(), order())
}

#[test]
fn spans_that_are_not_exported_have_ids_that_logs_exemplars_and_other_services_see() {
    let reader = PullReader::default();
    let env = Env::from_pairs([("OTEL_TRACES_EXPORTER", "none")]);
    let _telemetry = telemark::builder().with_env(env).with_metric_reader(reader.clone()).init().unwrap();

    let (parent, (child, sent)) = parent();
    assert!(parent.is_valid() && parent.is_sampled());
    assert!(!EVALUATED.load(Ordering::Relaxed));
    assert_eq!(parent.trace_id(), child.trace_id());
    assert_ne!(parent.span_id(), child.span_id());
    let (trace, span) = (child.trace_id(), child.span_id());
    assert!(sent.starts_with(&format!("00-{trace}-{span}-")), "{sent}");
    let metrics = metrics_text(&reader.collect(Deadline::NEVER).unwrap());
    assert_eq!(metrics, format!("orders sum 1 # 1 @{trace:x}:{span:x}\n"));

    // The remote span is the parent, and its sampling decision is kept.
    for flags in ["01", "00"] {
        let carrier = HashMap::from([(
            "traceparent".to_owned(),
            format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}"),
        )]);
        let remote = global::get_text_map_propagator(|propagator| propagator.extract(&carrier));
        let _attached = remote.attach();
        let (_, sent) = order();
        assert!(sent.starts_with("00-0af7651916cd43dd8448eb211c80319c-") && sent.ends_with(flags), "{sent}");
        assert!(!sent.contains("b7ad6b7169203331"), "a span of its own, sampled or not: {sent}");
    }
}
