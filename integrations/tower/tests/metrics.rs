//! Tests a request's measurements by comparing exact points, for every way in which the request can end.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::convert::Infallible;
use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt, stream};
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use opentelemetry::metrics::{
    Histogram, HistogramBuilder, InstrumentBuilder, InstrumentProvider, Meter, SyncInstrument, UpDownCounter,
};
use opentelemetry::trace::noop::NoopTracer;
use opentelemetry::trace::{TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use support::{Spans, Telemark, the_span, ticking};
use telemark_tower::{DefaultPolicy, HttpServerLayer, ResponseBody, Route, ServerConfig};
use tower::{Layer, Service, ServiceExt, service_fn};

on_every_provider!(
    completed,
    failed,
    cancelled,
    panicked,
    active_while_served,
    attributes,
    late_routes,
    request_sizes,
    server_addresses,
    the_chosen_metrics_are_recorded,
    requests_without_a_context_are_counted_by_route,
    requests_are_counted_without_metrics,
    not_sampled,
    without_a_tracer,
    excluded,
    spans_have_the_same_duration,
    an_error_recorder_that_panics,
    clocks_that_are_set_back,
    one_set_of_instruments,
    a_layer_is_the_same_whatever_the_order_of_its_settings,
);

const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const UNSAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

#[derive(Debug)]
struct BodyError;

#[derive(Debug)]
struct ServiceError;

type Frames = Vec<Result<Frame<Bytes>, BodyError>>;

fn data(text: &'static str) -> Result<Frame<Bytes>, BodyError> {
    Ok(Frame::data(Bytes::from_static(text.as_bytes())))
}

fn frames(frames: Frames) -> impl Body<Data = Bytes, Error = BodyError> + Unpin {
    StreamBody::new(stream::iter(frames))
}

/// Returns settings that record every metric, with a clock that lets each request take a quarter of a second.
fn config() -> ServerConfig {
    ServerConfig::new().with_active_requests().with_body_sizes().with_clock(ticking())
}

fn layer<S: Spans>(spans: &S, config: ServerConfig) -> HttpServerLayer<DefaultPolicy, S::Tracer> {
    HttpServerLayer::new().with_config(config).with_tracer(spans.tracer()).with_meter(&spans.meter())
}

/// Returns the layer's response for a handler's response.
async fn respond<S: Spans, B: Body>(
    spans: &S,
    config: ServerConfig,
    request: http::request::Builder,
    response: Response<B>,
) -> Response<ResponseBody<B>> {
    let mut response = Some(response);
    let service = service_fn(move |_request: Request<()>| {
        let response = response.take().unwrap();
        async move { Ok::<_, Infallible>(response) }
    });
    layer(spans, config).layer(service).oneshot(request.body(()).unwrap()).await.unwrap()
}

fn ok(text: &'static str) -> Response<Full<Bytes>> {
    Response::new(Full::from(text))
}

/// Returns the expected points of one request: duration and sizes with these attributes.
fn points(attributes: &str, request: u64, response: u64) -> String {
    let size = |bytes: u64| {
        let bound = [0, 5, 10].into_iter().find(|bound| bytes <= *bound).unwrap();
        format!("histogram count=1 sum={bytes} min={bytes} max={bytes} <={bound}:1")
    };
    format!(
        "http.server.active_requests[{{request}}]{{http.request.method={method},url.scheme=http}} up-down sum 0\n\
         http.server.request.body.size[By]{{{attributes}}} {}\n\
         http.server.request.duration[s]{{{attributes}}} histogram count=1 sum=0.25 min=0.25 max=0.25 <=0.25:1\n\
         http.server.response.body.size[By]{{{attributes}}} {}\n",
        size(request),
        size(response),
        method = attributes.split_once("http.request.method=").unwrap().1.split(',').next().unwrap(),
    )
}

fn get(status: u16) -> String {
    format!("http.request.method=GET,http.response.status_code={status},network.protocol.version=1.1,url.scheme=http")
}

/// The span still ends with the time of the clock, which is that of the metric.
async fn an_error_recorder_that_panics<S: Spans>() {
    let spans = S::new();
    let config = config().with_error_recorder(|_, _, _| std::panic::resume_unwind(Box::new("on purpose")));
    let failed = Response::builder().status(500).body(Empty::<Bytes>::new()).unwrap();
    drop(respond(&spans, config, Request::get("/"), failed).await);
    assert_eq!(the_span(&spans).await.duration, Duration::from_millis(250));
}

async fn completed<S: Spans>() {
    async fn check<S: Spans, B: Body + Unpin>(method: Method, status: u16, body: B, bytes: u64) {
        let spans = S::new();
        let response = Response::builder().status(status).body(body).unwrap();
        let mut body = respond(&spans, config(), Request::builder().method(method.clone()), response).await.into_body();
        while let Some(Ok(_)) = body.frame().await {}
        let expected = points(&get(status).replace("GET", method.as_str()), 0, bytes);
        assert_eq!(spans.metrics(), expected);
        drop(body);
        assert_eq!(spans.metrics(), expected);
    }
    let trailers = || Ok(Frame::trailers(HeaderMap::new()));
    check::<S, _>(Method::GET, 200, Full::<Bytes>::from("hello"), 5).await;
    check::<S, _>(Method::POST, 201, frames(vec![data("ab"), data("cde"), data("")]), 5).await;
    check::<S, _>(Method::GET, 200, frames(vec![data("abcdef"), trailers()]), 6).await;
    check::<S, _>(Method::GET, 404, Empty::<Bytes>::new(), 0).await;
    check::<S, _>(Method::GET, 204, frames(vec![]), 0).await;
    check::<S, _>(Method::GET, 101, frames(vec![]), 0).await;
    check::<S, _>(Method::CONNECT, 200, frames(vec![]), 0).await;

    // Recorded when the head is returned, because the body is never polled.
    let spans = S::new();
    let _held = respond(&spans, config(), Request::head("/"), ok("hello")).await;
    assert_eq!(spans.metrics(), points(&get(200).replace("GET", "HEAD"), 0, 0));

    let spans = S::new();
    let response = Response::builder().status(503).body(Full::<Bytes>::from("no")).unwrap();
    let _collected = respond(&spans, config(), Request::get("/"), response).await.into_body().collect().await;
    assert_eq!(spans.metrics(), points(&format!("error.type=503,{}", get(503)), 0, 2));
}

async fn failed<S: Spans>() {
    let spans = S::new();
    let service = layer(&spans, config())
        .layer(service_fn(async |_request: Request<()>| Err::<Response<Empty<Bytes>>, ServiceError>(ServiceError)));
    service.oneshot(Request::new(())).await.unwrap_err();
    let attributes =
        "error.type=metrics::ServiceError,http.request.method=GET,network.protocol.version=1.1,url.scheme=http";
    assert_eq!(spans.metrics(), points(attributes, 0, 0));

    let spans = S::new();
    let response = Response::new(frames(vec![data("abc"), Err(BodyError), data("d")]));
    let mut body = respond(&spans, config(), Request::get("/"), response).await.into_body();
    body.frame().await.unwrap().unwrap();
    body.frame().await.unwrap().unwrap_err();
    let expected = points(&format!("error.type=metrics::BodyError,{}", get(200)), 0, 3);
    assert_eq!(spans.metrics(), expected);
    drop(body);
    assert_eq!(spans.metrics(), expected);
}

async fn cancelled<S: Spans>() {
    // Cancelled before the head, polled or not: there is no status.
    let attributes = "http.request.method=GET,network.protocol.version=1.1,url.scheme=http";
    for polled in [true, false] {
        let spans = S::new();
        let mut service = layer(&spans, config()).layer(service_fn(async |_request: Request<()>| {
            pending::<Result<Response<Empty<Bytes>>, Infallible>>().await
        }));
        let mut future = Box::pin(service.call(Request::new(())));
        if polled {
            assert!(future.as_mut().now_or_never().is_none());
        }
        drop(future);
        assert_eq!(spans.metrics(), points(attributes, 0, 0));
    }
    // Cancelled during the body.
    let spans = S::new();
    let response = Response::new(frames(vec![data("ab"), data("cd")]));
    let mut body = respond(&spans, config(), Request::get("/"), response).await.into_body();
    body.frame().await.unwrap().unwrap();
    drop(body);
    assert_eq!(spans.metrics(), points(&get(200), 0, 2));
}

async fn panicked<S: Spans>() {
    let before = "error.type=panic,http.request.method=GET,network.protocol.version=1.1,url.scheme=http";
    for in_call in [true, false] {
        let spans = S::new();
        let service = layer(&spans, config()).layer(service_fn(move |_request: Request<()>| {
            assert!(!in_call, "in call");
            async move {
                tokio::task::yield_now().await;
                if !in_call {
                    panic!("in a poll");
                }
                Ok::<Response<Empty<Bytes>>, Infallible>(Response::default())
            }
        }));
        AssertUnwindSafe(service.oneshot(Request::new(()))).catch_unwind().await.unwrap_err();
        assert_eq!(spans.metrics(), points(before, 0, 0));
    }
    let spans = S::new();
    let body = StreamBody::new(stream::poll_fn(|_| -> std::task::Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        panic!("in the body")
    }));
    let mut body = respond(&spans, config(), Request::get("/"), Response::new(body)).await.into_body();
    let polled = AssertUnwindSafe(body.frame()).catch_unwind().await;
    polled.unwrap_err();
    let expected = points(&format!("error.type=panic,{}", get(200)), 0, 0);
    assert_eq!(spans.metrics(), expected);
    drop(body);
    assert_eq!(spans.metrics(), expected);
}

