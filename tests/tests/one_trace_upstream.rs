//! The trace of `one_trace.rs` in a program whose global providers come from `opentelemetry_sdk`, which has no exemplars. There
//! is only one test, because the providers are global.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test helpers")]

mod services;

/// Those that use the API's global providers.
mod integrations {
    pub(crate) use telemark_axum::layer as http_server;
    pub(crate) use telemark_reqwest::Client;
    pub(crate) use telemark_sqlx::sqlite::{SqlitePool, SqlitePoolOptions};
    use telemark_tonic::{GrpcClientLayer, GrpcServerLayer};

    pub(crate) fn grpc_client(target: &str) -> GrpcClientLayer {
        GrpcClientLayer::new(target)
    }

    pub(crate) fn grpc_server() -> GrpcServerLayer {
        GrpcServerLayer::new()
    }
}

use std::collections::BTreeSet;

use opentelemetry::global;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};

#[tokio::test]
async fn everything_is_in_one_trace_and_measured() {
    let (exporter, metrics) = (InMemorySpanExporter::default(), InMemoryMetricExporter::default());
    global::set_tracer_provider(SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build());
    let meters = SdkMeterProvider::builder().with_reader(PeriodicReader::builder(metrics.clone()).build()).build();
    global::set_meter_provider(meters.clone());
    global::set_text_map_propagator(TraceContextPropagator::new());
    telemark::use_global_tracer();

    assert_eq!(services::visit().await, "48 left");
    services::ended(|| exporter.get_finished_spans().unwrap().len()).await;

    let spans = exporter.get_finished_spans().unwrap();
    let trace = spans[0].span_context.trace_id();
    assert!(spans.iter().all(|span| span.span_context.trace_id() == trace), "{spans:#?}");
    let shown = |span: &SpanData| format!("{:?} {}", span.span_kind, span.name);
    let rows = spans.iter().map(|span| (span.span_context.span_id(), span.parent_span_id, shown(span)));
    assert_eq!(services::tree(rows.collect()), services::TREE);

    meters.force_flush().unwrap();
    let exported = metrics.get_finished_metrics().unwrap();
    let scopes = exported.iter().flat_map(|resource| resource.scope_metrics());
    let mut found = BTreeSet::new();
    for metric in scopes.flat_map(|scope| scope.metrics()) {
        let AggregatedMetrics::F64(MetricData::Histogram(histogram)) = metric.data() else { continue };
        for point in histogram.data_points().filter(|point| point.count() == 1) {
            assert_eq!(point.exemplars().count(), 0, "if the SDK has exemplars now, check that they lead to the trace");
            found.insert(metric.name().to_owned());
        }
    }
    let expected: BTreeSet<_> = services::durations().into_iter().map(|(name, _)| name).collect();
    assert!(found.is_superset(&expected), "{found:?}");
}
