//! The client layer over services in memory and over one another.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::{FutureExt, stream};
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use opentelemetry::trace::TraceContextExt;
use support::client::{Known, METRICS, check_that_violations_are_seen, violations, violations_of_point};
use support::tables::{check_conformance, check_coverage};
use support::{Spans, the_span};
use telemark_http::{ClientMetrics, HttpClientInstrumentation, ResendCounter, UrlTemplate};
use telemark_tower::{ClientConfig, ClientPolicy, HttpClientLayer, HttpServerLayer};
use tower::{Layer, Service, ServiceExt, service_fn};

on_every_provider!(
    spans_and_metrics_say_what_the_conventions_want,
    the_service_runs_in_the_span_and_receives_its_context,
    a_layer_over_a_layer_is_one_span,
    attempts_are_counted,
    errors,
    a_panic_ends_the_span,
    cancelled_requests_are_no_errors,
    bodies_are_counted_until_they_end_or_are_dropped,
    policies_decide,
    replaced_settings_keep_the_clock,
    a_policy_that_panics_costs_only_the_span,
);

type Body = UnsyncBoxBody<Bytes, Failure>;

#[derive(Debug)]
struct Failure;

fn layer<S: Spans>(spans: &S, config: ClientConfig) -> HttpClientLayer {
    let instrumentation = HttpClientInstrumentation::new(config, spans.tracer());
    HttpClientLayer::with_instrumentation(instrumentation.with_metrics(ClientMetrics::new(&spans.meter())))
}

fn request(method: &str, uri: &str) -> Request<Full<Bytes>> {
    let request = Request::builder().method(method).uri(uri).header("x-ask", "a").header("user-agent", "test");
    request.body(Full::from("1234567")).unwrap()
}

#[derive(Clone, Copy, Debug)]
enum Ending {
    Whole(u16),
    BodyFails(u16),
    BodyDropped(u16),
    Fails,
    Panics,
    Dropped,
}

const ENDINGS: [Ending; 12] = [
    Ending::Whole(101),
    Ending::Whole(200),
    Ending::Whole(204),
    Ending::Whole(301),
    Ending::Whole(400),
    Ending::Whole(404),
    Ending::Whole(500),
    Ending::BodyFails(200),
    Ending::BodyDropped(200),
    Ending::Fails,
    Ending::Panics,
    Ending::Dropped,
];

fn response(status: u16, fails: bool) -> Response<Body> {
    let last = if fails { Err(Failure) } else { Ok(Bytes::from_static(b"b")) };
    let frames = [Ok(Bytes::from_static(b"a")), last].map(|data| data.map(Frame::data));
    let body: Body = StreamBody::new(stream::iter(frames)).boxed_unsync();
    let response = Response::builder().status(status).header("x-reply", "b").header("content-length", "2");
    response.body(body).unwrap()
}

/// Sends one request until the given end.
async fn exchange(layer: &HttpClientLayer, request: Request<Full<Bytes>>, ending: Ending) {
    let mut service = layer.layer(service_fn(move |_request: Request<Full<Bytes>>| async move {
        match ending {
            Ending::Whole(status) | Ending::BodyDropped(status) => Ok(response(status, false)),
            Ending::BodyFails(status) => Ok(response(status, true)),
            Ending::Fails => Err(Failure),
            Ending::Panics => resume_unwind(Box::new("on purpose")),
            Ending::Dropped => std::future::pending().await,
        }
    }));
    let mut future = Box::pin(AssertUnwindSafe(service.call(request)).catch_unwind());
    let Some(Ok(Ok(response))) = future.as_mut().now_or_never() else { return };
    if !matches!(ending, Ending::BodyDropped(_)) {
        let _ = response.into_body().collect().await;
    }
}

/// Every opt-in attribute that a layer can add.
const ASKED: &[&str] = &[
    "url.scheme",
    "user_agent.original",
    "http.request.body.size",
    "http.response.body.size",
    "http.request.header.x-ask",
    "http.response.header.x-reply",
    "server.service.name",
];