async fn active_while_served<S: Spans>() {
    let spans = S::new();
    let service = layer(&spans, ServerConfig::new().without_duration().with_active_requests())
        .layer(service_fn(async |_request: Request<()>| Ok::<_, Infallible>(ok("hello"))));
    let active = |method: &str, number: i64| {
        format!(
            "http.server.active_requests[{{request}}]{{http.request.method={method},url.scheme=http}} up-down sum {number}\n"
        )
    };
    let mut first = Box::pin(service.clone().call(Request::new(())));
    assert_eq!(spans.metrics(), active("GET", 1));
    let second = service.clone().oneshot(Request::post("/").body(()).unwrap()).await.unwrap();
    assert_eq!(spans.metrics(), active("GET", 1) + &active("POST", 1));
    let mut first = first.as_mut().await.unwrap().into_body();
    assert_eq!(spans.metrics(), active("GET", 1) + &active("POST", 1));
    first.frame().await.unwrap().unwrap();
    assert_eq!(spans.metrics(), active("GET", 0) + &active("POST", 1));
    drop((first, second));
    assert_eq!(spans.metrics(), active("GET", 0) + &active("POST", 0));
}

/// Returns the line of the duration without its name and numbers.
async fn duration<S: Spans>(config: ServerConfig, request: http::request::Builder) -> String {
    let spans = S::new();
    let _collected = respond(&spans, config.with_clock(ticking()), request, ok("")).await.into_body().collect().await;
    let metrics = spans.metrics();
    let line = metrics.lines().find_map(|line| line.strip_prefix("http.server.request.duration[s]{")).unwrap();
    line.split_once("} histogram").unwrap().0.to_owned()
}

