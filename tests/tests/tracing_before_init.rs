//! A program sets its own subscriber before it starts the telemetry, and another one for a part of it afterwards. The file has only
//! one test, because the telemetry and the subscriber are global.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry::trace::TraceId;
use telemark::config::Env;
use telemark::testing::InMemoryExporter;
use telemark::traced;
use telemark_sdk::diag;
use tracing_subscriber::layer::SubscriberExt;

#[traced]
fn within() {
    tracing::info!("within");
}

#[test]
fn a_subscriber_set_before_init_records_from_then_on() {
    let subscriber = tracing_subscriber::registry().with(telemark::tracing::layer());
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let early = tracing::info_span!("early");
    early.in_scope(|| tracing::info!("lost"));

    let said = Arc::new(Mutex::new(Vec::new()));
    let sink = said.clone();
    assert!(diag::set_sink(move |_, text| sink.lock().unwrap().push(text.to_owned())));
    let (spans, records) = (InMemoryExporter::new(), InMemoryExporter::new());
    let telemetry = telemark::builder()
        .with_env(Env::from_pairs([("OTEL_METRICS_EXPORTER", "none"), ("OTEL_LOG_LEVEL", "info")]))
        .with_span_exporter(spans.clone())
        .with_log_exporter(records.clone())
        // Finds the subscriber of the program and leaves it alone.
        .with_instrumentation(telemark::tracing::install)
        .init()
        .unwrap();
    assert!(telemark::tracing::install_log_tracer(), "the logger of the `log` crate is left alone too");
    let said = said.lock().unwrap().join("\n");
    assert!(said.contains("the program has set a subscriber of `tracing` already"), "{said}");
    assert!(said.contains("traces:") && !said.contains("log lines:"), "{said}");
    early.in_scope(|| {
        let late = tracing::info_span!("late");
        late.in_scope(within);
    });
    drop(early);
    // A subscriber for a part of the program, on the same telemetry.
    let other = tracing_subscriber::registry().with(telemark::tracing::layer());
    tracing::subscriber::with_default(other, || tracing::info_span!("other").in_scope(within));
    telemetry.flush(Duration::from_secs(20)).unwrap();

    let spans = spans.items();
    let name = |id| spans.iter().find(|span| span.context.span_id() == id).map_or("-", |span| &*span.name);
    let found: Vec<_> = spans.iter().map(|span| format!("{} < {}", span.name, name(span.parent_span_id))).collect();
    assert_eq!(found, ["within < late", "late < -", "within < other", "other < -"]);
    let records = records.items();
    let traces: Vec<_> = records.iter().map(|record| record.trace_context().unwrap().trace_id).collect();
    assert_eq!(traces, [spans[0].context.trace_id(), spans[2].context.trace_id()]);
    assert!(!traces.contains(&TraceId::INVALID) && traces[0] != traces[1]);
}
