//! The exporter's own libraries use `tracing`. Even with an appender that accepts every event, their events must not
//! become log records, or every export would cause another. The file has only one test, because the subscriber is
//! global.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use telemark::config::Env;
use telemark::time::Deadline;
use telemark_tests::{Script, Sink};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// Counts the events that the exporter's thread emits through `tracing`.
#[derive(Clone, Default)]
struct OfTheExporter(Arc<AtomicUsize>);

impl<S: tracing::Subscriber> Layer<S> for OfTheExporter {
    fn on_event(&self, _: &tracing::Event<'_>, _: Context<'_, S>) {
        if std::thread::current().name() == Some("telemark-logs") {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[test]
fn what_an_export_of_logs_says_is_not_exported() {
    let sink = Sink::start(Script::Take).unwrap();
    let endpoint = sink.endpoint();
    let env = Env::from_pairs([("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]);
    let telemetry = telemark::builder().with_env(env).init().unwrap();
    let of_exporter = OfTheExporter::default();
    let bridge = OpenTelemetryTracingBridge::new(telemetry.logger_provider());
    tracing_subscriber::registry().with(of_exporter.clone()).with(bridge).init();

    for _ in 0..3 {
        tracing::info!("said");
        telemetry.force_flush(Deadline::after(Duration::from_secs(20))).unwrap();
    }
    telemetry.shutdown(Deadline::after(Duration::from_secs(20))).unwrap();

    assert!(of_exporter.0.load(Ordering::Relaxed) > 0, "the exporter emitted nothing, so this test shows nothing");
    assert_eq!(sink.log_records().len(), 3);
}