async fn attributes<S: Spans>() {
    let new = ServerConfig::new;
    let request = Request::put("https://example.com/users/7").extension(Route("/users/{id}".into()));
    assert_eq!(
        duration::<S>(new(), request.version(Version::HTTP_2)).await,
        "http.request.method=PUT,http.response.status_code=200,http.route=/users/{id},network.protocol.version=2,\
         url.scheme=https"
    );
    let long = format!("/{}", "x".repeat(300));
    assert_eq!(
        duration::<S>(new(), Request::builder().method("PURGE").extension(Route(long.clone().into()))).await,
        format!(
            "http.request.method=_OTHER,http.response.status_code=200,http.route={long},network.protocol.version=1.1,\
             url.scheme=http"
        )
    );
    let config = new().with_known_methods(["PURGE"]).with_forwarded_headers();
    let request = Request::builder().method("PURGE").header("x-forwarded-proto", "https").version(Version::HTTP_10);
    assert_eq!(
        duration::<S>(config, request).await,
        "http.request.method=PURGE,http.response.status_code=200,network.protocol.version=1.0,url.scheme=https"
    );
}

async fn late_routes<S: Spans>() {
    let configs = || [config(), config().with_route_templates(["/*"]), config().with_guessed_routes()];
    for (parent, config) in [SAMPLED, UNSAMPLED].into_iter().flat_map(|parent| configs().map(|config| (parent, config)))
    {
        let spans = S::new();
        let mut response = ok("");
        response.extensions_mut().insert(Route("/late/{id}".into()));
        respond(&spans, config, Request::get("/").header("traceparent", parent), response).await;
        let attributes = get(200).replace(",network", ",http.route=/late/{id},network");
        assert_eq!(spans.metrics(), points(&attributes, 0, 0));
    }
}

