//! What integrations capture, in a program whose global provider comes from `opentelemetry_sdk`: by variables at the start, and changed
//! while the program runs. There is only one test, because the provider is global.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::routing::get;
use opentelemetry::global;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use telemark_axum::ServerConfig;
use telemark_kit::change_settings;
use tower::ServiceExt;

const HEADERS: &str = "OTEL_RUST_HTTP_SERVER_CAPTURE_REQUEST_HEADERS";
const EXCLUDED: &str = "OTEL_RUST_HTTP_SERVER_EXCLUDED_URLS";

/// Sends a request and returns the headers that its span has captured, or `None` if there is no span.
async fn captured(router: &Router, exporter: &InMemorySpanExporter) -> Option<String> {
    let request = Request::get("/things").header("x-tenant", "t1").header("x-user", "u1");
    let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    axum::body::to_bytes(response.into_body(), 100).await.unwrap();
    let spans = exporter.get_finished_spans().unwrap();
    exporter.reset();
    let captured = |key: &str| key.starts_with("http.request.header.");
    let span = spans.first()?;
    let mut headers: Vec<_> = (span.attributes.iter())
        .filter(|attribute| captured(attribute.key.as_str()))
        .map(|attribute| format!("{}={}", attribute.key, attribute.value))
        .collect();
    headers.sort_unstable();
    Some(headers.join(" "))
}

/// Returns a router whose layer was created with these variables.
fn router(variables: &'static [(&str, &str)]) -> Router {
    let value = |name: &str| Some((*variables).iter().find(|(known, _)| *known == name)?.1.to_owned());
    let config = ServerConfig::from_env_fn(value);
    assert_eq!(config.problems().len(), 0);
    let layer = telemark_axum::layer().map_config(|_| config);
    Router::new().route("/things", get(async || "things")).layer(layer)
}

#[tokio::test]
async fn variables_and_changes_decide_what_is_captured() {
    let exporter = InMemorySpanExporter::default();
    global::set_tracer_provider(SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build());
    let (without, with) = (router(&[]), router(&[(HEADERS, "x-tenant")]));
    let check = async |expected: [Option<&str>; 2]| {
        let seen = [captured(&without, &exporter).await, captured(&with, &exporter).await];
        assert_eq!(seen.each_ref().map(Option::as_deref), expected);
    };
    const TENANT: &str = "http.request.header.x-tenant=[\"t1\"]";
    const USER: &str = "http.request.header.x-user=[\"u1\"]";
    check([Some(""), Some(TENANT)]).await;
    // A change concerns every layer, whatever its variables were.
    change_settings(&[(HEADERS, Some("x-user"))]).unwrap();
    check([Some(USER), Some(USER)]).await;
    change_settings(&[(HEADERS, None)]).unwrap();
    check([Some(""), Some("")]).await;
    change_settings(&[(HEADERS, Some("x-tenant")), (EXCLUDED, Some("/things"))]).unwrap();
    check([None, None]).await;
    change_settings(&[(EXCLUDED, None)]).unwrap();
    check([Some(TENANT), Some(TENANT)]).await;
    assert!(change_settings(&[("OTEL_RUST_HTTP_SERVER_METRICS", None)]).is_err());
}
