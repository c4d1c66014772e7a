//! Tests a layer created before the global tracer and meter are installed. They are global, so this test has its own process.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Empty;
use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, global};
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, SdkMeterProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use telemark_tower::HttpServerLayer;
use tower::{Layer, ServiceExt, service_fn};

#[tokio::test]
async fn finds_a_provider_that_comes_late_and_keeps_it() {
    support::propagate();
    let service = HttpServerLayer::new().layer(service_fn(async |_request: Request<()>| {
        let id = Context::current().span().span_context().trace_id();
        Ok::<_, Infallible>(Response::builder().header("id", id.to_string()).body(Empty::<Bytes>::new()).unwrap())
    }));
    let request = || {
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        Request::get("/").header("traceparent", trace).body(()).unwrap()
    };

    // Without a provider, requests are served and stay in the caller's trace.
    let response = service.clone().oneshot(request()).await.unwrap();
    assert_eq!(response.headers()["id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    service.clone().oneshot(Request::new(())).await.unwrap();

    let metrics = InMemoryMetricExporter::default();
    let meters = SdkMeterProvider::builder().with_periodic_exporter(metrics.clone()).build();
    global::set_meter_provider(meters.clone());
    let exporter = InMemorySpanExporter::default();
    global::set_tracer_provider(SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build());
    service.clone().oneshot(request()).await.unwrap();
    let spans = exporter.get_finished_spans().unwrap();
    let scope = &spans[0].instrumentation_scope;
    assert_eq!(
        (spans.len(), scope.name(), scope.version(), scope.schema_url()),
        (1, "telemark-tower", Some(env!("CARGO_PKG_VERSION")), Some("https://opentelemetry.io/schemas/1.45.0"))
    );

    // The first real tracer is kept.
    global::set_tracer_provider(SdkTracerProvider::builder().build());
    service.clone().oneshot(request()).await.unwrap();
    assert_eq!(exporter.get_finished_spans().unwrap().len(), 2);

    // So is the first real meter, which recorded three requests.
    global::set_meter_provider(SdkMeterProvider::builder().build());
    service.clone().oneshot(request()).await.unwrap();
    meters.force_flush().unwrap();
    let exported = metrics.get_finished_metrics().unwrap();
    // With its feature for bound instruments, the provider also has its own metrics.
    let scopes = exported.iter().flat_map(ResourceMetrics::scope_metrics);
    let scopes: Vec<_> = scopes.filter(|scope| scope.scope().name() != "otel.sdk").collect();
    let [scope] = &scopes[..] else { panic!("{scopes:?}") };
    assert_eq!(
        (scope.scope().name(), scope.scope().version(), scope.scope().schema_url()),
        ("telemark-tower", Some(env!("CARGO_PKG_VERSION")), Some("https://opentelemetry.io/schemas/1.45.0"))
    );
    let metrics: Vec<_> = scope.metrics().collect();
    let [duration] = &metrics[..] else { panic!("{metrics:?}") };
    assert_eq!(duration.description(), "Duration of HTTP server requests.");
    let AggregatedMetrics::F64(MetricData::Histogram(data)) = duration.data() else { panic!("{duration:?}") };
    let point = data.data_points().next().unwrap();
    let boundaries = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
    assert_eq!((point.count(), point.bounds().collect::<Vec<_>>()), (3, boundaries.to_vec()));
}