async fn request_sizes<S: Spans>() {
    async fn check<S: Spans>(request: http::request::Builder, expected: Option<u64>) {
        let spans = S::new();
        respond(&spans, config(), request, ok("")).await;
        let metrics = spans.metrics();
        let line = metrics.lines().find(|line| line.starts_with("http.server.request.body.size[By]"));
        let size = line.map(|line| line.split_once("sum=").unwrap().1.split(' ').next().unwrap().parse().unwrap());
        assert_eq!(size, expected);
    }
    check::<S>(Request::post("/").header("content-length", "7"), Some(7)).await;
    check::<S>(Request::post("/").header("content-length", "7, 7"), Some(7)).await;
    check::<S>(Request::post("/").header("content-length", "7").header("content-length", "8"), None).await;
    check::<S>(Request::post("/").header("content-length", "+7"), None).await;
    check::<S>(Request::post("/").header("transfer-encoding", "chunked"), None).await;
    check::<S>(Request::get("/"), Some(0)).await;
    check::<S>(Request::get("/").version(Version::HTTP_2), None).await;
}

async fn server_addresses<S: Spans>() {
    let config = || config().with_server_address_in_metrics();
    let request = || Request::get("/").header("host", "shop.example:8080");
    assert_eq!(
        duration::<S>(config(), request()).await,
        "http.request.method=GET,http.response.status_code=200,network.protocol.version=1.1,\
         server.address=shop.example,server.port=8080,url.scheme=http"
    );
    let spans = S::new();
    let chosen = ServerConfig::new().with_server_address_in_metrics().without_duration().with_active_requests();
    respond(&spans, chosen, request(), ok("")).await;
    let host = "http.request.method=GET,server.address=shop.example,server.port=8080,url.scheme=http";
    assert_eq!(spans.metrics(), format!("http.server.active_requests[{{request}}]{{{host}}} up-down sum 0\n"));
}

async fn the_chosen_metrics_are_recorded<S: Spans>() {
    async fn check<S: Spans>(config: ServerConfig, expected: &[&str]) {
        let spans = S::new();
        respond(&spans, config, Request::get("/"), ok("")).await;
        let metrics = spans.metrics();
        let names: Vec<_> = metrics.lines().map(|line| line.split('[').next().unwrap()).collect();
        assert_eq!(names, expected);
        assert_eq!(spans.finished().len(), 1);
    }
    let new = ServerConfig::new;
    let (duration, active) = ("http.server.request.duration", "http.server.active_requests");
    let sizes = ["http.server.request.body.size", "http.server.response.body.size"];
    check::<S>(new(), &[duration]).await;
    check::<S>(new().with_active_requests(), &[active, duration]).await;
    check::<S>(new().without_duration().with_body_sizes(), &sizes).await;
    check::<S>(new().without_metrics(), &[]).await;
    check::<S>(new().without_metrics().with_active_requests(), &[]).await;
}

