//! Exporters of the ecosystem use HTTP clients with threads of their own, which no suppression of telemetry reaches. With every level
//! enabled, what such a client says must not become telemetry, or every export would cause another. The file has only one test,
//! because the subscriber is global.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_otlp::{LogExporter, Protocol, SpanExporter, WithExportConfig};
use telemark::config::Env;
use telemark::time::Deadline;
use telemark_sdk::span_filter::{Level, SpanFilter};
use telemark_tests::{Script, Sink};
use telemark_upstream::{UpstreamExporter, UpstreamLogExporter};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// Notes the threads on which an HTTP client uses `tracing`.
#[derive(Clone, Default)]
struct Clients(Arc<Mutex<BTreeSet<String>>>);

impl<S: tracing::Subscriber> Layer<S> for Clients {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target().starts_with("hyper") {
            self.0.lock().unwrap().insert(std::thread::current().name().unwrap_or_default().to_owned());
        }
    }
}

#[test]
fn what_the_client_of_a_foreign_exporter_says_is_not_exported() {
    let sink = Sink::start(Script::Take).unwrap();
    let url = |path: &str| format!("{}{path}", sink.endpoint());
    let spans =
        SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary).with_endpoint(url("/v1/traces"));
    let logs = LogExporter::builder().with_http().with_protocol(Protocol::HttpBinary).with_endpoint(url("/v1/logs"));
    let telemetry = telemark::builder()
        .with_env(Env::from_pairs([("OTEL_METRICS_EXPORTER", "none")]))
        .with_span_exporter(UpstreamExporter::new(spans.build().unwrap()))
        .with_log_exporter(UpstreamLogExporter::new(logs.build().unwrap()))
        .init()
        .unwrap();
    let clients = Clients::default();
    let ours = telemark::tracing::builder().with_span_filter(SpanFilter::up_to(Level::Trace)).build();
    tracing_subscriber::registry().with(clients.clone()).with(ours).init();
    telemark::tracing::install_log_tracer();

    for _ in 0..3 {
        tracing::info_span!("wanted").in_scope(|| {
            tracing::trace!("said");
            // Within a span of the program, its own use of a client is recorded.
            tracing::debug!(target: "hyper::client", "own");
        });
        telemetry.force_flush(Deadline::after(Duration::from_secs(20))).unwrap();
    }
    telemetry.shutdown(Deadline::after(Duration::from_secs(20))).unwrap();

    let threads = clients.0.lock().unwrap().clone();
    assert!(threads.iter().any(|thread| thread.starts_with("reqwest")), "the client said nothing: {threads:?}");
    let names: Vec<_> = sink.spans().into_iter().map(|span| span.name).collect();
    assert_eq!(names, ["wanted"; 3]);
    let bodies: Vec<_> = sink.log_records().into_iter().map(|record| format!("{:?}", record.body)).collect();
    let count = |body: &str| bodies.iter().filter(|own| own.contains(body)).count();
    assert_eq!((bodies.len(), count("said"), count("own")), (6, 3, 3), "{bodies:#?}");
}