async fn spans_and_metrics_say_what_the_conventions_want<S: Spans>() {
    let everything = ClientConfig::new()
        .with_opt_in_attributes(&ASKED[..4])
        .with_captured_request_headers(["x-ask"])
        .with_captured_response_headers(["x-reply"])
        .with_server_service_name("*", "shop")
        .with_opt_in_metric_attributes(["url.scheme", "url.template"])
        .with_active_requests()
        .with_body_sizes();
    assert!(everything.problems().is_empty());
    for (config, asked) in [(ClientConfig::new(), &[] as &[&str]), (everything, ASKED)] {
        let spans = S::new();
        let layer = layer(&spans, config);
        let mut known = Vec::new();
        let targets = [
            ("GET", "http://shop.example/", "http://shop.example/"),
            (
                "HEAD",
                "https://u:p@shop.example:8443/a?sig=x",
                "https://REDACTED:REDACTED@shop.example:8443/a?sig=REDACTED",
            ),
            ("POST", "http://[::1]:81/users/7", "http://[::1]:81/users/7"),
            ("PURGE", "https://shop.example/users/7?a=b", "https://shop.example/users/7?a=b"),
            ("get", "http://192.0.2.1/", "http://192.0.2.1/"),
        ];
        for (method, uri, url) in targets {
            for template in [None, Some("/users/{id}")] {
                for resend_count in [0, 2] {
                    for ending in ENDINGS {
                        let mut request = request(method, uri);
                        if let Some(template) = template {
                            request.extensions_mut().insert(UrlTemplate(template.into()));
                        }
                        let counter = ResendCounter::new();
                        (0..resend_count).for_each(|earlier| assert_eq!(counter.count(), earlier));
                        request.extensions_mut().insert(counter);
                        exchange(&layer, request, ending).await;
                        let status = match ending {
                            Ending::Whole(status) | Ending::BodyFails(status) | Ending::BodyDropped(status) => {
                                Some(status)
                            }
                            _ => None,
                        };
                        known.push(Known {
                            method: method.to_owned(),
                            url: url.to_owned(),
                            template,
                            status,
                            has_failed: matches!(ending, Ending::Fails | Ending::Panics),
                            resend_count,
                            asked,
                        });
                    }
                }
            }
        }
        let of_point = |line: &str| violations_of_point(line, !asked.is_empty());
        let (finished, metrics) = check_conformance(&spans, &known, violations, of_point);
        check_coverage(&finished, asked.iter().copied());
        let recorded = METRICS.iter().filter(|(name, ..)| metrics.contains(name)).count();
        assert_eq!(recorded, if asked.is_empty() { 1 } else { METRICS.len() });
        let active: Vec<_> = metrics.lines().filter(|line| line.contains("active_requests")).collect();
        assert!(active.iter().all(|line| line.ends_with(" up-down sum 0")), "{active:?}");
    }
}

#[test]
fn a_violation_is_seen() {
    check_that_violations_are_seen();
}