async fn requests_without_a_context_are_counted_by_route<S: Spans>() {
    let spans = S::new();
    let config = ServerConfig::new().without_duration().with_orphans().with_route_templates(["/users/{id}"]);
    let parents = [None, Some(SAMPLED), Some(UNSAMPLED), Some("00-invalid"), None];
    for (number, parent) in parents.into_iter().enumerate() {
        let request = Request::get(format!("/users/{number}"));
        let request = parent.iter().fold(request, |request, parent| request.header("traceparent", *parent));
        respond(&spans, config.clone(), request, ok("")).await.into_body().collect().await.unwrap();
    }
    respond(&spans, config, Request::get("/other"), ok("")).await.into_body().collect().await.unwrap();
    assert_eq!(
        spans.metrics(),
        "telemark.http.server.request.orphans[{request}]{http.request.method=GET,http.route=/users/{id},url.scheme=http} sum 3\n\
         telemark.http.server.request.orphans[{request}]{http.request.method=GET,url.scheme=http} sum 1\n"
    );
}

/// Nothing has to be enabled for the count, and the late route of a response takes the place of a template.
async fn requests_are_counted_without_metrics<S: Spans>() {
    let spans = S::new();
    // Each tracer has routes of its own, because the counts are those of the process.
    let tracer = std::any::type_name::<S>().rsplit("::").next().unwrap();
    let prefix = format!("/counted/{tracer}");
    let template = format!("{prefix}/{{id}}");
    let config = ServerConfig::new().without_metrics().with_route_templates([&template]);
    for parent in [None, Some(SAMPLED), Some(UNSAMPLED), Some("00-invalid")] {
        let request = Request::get(format!("{prefix}/7"));
        let request = parent.iter().fold(request, |request, parent| request.header("traceparent", *parent));
        respond(&spans, config.clone(), request, ok("")).await.into_body().collect().await.unwrap();
    }
    let mut late = ok("");
    late.extensions_mut().insert(Route(format!("{prefix}/late").into()));
    respond(&spans, config.clone(), Request::get(format!("{prefix}/7")), late).await;
    let disabled = config.with_enabled(false);
    respond(&spans, disabled, Request::get(format!("{prefix}/7")), ok("")).await;
    let mut counts: Vec<_> = telemark_tower::served_requests()
        .into_iter()
        .filter(|one| one.route.is_some_and(|route| route.starts_with(&prefix)))
        .collect();
    counts.sort_by_key(|one| one.route);
    let counts: Vec<_> = counts
        .iter()
        .map(|one| {
            (one.route.unwrap().trim_start_matches(&prefix), one.without_parent, one.local_parent, one.remote_parent)
        })
        .collect();
    assert_eq!(counts, [("/late", 1, 0, 0), ("/{id}", 2, 0, 2)]);
}

async fn not_sampled<S: Spans>() {
    let spans = S::new();
    let response = respond(&spans, config(), Request::get("/").header("traceparent", UNSAMPLED), ok("hello")).await;
    response.into_body().collect().await.unwrap();
    assert_eq!(spans.metrics(), points(&get(200), 0, 5));
    assert!(spans.finished().is_empty());
}

async fn without_a_tracer<S: Spans>() {
    let spans = S::new();
    let layer = HttpServerLayer::new().with_config(config()).with_tracer(NoopTracer::new());
    let service = layer
        .with_meter(&spans.meter())
        .layer(service_fn(async |_request: Request<()>| Ok::<_, Infallible>(ok("hello"))));
    service.oneshot(Request::new(())).await.unwrap().into_body().collect().await.unwrap();
    assert_eq!(spans.metrics(), points(&get(200), 0, 5));
}

async fn excluded<S: Spans>() {
    let spans = S::new();
    let config = config().with_excluded_paths(["/health"]);
    respond(&spans, config, Request::get("/health"), ok("hello")).await.into_body().collect().await.unwrap();
    assert_eq!(spans.metrics(), "");
    assert!(spans.finished().is_empty());
}

