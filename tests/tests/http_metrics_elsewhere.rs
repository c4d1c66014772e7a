//! Telemetry without metric readers must not replace the global meter provider: the HTTP layer must record with the provider
//! that has a reader. There is only one test, because the provider is global.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::routing::get;
use telemark::config::Env;
use telemark::testing::{InMemoryExporter, metrics_text};
use telemark::time::Deadline;
use telemark_sdk::install::Telemetry;
use telemark_sdk::metrics::{PullReader, SdkMeterProvider};
use tower::ServiceExt;

#[tokio::test]
async fn a_provider_that_is_read_stays() {
    let reader = PullReader::default();
    opentelemetry::global::set_meter_provider(SdkMeterProvider::builder().with_reader(reader.clone()).build());

    let exporter = InMemoryExporter::new();
    let builder = Telemetry::builder(Env::from_pairs::<&str, &str>([])).with_span_exporter(exporter.clone());
    let telemetry = builder.build().unwrap().install().unwrap();
    assert!(!telemetry.meter_provider().enabled());

    let router = Router::new().route("/things/{id}", get(async || "thing")).layer(telemark::axum::layer());
    let response = router.oneshot(Request::get("/things/7").body(Body::empty()).unwrap()).await.unwrap();
    axum::body::to_bytes(response.into_body(), 100).await.unwrap();
    telemetry.force_flush(Deadline::NEVER).unwrap();
    assert_eq!(exporter.items().len(), 1);
    let metrics = metrics_text(&reader.collect(Deadline::NEVER).unwrap());
    assert!(metrics.starts_with("http.server.request.duration[s]{"), "{metrics}");
}