async fn the_service_runs_in_the_span_and_receives_its_context<S: Spans>() {
    let spans = S::new();
    let seen: Arc<Mutex<Vec<(String, HeaderMap)>>> = Arc::default();
    let log = Arc::clone(&seen);
    let service = service_fn(move |request: Request<Full<Bytes>>| {
        let log = Arc::clone(&log);
        async move {
            let current = opentelemetry::Context::current().span().span_context().span_id().to_string();
            log.lock().unwrap().push((current, request.headers().clone()));
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let config = ClientConfig::new().with_propagation_hosts(["*.shop.example"]);
    let service = layer(&spans, config).layer(service);
    service.clone().oneshot(request("GET", "http://stock.shop.example/")).await.unwrap();
    service.oneshot(request("GET", "http://elsewhere.example/")).await.unwrap();
    let finished = spans.finished();
    let seen = seen.lock().unwrap();
    for (span, (current, headers)) in finished.iter().zip(&*seen) {
        assert_eq!(span.context.span_id().to_string(), *current);
        let sent = headers.get("traceparent").map(|value| value.to_str().unwrap().contains(current));
        assert_eq!(sent, span.attributes["server.address"].contains("shop").then_some(true));
    }
    assert_eq!((finished.len(), seen.len()), (2, 2));
}

fn hello()
-> impl Service<Request<Full<Bytes>>, Response = Response<Full<Bytes>>, Error = Infallible, Future: Send> + Clone {
    service_fn(|_request: Request<Full<Bytes>>| async { Ok::<_, Infallible>(Response::new(Full::from("hello"))) })
}

async fn a_layer_over_a_layer_is_one_span<S: Spans>() {
    let spans = S::new();
    let outer = layer(&spans, ClientConfig::new().with_active_requests());
    let service = outer.layer(layer(&spans, ClientConfig::new()).layer(hello()));
    service.oneshot(request("GET", "http://h/")).await.unwrap();
    the_span(&spans).await;
    assert_eq!(spans.metrics().matches("count=1").count(), 1);

    // A request that a handler sends below a server span is another one, even in the same process.
    let spans = S::new();
    let inner = layer(&spans, ClientConfig::new()).layer(hello());
    let handler =
        service_fn(move |_request: Request<Full<Bytes>>| inner.clone().oneshot(request("GET", "http://other/")));
    let server = HttpServerLayer::new().with_tracer(spans.tracer()).layer(handler);
    layer(&spans, ClientConfig::new()).layer(server).oneshot(request("GET", "http://h/")).await.unwrap();
    let kinds: Vec<_> = spans.finished().iter().map(|span| span.kind.clone()).collect();
    assert_eq!(kinds.iter().filter(|kind| *kind == "Client").count(), 2, "{kinds:?}");
}

async fn attempts_are_counted<S: Spans>() {
    let spans = S::new();
    let service = layer(&spans, ClientConfig::new()).layer(hello());
    let mut original = request("GET", "http://h/");
    original.extensions_mut().insert(ResendCounter::new());
    for _ in 0..3 {
        // A layer that retries sends clones.
        service.clone().oneshot(original.clone()).await.unwrap();
    }
    let shown: Vec<_> = spans.finished().iter().map(|span| span.only(&["http.request.resend_count"])).collect();
    assert_eq!(shown, ["GET Unset", "GET Unset http.request.resend_count=1", "GET Unset http.request.resend_count=2"]);
}

/// Returns the end of the span of a request that failed with this error.
async fn failed<S: Spans, E: 'static>(make: fn() -> E) -> String {
    let spans = S::new();
    let service =
        service_fn(move |_request: Request<Full<Bytes>>| async move { Err::<Response<Full<Bytes>>, E>(make()) });
    let result = layer(&spans, ClientConfig::new()).layer(service).oneshot(request("GET", "http://h/?sig=x")).await;
    assert!(result.is_err());
    the_span(&spans).await.end()
}

async fn errors<S: Spans>() {
    type BoxError = Box<dyn std::error::Error + Send + Sync>;
    let reset = || std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    let expected = "GET Error { description: \"connection reset\" } error.type=\"connection_reset\"";
    assert_eq!(failed::<S, _>(reset).await, expected);
    assert_eq!(
        failed::<S, BoxError>(|| std::io::Error::from(std::io::ErrorKind::ConnectionReset).into()).await,
        expected
    );
    let expected = "GET Error { description: \"odd\" } error.type=\"_OTHER\"";
    assert_eq!(failed::<S, BoxError>(|| "odd".into()).await, expected);
    let expected = "GET Error { description: \"\" } error.type=\"client::Failure\"";
    assert_eq!(failed::<S, _>(|| Failure).await, expected);
}

async fn a_panic_ends_the_span<S: Spans>() {
    let spans = S::new();
    exchange(&layer(&spans, ClientConfig::new()), request("GET", "http://h/"), Ending::Panics).await;
    let expected = "GET Error { description: \"the client panicked\" } error.type=\"panic\"";
    assert_eq!(the_span(&spans).await.end(), expected);
}

async fn cancelled_requests_are_no_errors<S: Spans>() {
    let spans = S::new();
    exchange(&layer(&spans, ClientConfig::new()), request("GET", "http://h/"), Ending::Dropped).await;
    assert_eq!(the_span(&spans).await.end(), "GET Unset telemark.outcome=\"cancelled\"");
    let metrics = spans.metrics();
    assert!(metrics.contains("count=1") && !metrics.contains("error.type"), "{metrics}");
}

async fn bodies_are_counted_until_they_end_or_are_dropped<S: Spans>() {
    for (ending, expected) in [
        (Ending::Whole(200), "sum=2"),
        (Ending::BodyDropped(200), "sum=0"),
        (Ending::BodyFails(200), "error.type=body"),
    ] {
        let spans = S::new();
        let config = ClientConfig::new().without_duration().with_body_sizes();
        exchange(&layer(&spans, config), request("POST", "http://h/"), ending).await;
        let metrics = spans.metrics();
        let [sent, received] = &metrics.lines().collect::<Vec<_>>()[..] else { panic!("{metrics}") };
        assert!(sent.starts_with("http.client.request.body.size") && sent.contains("sum=7"), "{sent}");
        assert!(received.starts_with("http.client.response.body.size") && received.contains(expected), "{received}");
    }
}

struct Own;

impl ClientPolicy for Own {
    fn url_template<'r>(&self, request: &telemark_tower::ClientRequestHead<'r>) -> Option<std::borrow::Cow<'r, str>> {
        request.target.path().starts_with("/users/").then_some("/users/{id}".into())
    }

    fn is_excluded(&self, request: &telemark_tower::ClientRequestHead<'_>) -> bool {
        request.target.path() == "/health"
    }

    fn is_error(&self, status: http::StatusCode) -> bool {
        assert!(status != 418, "on purpose");
        status.is_server_error()
    }
}