async fn spans_have_the_same_duration<S: Spans>() {
    // Two readings of the system clock would differ.
    let spans = S::new();
    respond(&spans, ServerConfig::new(), Request::get("/"), ok("hello")).await;
    let span = the_span(&spans).await.duration.as_secs_f64();
    assert!(spans.metrics().contains(&format!(" count=1 sum={span} ")), "{span} {}", spans.metrics());
}

async fn clocks_that_are_set_back<S: Spans>() {
    let spans = S::new();
    let clock = ticking();
    let base = clock();
    let back = move || base - clock().duration_since(base).unwrap();
    respond(&spans, ServerConfig::new().with_clock(back), Request::get("/"), ok("hello")).await;
    assert_eq!(the_span(&spans).await.duration, Duration::ZERO);
    assert!(spans.metrics().contains(" count=1 sum=0 min=0 max=0 <=0.005:1"), "{}", spans.metrics());
    // Replaced settings keep the clock.
    let spans = S::new();
    let layer = layer(&spans, config()).map_config(|_| ServerConfig::new());
    let service = layer.layer(service_fn(async |_request: Request<()>| Ok::<_, Infallible>(ok(""))));
    let response = service.oneshot(Request::new(())).await.unwrap();
    response.into_body().collect().await.unwrap();
    assert_eq!(the_span(&spans).await.duration, Duration::from_millis(250));
}

async fn one_set_of_instruments<S: Spans>() {
    // A router creates a service for each route.
    let spans = S::new();
    let layer = layer(&spans, config());
    for _ in 0..3 {
        let service = layer.layer(service_fn(async |_request: Request<()>| Ok::<_, Infallible>(ok(""))));
        service.oneshot(Request::new(())).await.unwrap();
    }
    let duration = format!("http.server.request.duration[s]{{{}}} histogram count=3", get(200));
    assert!(spans.metrics().contains(&duration), "{}", spans.metrics());
}

/// The duration's exemplars point to the requests' spans, regardless of how the requests end, and never to another current
/// span.
#[tokio::test]
async fn exemplars_lead_to_the_span() {
    async fn check(end: &str, run: impl AsyncFnOnce(&Telemark)) {
        let spans = Telemark::new();
        let tracer = spans.tracer();
        // The request may end while another span is current.
        let other = Context::current_with_span(tracer.start("other"));
        let guard = other.clone().attach();
        run(&spans).await;
        drop(guard);
        let span = the_span(&spans).await.context;
        assert_ne!(span.span_id(), other.span().span_context().span_id());
        let (trace, span) = (span.trace_id(), span.span_id());
        for name in ["http.server.request.duration", "http.server.response.body.size"] {
            let metrics = spans.0.metrics();
            let line = metrics.lines().find(|line| line.starts_with(name)).unwrap();
            assert_eq!(line.matches(" # ").count(), 1, "{end}: {line}");
            assert!(line.ends_with(&format!(" @{trace:x}:{span:x}")), "{end}: {line} {trace:x}:{span:x}");
        }
        other.span().end();
    }
    let parent = || Request::get("/").header("traceparent", SAMPLED);
    check("completed", async |spans| {
        respond(spans, config(), parent(), ok("hello")).await.into_body().collect().await.unwrap();
    })
    .await;
    check("no body", async |spans| drop(respond(spans, config(), parent(), ok("")).await)).await;
    check("cancelled", async |spans| drop(respond(spans, config(), parent(), ok("hello")).await)).await;
    check("failed", async |spans| {
        let service = layer(spans, config())
            .layer(service_fn(async |_request: Request<()>| Err::<Response<Empty<Bytes>>, ServiceError>(ServiceError)));
        service.oneshot(parent().body(()).unwrap()).await.unwrap_err();
    })
    .await;
    check("panicked", async |spans| {
        let service = layer(spans, config()).layer(service_fn(|_request: Request<()>| {
            if true {
                panic!("on purpose");
            }
            std::future::ready(Ok::<Response<Empty<Bytes>>, Infallible>(Response::default()))
        }));
        let call = AssertUnwindSafe(service.oneshot(parent().body(()).unwrap())).catch_unwind();
        call.await.unwrap_err();
    })
    .await;

    // Unsampled requests have no exemplar, not even one of the outer span.
    let spans = Telemark::new();
    let _other = Context::current_with_span(spans.tracer().start("other")).attach();
    let request = || Request::get("/").header("traceparent", UNSAMPLED);
    respond(&spans, ServerConfig::new(), request(), ok("hello")).await.into_body().collect().await.unwrap();
    drop(respond(&spans, ServerConfig::new(), request(), ok("hello")).await);
    assert!(spans.0.metrics().contains("count=2") && !spans.0.metrics().contains(" # "), "{}", spans.0.metrics());
}

