//! Spans of an installed telemetry are counted as well, although `#[traced]` takes a shorter path there. This file contains
//! only one test because the installed telemetry is global.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use telemark_sdk::config::Env;
use telemark_sdk::install::Telemetry;
use telemark_sdk::instrument::spans::{span, suppress};
use telemark_sdk::metrics::PullReader;
use telemark_sdk::testing::{InMemoryExporter, metrics_text};
use telemark_sdk::time::Deadline;

#[test]
fn each_span_of_the_installed_telemetry_is_counted_once() {
    span("before anything is installed").in_scope(|| ());
    let (reader, exporter) = (PullReader::default(), InMemoryExporter::new());
    let telemetry = Telemetry::builder(Env::from_pairs([("OTEL_RUST_SELF_METRICS", "true")]))
        .with_span_exporter(exporter.clone())
        .with_metric_reader(reader.clone())
        .build()
        .unwrap()
        .install()
        .unwrap();
    span("root").in_scope(|| {
        (0..3).for_each(|_| span("child").in_scope(|| span("grandchild").in_scope(|| ())));
        suppress(|| span("suppressed").in_scope(|| ()));
    });
    for is_remote in [true, false] {
        let parent =
            SpanContext::new(TraceId::from(7), SpanId::from(7), TraceFlags::NOT_SAMPLED, is_remote, TraceState::NONE);
        let _attached = Context::new().with_remote_span_context(parent).attach();
        (0..2).for_each(|_| span("dropped").in_scope(|| span("dropped too").in_scope(|| ())));
    }
    let open = span("open").enter();
    let text = metrics_text(&reader.collect(Deadline::NEVER).unwrap());
    let lines: Vec<_> = text.lines().filter(|line| line.starts_with("otel.sdk.span.")).collect();
    assert_eq!(
        lines,
        [
            "otel.sdk.span.live[{span}]{otel.span.sampling_result=RECORD_AND_SAMPLE} up-down sum 1",
            "otel.sdk.span.started[{span}]{otel.span.parent.origin=local,otel.span.sampling_result=DROP} sum 4",
            "otel.sdk.span.started[{span}]{otel.span.parent.origin=local,otel.span.sampling_result=RECORD_AND_SAMPLE} sum 6",
            "otel.sdk.span.started[{span}]{otel.span.parent.origin=none,otel.span.sampling_result=RECORD_AND_SAMPLE} sum 2",
            "otel.sdk.span.started[{span}]{otel.span.parent.origin=remote,otel.span.sampling_result=DROP} sum 4",
        ]
    );
    drop(open);
    telemetry.force_flush(Deadline::NEVER).unwrap();
    assert_eq!(exporter.items().len(), 8);
}
