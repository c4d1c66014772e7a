//! One line in `main` turns `tracing` spans and events into correlated telemetry. The file has only one test, because the
//! telemetry and the subscriber are global.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use std::time::Duration;

use opentelemetry::logs::AnyValue;
use telemark::config::Env;
use telemark::testing::{InMemoryExporter, metrics_text};
use telemark::traced;

#[traced]
fn read(rows: u64) {
    tracing::warn!(rows, "slow");
}

#[test]
fn one_line_installs_spans_records_and_lines() {
    let (spans, records, metrics) = (InMemoryExporter::new(), InMemoryExporter::new(), InMemoryExporter::new());
    let env = Env::from_pairs([("OTEL_SERVICE_NAME", "import")]);
    let telemetry = telemark::builder()
        .with_env(env)
        .with_span_exporter(spans.clone())
        .with_log_exporter(records.clone())
        .with_metric_exporter(metrics.clone())
        .with_instrumentation(telemark::tracing::install)
        .init()
        .unwrap();

    tracing::info_span!("import").in_scope(|| {
        tracing::info!(monotonic_counter.import.started = 1_u64, "started");
        read(3);
    });
    telemetry.flush(Duration::from_secs(20)).unwrap();

    let spans = spans.items();
    let name = |id| spans.iter().find(|span| span.context.span_id() == id).map_or("-", |span| &*span.name);
    let described: Vec<_> =
        (spans.iter()).map(|span| format!("{} < {}", span.name, name(span.parent_span_id))).collect();
    assert_eq!(described, ["read < import", "import < -"]);

    let described: Vec<_> = (records.items().iter())
        .map(|record| {
            let context = record.trace_context().unwrap();
            assert_eq!(context.trace_id, spans[0].context.trace_id());
            let Some(AnyValue::String(body)) = record.body() else { panic!("{record:?}") };
            format!("{body} in {}", name(context.span_id))
        })
        .collect();
    assert_eq!(described, ["started in import", "slow in read"]);

    let metrics = metrics_text(&metrics.items());
    assert!(metrics.contains("import.started sum 1"), "{metrics}");
}