/// A meter whose instruments all panic.
struct Hostile;

impl<T> SyncInstrument<T> for Hostile {
    fn measure(&self, _measurement: T, _attributes: &[KeyValue]) {
        panic!("a meter");
    }
}

impl InstrumentProvider for Hostile {
    fn f64_histogram(&self, _builder: HistogramBuilder<'_, Histogram<f64>>) -> Histogram<f64> {
        Histogram::new(Arc::new(Hostile))
    }
    fn u64_histogram(&self, _builder: HistogramBuilder<'_, Histogram<u64>>) -> Histogram<u64> {
        Histogram::new(Arc::new(Hostile))
    }
    fn i64_up_down_counter(&self, _builder: InstrumentBuilder<'_, UpDownCounter<i64>>) -> UpDownCounter<i64> {
        UpDownCounter::new(Arc::new(Hostile))
    }
}

#[tokio::test]
async fn meters_that_panic_harm_neither_request_nor_span() {
    let spans = Telemark::new();
    let service = layer(&spans, config())
        .with_meter(&Meter::new(Arc::new(Hostile)))
        .layer(service_fn(async |_request: Request<()>| Ok::<_, Infallible>(ok("hello"))));
    let response = service.clone().oneshot(Request::new(())).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");
    let span = the_span(&spans).await;
    assert_eq!((span.end().as_str(), span.duration.as_millis()), ("GET Unset http.response.status_code=200", 250));
    assert_eq!(service.oneshot(Request::new(())).await.unwrap().status(), StatusCode::OK);
}

async fn a_layer_is_the_same_whatever_the_order_of_its_settings<S: Spans>() {
    let captured = |config: ServerConfig| config.with_captured_request_headers(["x-a"]);
    for turn in 0..4 {
        let spans = S::new();
        // Like in the facade, use settings from the environment and the engine's clock.
        let environment = ServerConfig::from_env_fn(|name| {
            (name == "OTEL_RUST_HTTP_SERVER_CAPTURE_REQUEST_HEADERS").then(|| "x-b".to_owned())
        });
        let layer = HttpServerLayer::new().with_config(environment.with_clock(ticking()));
        let (layer, expected) = match turn {
            0 => (layer.map_config(captured).with_policy(DefaultPolicy).with_tracer(spans.tracer()), "b,a"),
            1 => (layer.with_tracer(spans.tracer()).with_policy(DefaultPolicy).map_config(captured), "b,a"),
            2 => (layer.with_config(captured(ServerConfig::new())).with_tracer(spans.tracer()), "a"),
            _ => (layer.with_tracer(spans.tracer()).with_config(captured(ServerConfig::new())), "a"),
        };
        let layer = layer.with_meter(&spans.meter());
        let service = layer.layer(service_fn(async |_request: Request<()>| Ok::<_, Infallible>(ok("hello"))));
        let request = Request::get("/").header("x-a", "a").header("x-b", "b").body(()).unwrap();
        service.oneshot(request).await.unwrap().into_body().collect().await.unwrap();
        let span = the_span(&spans).await;
        assert_eq!(span.duration, Duration::from_millis(250), "the clock stays");
        assert!(spans.metrics().contains("sum=0.25 "), "the clock stays");
        let header = |name: &&str| span.attributes.contains_key(&format!("http.request.header.x-{name}"));
        assert_eq!(["b", "a"].into_iter().filter(header).collect::<Vec<_>>().join(","), expected);
    }
}