async fn policies_decide<S: Spans>() {
    let spans = S::new();
    let layer = layer(&spans, ClientConfig::new().with_policy(Own));
    for (uri, status) in [("http://h/users/7", 404), ("http://h/health", 200), ("http://h/", 500)] {
        exchange(&layer, request("GET", uri), Ending::Whole(status)).await;
    }
    let ends: Vec<_> = spans.finished().iter().map(support::Seen::end).collect();
    let expected = [
        "GET /users/{id} Unset http.response.status_code=404",
        "GET Error { description: \"\" } http.response.status_code=500 error.type=\"500\"",
    ];
    assert_eq!(ends, expected);
}

async fn a_policy_that_panics_costs_only_the_span<S: Spans>() {
    struct Panics;
    impl ClientPolicy for Panics {
        fn span_name(
            &self,
            _request: &telemark_tower::ClientRequestHead<'_>,
        ) -> Option<std::borrow::Cow<'static, str>> {
            resume_unwind(Box::new("on purpose"))
        }
    }
    let spans = S::new();
    let service = layer(&spans, ClientConfig::new().with_policy(Panics)).layer(hello());
    let response = service.oneshot(request("GET", "http://h/")).await.unwrap();
    assert_eq!((response.status().as_u16(), spans.finished().len()), (200, 0));
}

async fn replaced_settings_keep_the_clock<S: Spans>() {
    let seconds = Arc::new(AtomicU64::new(0));
    let clock = move || UNIX_EPOCH + Duration::from_secs(seconds.fetch_add(7, Ordering::Relaxed));
    let spans = S::new();
    let instrumentation = HttpClientInstrumentation::new(ClientConfig::new().with_clock(clock), spans.tracer());
    let instrumentation = instrumentation.with_metrics(ClientMetrics::new(&spans.meter()));
    let layer = HttpClientLayer::with_instrumentation(instrumentation.map_config(|_| ClientConfig::new()));
    exchange(&layer, request("GET", "http://shop.example/"), Ending::Whole(200)).await;
    assert_eq!(the_span(&spans).await.duration, Duration::from_secs(7));
}
