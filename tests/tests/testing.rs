//! `telemark::testing` covers a whole service: its spans, the metrics of its HTTP layer, and the headers it sends. The
//! tests run in parallel in one process.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::{HeaderMap, Request};
use axum::routing::get;
use telemark::opentelemetry::trace::TraceContextExt;
use telemark::propagation::B3Propagator;
use telemark::testing::TestTelemetry;
use telemark::{Counter, traced};
use tower::ServiceExt;

static VISITS: Counter<u64> = Counter::new("visits").with_unit("{visit}");

fn app() -> Router {
    Router::new().route("/users/{id}", get(user)).layer(telemark::axum::layer())
}

async fn user(Path(id): Path<u64>) -> String {
    greet(id)
}

/// Returns the headers that an outgoing request would carry.
#[traced(fields(id))]
fn greet(id: u64) -> String {
    VISITS.add(1, ());
    let mut headers = HeaderMap::new();
    telemark::inject(&mut headers);
    let text = |(name, value): (&axum::http::HeaderName, &axum::http::HeaderValue)| {
        format!("{name}: {}", value.to_str().unwrap())
    };
    headers.iter().map(text).collect::<Vec<_>>().join("\n")
}

async fn body(response: axum::response::Response) -> String {
    let bytes = axum::body::to_bytes(response.into_body(), 1000).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Written like a user's test: the telemetry, the app, a request.
async fn a_service_under_test(user: u64) {
    let telemetry = TestTelemetry::new();
    let _attached = telemetry.attach();
    let request = Request::get(format!("/users/{user}"))
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .body(Body::empty())
        .unwrap();
    let sent = body(app().oneshot(request).await.unwrap()).await;

    let trace = "0af7651916cd43dd8448eb211c80319c";
    assert_eq!(sent, format!("traceparent: 00-{trace}-0000000000000002-01"));
    let spans = telemetry.spans();
    let root = spans.iter().find(|span| span.name == "GET /users/{id}").unwrap();
    assert_eq!(root.parent_span_id.to_string(), "b7ad6b7169203331");
    let tree = telemetry.tree();
    assert!(tree.ends_with(&format!("\n  greet id={user}\n")), "{tree}");
    assert_eq!(
        telemetry.metrics(),
        format!(
            "http.server.request.duration[s]{{http.request.method=GET,http.response.status_code=200,\
             http.route=/users/{{id}},network.protocol.version=1.1,url.scheme=http}} histogram count=1 sum=0 min=0 \
             max=0 <=0.005:1 # 0 @{id}:1\n\
             visits[{{visit}}] sum 1 # 1 @{id}:2\n",
            id = trace.trim_start_matches('0'),
        )
    );
}

#[tokio::test]
async fn a_test_sees_spans_metrics_and_headers() {
    a_service_under_test(1).await;
}

#[tokio::test]
async fn and_so_does_another_one_beside_it() {
    a_service_under_test(2).await;
}

#[tokio::test]
async fn a_test_has_the_propagator_that_it_wants() {
    let telemetry = TestTelemetry::new().with_propagator(B3Propagator::single());
    let _attached = telemetry.attach();
    let request = Request::get("/users/3").header("b3", "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1");
    let sent = body(app().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()).await;
    assert_eq!(sent, "b3: 0af7651916cd43dd8448eb211c80319c-0000000000000002-1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_layer_made_in_a_test_is_that_tests_on_other_threads_too() {
    let telemetry = TestTelemetry::new();
    let app = {
        let _attached = telemetry.attach();
        app()
    };
    let served = tokio::spawn(app.oneshot(Request::get("/users/4").body(Body::empty()).unwrap()));
    body(served.await.unwrap().unwrap()).await;
    assert!(telemetry.tree().starts_with("GET /users/{id} (server)"), "{}", telemetry.tree());
    assert!(telemetry.metrics().starts_with("http.server.request.duration[s]{"), "{}", telemetry.metrics());
}

#[test]
fn what_is_not_valid_in_headers_leaves_the_context_as_it_is() {
    let telemetry = TestTelemetry::new();
    let _attached = telemetry.attach();
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", "nonsense".parse().unwrap());
    assert!(!telemark::extract(&headers).span().span_context().is_valid());
    headers.insert("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse().unwrap());
    assert!(telemark::extract(&headers).span().span_context().is_remote());
}

#[test]
fn a_propagator_that_panics_costs_the_headers_only() {
    #[derive(Debug)]
    struct Panics;
    impl telemark::opentelemetry::propagation::TextMapPropagator for Panics {
        fn inject_context(
            &self,
            _: &telemark::opentelemetry::Context,
            _: &mut dyn telemark::opentelemetry::propagation::Injector,
        ) {
            panic!("on purpose")
        }

        fn extract_with_context(
            &self,
            _: &telemark::opentelemetry::Context,
            _: &dyn telemark::opentelemetry::propagation::Extractor,
        ) -> telemark::opentelemetry::Context {
            panic!("on purpose")
        }

        fn fields(&self) -> telemark::opentelemetry::propagation::text_map_propagator::FieldIter<'_> {
            telemark::opentelemetry::propagation::text_map_propagator::FieldIter::new(&[])
        }
    }
    let telemetry = TestTelemetry::new().with_propagator(Panics);
    let _attached = telemetry.attach();
    let mut headers = HeaderMap::new();
    telemark::inject(&mut headers);
    assert!(headers.is_empty() && !telemark::extract(&headers).has_active_span());
}
