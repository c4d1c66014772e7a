//! The global tracer, for a layer that is older than the provider. A process of its own: the provider is global.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Empty;
use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, global};
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

    // Without a provider, requests pass and the caller's trace goes on.
    let response = service.clone().oneshot(request()).await.unwrap();
    assert_eq!(response.headers()["id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    service.clone().oneshot(Request::new(())).await.unwrap();

    let exporter = InMemorySpanExporter::default();
    global::set_tracer_provider(SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build());
    service.clone().oneshot(request()).await.unwrap();
    let spans = exporter.get_finished_spans().unwrap();
    let scope = &spans[0].instrumentation_scope;
    assert_eq!(
        (spans.len(), scope.name(), scope.version(), scope.schema_url()),
        (1, "telemark-tower", Some(env!("CARGO_PKG_VERSION")), Some("https://opentelemetry.io/schemas/1.44.0"))
    );

    // The first real tracer is kept.
    global::set_tracer_provider(SdkTracerProvider::builder().build());
    service.clone().oneshot(request()).await.unwrap();
    assert_eq!(exporter.get_finished_spans().unwrap().len(), 2);
}
