//! One trace through two HTTP services, a gRPC service and a database, and an exemplar of each duration that leads to it. There
//! is only one test, because the installation is global.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test helpers")]

mod services;

/// Those of the facade.
mod integrations {
    pub(crate) use telemark::axum::layer as http_server;
    pub(crate) use telemark::reqwest::Client;
    pub(crate) use telemark::sqlx::{SqlitePool, SqlitePoolOptions};
    pub(crate) use telemark::tonic::{client_layer as grpc_client, server_layer as grpc_server};
}

use std::collections::BTreeSet;

use telemark::config::Env;
use telemark::testing::InMemoryExporter;
use telemark::time::Deadline;
use telemark::trace::SpanData;
use telemark_sdk::install::Telemetry;
use telemark_sdk::metrics::{MetricData, PullReader};

#[tokio::test]
async fn everything_is_in_one_trace_and_each_exemplar_leads_to_it() {
    let (exporter, reader) = (InMemoryExporter::<telemark_sdk::signal::Traces>::new(), PullReader::default());
    let builder = Telemetry::builder(Env::from_pairs::<&str, &str>([]));
    let builder = builder.with_span_exporter(exporter.clone()).with_metric_reader(reader.clone());
    let telemetry = builder.build().unwrap().install().unwrap();

    assert_eq!(services::visit().await, "48 left");
    let spans = || {
        telemetry.force_flush(Deadline::NEVER).unwrap();
        exporter.items()
    };
    services::ended(|| spans().len()).await;

    let spans = spans();
    let trace = spans[0].context.trace_id();
    assert!(spans.iter().all(|span| span.context.trace_id() == trace), "{}", telemark::testing::tree(&spans));
    let shown = |span: &SpanData| format!("{:?} {}", span.kind, span.name);
    let rows = spans.iter().map(|span| (span.context.span_id(), span.parent_span_id, shown(span)));
    assert_eq!(services::tree(rows.collect()), services::TREE);

    let mut found = BTreeSet::new();
    for metric in reader.collect(Deadline::NEVER).unwrap().iter().flat_map(|scope| scope.metrics.iter()) {
        let MetricData::Histogram { points, .. } = &metric.data else { continue };
        if !services::DURATIONS.iter().any(|(name, _)| *name == &*metric.name) {
            continue;
        }
        for point in points.iter() {
            let [exemplar] = &point.exemplars[..] else { panic!("one exemplar: {point:?}") };
            let leads = |span: &&SpanData| {
                (span.context.trace_id(), span.context.span_id()) == (exemplar.trace_id, exemplar.span_id)
            };
            found.insert((metric.name.to_string(), shown(spans.iter().find(leads).unwrap())));
        }
    }
    assert_eq!(found, services::durations());
}
