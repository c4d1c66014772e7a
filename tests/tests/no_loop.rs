//! The exporter's own libraries use `tracing`. Even with layers that record everything, their events must not become
//! telemetry, or every export would cause another. The file has only one test, because the subscriber is global.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry::global;
use telemark::config::Env;
use telemark::time::Deadline;
use telemark::traced;
use telemark_sdk::span_filter::{Level, SpanFilter};
use telemark_tests::{Script, Sink};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// Counts the spans and events that the exporter's thread emits through `tracing`.
#[derive(Clone, Default)]
struct OfTheExporter(Arc<AtomicUsize>);

impl OfTheExporter {
    fn count(&self) {
        if std::thread::current().name() == Some("telemark-traces") {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl<S: tracing::Subscriber> Layer<S> for OfTheExporter {
    fn on_new_span(&self, _: &tracing::span::Attributes<'_>, _: &tracing::span::Id, _: Context<'_, S>) {
        self.count();
    }

    fn on_event(&self, _: &tracing::Event<'_>, _: Context<'_, S>) {
        self.count();
    }
}

#[traced]
fn work() {
    tracing::info_span!("wanted").in_scope(|| tracing::info!("said"));
}

#[test]
fn what_an_export_says_is_not_exported() {
    let sink = Sink::start(Script::Take).unwrap();
    let endpoint = sink.endpoint();
    let env = Env::from_pairs([("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]);
    let telemetry = telemark::builder().with_env(env).init().unwrap();
    let of_exporter = OfTheExporter::default();
    let layer = tracing_opentelemetry::layer().with_tracer(global::tracer("tracing"));
    let ours = telemark::tracing::builder()
        .with_span_filter(SpanFilter::up_to(Level::Trace))
        .with_events_as_span_events(true)
        .build();
    tracing_subscriber::registry().with(of_exporter.clone()).with(layer).with(ours).init();

    for _ in 0..3 {
        work();
        telemetry.force_flush(Deadline::after(Duration::from_secs(20))).unwrap();
    }
    telemetry.shutdown(Deadline::after(Duration::from_secs(20))).unwrap();

    assert!(of_exporter.0.load(Ordering::Relaxed) > 0, "the exporter emitted nothing, so this test shows nothing");
    let mut names: Vec<_> = sink.spans().into_iter().map(|span| span.name).collect();
    names.sort();
    // Each layer records the span of `tracing`.
    assert_eq!(names, [vec!["wanted"; 6], vec!["work"; 3]].concat());
}
