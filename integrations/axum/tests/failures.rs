//! Tests failing requests: the status of the span, `error.type`, and the attributes of the duration, for each way in which
//! axum, a layer or a client ends a request.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../../tower/tests/support/mod.rs"]
mod support;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::error_handling::HandleErrorLayer;
use axum::extract::{DefaultBodyLimit, Path, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Extension, Router};
use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::BodyExt;
use support::{Spans, until};
use telemark_axum::{AxumPolicy, HttpServerLayer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::{ServiceBuilder, ServiceExt};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

on_every_provider!(
    extractors_that_reject,
    nothing_that_matches,
    timeouts,
    panics,
    bodies_that_fail,
    uploads_that_are_aborted,
    connections_that_change_hands,
);

fn layer<S: Spans>(spans: &S) -> HttpServerLayer<AxumPolicy, S::Tracer> {
    telemark_axum::layer().with_tracer(spans.tracer()).with_meter(&spans.meter())
}

/// Returns how the only request ended, according to its span and its metric, without the attributes that all requests
/// share.
async fn ended<S: Spans>(spans: &S) -> String {
    let finished = until("a span", || Some(spans.finished()).filter(|spans| !spans.is_empty())).await;
    let [span] = &finished[..] else { panic!("{finished:?}") };
    let metrics = spans.metrics();
    let [point] = &metrics.lines().collect::<Vec<_>>()[..] else { panic!("{metrics}") };
    let attributes = point.strip_prefix("http.server.request.duration[s]{").unwrap().split_once("} ").unwrap().0;
    let attributes = attributes.replace("network.protocol.version=1.1,", "").replace("url.scheme=http", "");
    let short = |text: &str| text.replace("http.response.status_code", "status").replace(" { description: \"\" }", "");
    format!("{} | {}", short(&span.end()), short(attributes.trim_end_matches(',')))
}

/// Sends a request, reads as much of the response as possible, and compares the result of [`ended`].
async fn check<S: Spans>(app: impl Fn(&S) -> Router, request: Request, status: u16, expected: &str) {
    let spans = S::new();
    let shown = format!("{request:?}");
    let response = app(&spans).oneshot(request).await.unwrap();
    assert_eq!(response.status(), status, "{shown}");
    let _ = response.into_body().collect().await;
    assert_eq!(ended(&spans).await, expected, "{shown}");
}

fn to(method: &str, path: &str) -> Request {
    Request::builder().method(method).uri(path).body(Body::empty()).unwrap()
}

async fn extractors_that_reject<S: Spans>() {
    let app = |spans: &S| {
        Router::new()
            .route("/users/{id}", get(async |Path(id): Path<u32>| id.to_string()))
            .route("/state", get(async |Extension(name): Extension<&'static str>| name))
            .route("/text", post(async |text: String| text))
            .layer(DefaultBodyLimit::max(4))
            .layer(layer(spans))
    };
    check(
        app,
        to("GET", "/users/x"),
        400,
        "GET /users/{id} Unset status=400 | http.request.method=GET,status=400,http.route=/users/{id}",
    )
    .await;
    let too_long = Request::post("/text").body(Body::from("hello")).unwrap();
    check(app, too_long, 413, "POST /text Unset status=413 | http.request.method=POST,status=413,http.route=/text")
        .await;
    let no_text = Request::post("/text").body(Body::from(&b"\xff"[..])).unwrap();
    check(app, no_text, 400, "POST /text Unset status=400 | http.request.method=POST,status=400,http.route=/text")
        .await;
    // The application forgot an extension, which is a server error.
    check(
        app,
        to("GET", "/state"),
        500,
        "GET /state Error status=500 error.type=\"500\" | \
         error.type=500,http.request.method=GET,status=500,http.route=/state",
    )
    .await;
}

async fn nothing_that_matches<S: Spans>() {
    let app = |spans: &S| {
        let api = Router::new().route("/a", get(async || "a")).fallback(async || (StatusCode::NOT_FOUND, "no api"));
        Router::new().route("/users/{id}", get(async || "user")).nest("/api", api).layer(layer(spans))
    };
    check(app, to("GET", "/nowhere"), 404, "GET Unset status=404 | http.request.method=GET,status=404").await;
    check(app, to("GET", "/api/nowhere"), 404, "GET Unset status=404 | http.request.method=GET,status=404").await;
    check(
        app,
        to("DELETE", "/users/7"),
        405,
        "DELETE /users/{id} Unset status=405 | http.request.method=DELETE,status=405,http.route=/users/{id}",
    )
    .await;
    check(
        app,
        to("PURGE", "/users/7"),
        405,
        "HTTP /users/{id} Unset status=405 | http.request.method=_OTHER,status=405,http.route=/users/{id}",
    )
    .await;
}

async fn timeouts<S: Spans>() {
    let slow = || Router::new().route("/slow", get(async || -> Response { std::future::pending().await }));
    let route = "http.route=/slow";

    // Inside the span, the timeout creates a response whose status distinguishes client errors from server errors.
    let of_client = |spans: &S| {
        let timeout = TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, Duration::ZERO);
        slow().layer(timeout).layer(layer(spans))
    };
    let expected = format!("GET /slow Unset status=408 | http.request.method=GET,status=408,{route}");
    check(of_client, to("GET", "/slow"), 408, &expected).await;
    let of_server = |spans: &S| {
        let timeout = TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, Duration::ZERO);
        slow().layer(timeout).layer(layer(spans))
    };
    let error = "error.type=504,http.request.method=GET,status=504";
    let expected = format!("GET /slow Error status=504 error.type=\"504\" | {error},{route}");
    check(of_server, to("GET", "/slow"), 504, &expected).await;

    // Outside of the span, the timeout drops the request.
    let around = |spans: &S| {
        let timeout = TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, Duration::ZERO);
        slow().layer(layer(spans)).layer(timeout)
    };
    let expected = format!("GET /slow Unset telemark.outcome=\"cancelled\" | http.request.method=GET,{route}");
    check(around, to("GET", "/slow"), 504, &expected).await;

    // A failing service, inside a layer that turns the error into a response.
    let failing = |spans: &S| {
        let failing = tower::service_fn(async |_request: Request| Err::<Response, _>(std::io::Error::other("gone")));
        let handled = HandleErrorLayer::new(async |_error: std::io::Error| StatusCode::BAD_GATEWAY);
        Router::new().route_service("/slow", ServiceBuilder::new().layer(handled).layer(layer(spans)).service(failing))
    };
    check(
        failing,
        to("GET", "/slow"),
        502,
        "GET /slow Error error.type=\"std::io::error::Error\" | \
         error.type=std::io::error::Error,http.request.method=GET,http.route=/slow",
    )
    .await;
}

async fn panics<S: Spans>() {
    let panicking =
        || Router::new().route("/", get(async || -> Response { std::panic::resume_unwind(Box::new("no")) }));
    let caught_within = |spans: &S| panicking().layer(CatchPanicLayer::new()).layer(layer(spans));
    check(
        caught_within,
        to("GET", "/"),
        500,
        "GET / Error status=500 error.type=\"500\" | error.type=500,http.request.method=GET,status=500,http.route=/",
    )
    .await;
    let caught_around = |spans: &S| panicking().layer(layer(spans)).layer(CatchPanicLayer::new());
    check(
        caught_around,
        to("GET", "/"),
        500,
        "GET / Error { description: \"the handler panicked\" } error.type=\"panic\" | \
         error.type=panic,http.request.method=GET,http.route=/",
    )
    .await;
    // The body panics after the head was sent.
    let body = || {
        Body::from_stream(futures_util::stream::poll_fn(|_| -> std::task::Poll<Option<Result<Bytes, Infallible>>> {
            std::panic::resume_unwind(Box::new("no"))
        }))
    };
    let spans = S::new();
    let app = Router::new().route("/", get(async move || body())).layer(layer(&spans));
    let response = app.oneshot(to("GET", "/")).await.unwrap();
    std::panic::AssertUnwindSafe(response.into_body().collect()).catch_unwind().await.unwrap_err();
    assert_eq!(
        ended(&spans).await,
        "GET / Error { description: \"the handler panicked\" } status=200 error.type=\"panic\" | \
         error.type=panic,http.request.method=GET,status=200,http.route=/"
    );
}

async fn bodies_that_fail<S: Spans>() {
    let broken = || Body::from_stream(futures_util::stream::iter([Ok("a"), Err("broken")]));
    let app = |spans: &S| {
        let broken = async move |Path(status): Path<u16>| (StatusCode::from_u16(status).unwrap(), broken());
        Router::new().route("/{status}", get(broken)).layer(layer(spans))
    };
    // The body fails, which is the server's fault, although the status is a success or a client error.
    for status in [200, 404, 500] {
        let error = "axum_core::error::Error";
        let expected = format!(
            "GET /{{status}} Error status={status} error.type=\"{error}\" | \
             error.type={error},http.request.method=GET,status={status},http.route=/{{status}}"
        );
        check(app, to("GET", &format!("/{status}")), status, &expected).await;
    }
}

/// Serves until the test's runtime ends.
async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

async fn uploads_that_are_aborted<S: Spans>() {
    // The extractor rejects a body that it could not read, which is the client's fault.
    let spans = S::new();
    let app = Router::new().route("/text", post(async |text: String| text)).layer(layer(&spans));
    let mut client = TcpStream::connect(serve(app).await).await.unwrap();
    client.write_all(b"POST /text HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhel").await.unwrap();
    client.shutdown().await.unwrap();
    let mut response = String::new();
    client.read_to_string(&mut response).await.unwrap();
    assert!(response.is_empty() || response.starts_with("HTTP/1.1 400 "), "{response}");
    assert_eq!(
        ended(&spans).await,
        "POST /text Unset status=400 | http.request.method=POST,status=400,http.route=/text"
    );

    // A handler that fails for this reason chooses the status.
    let spans = S::new();
    let handler = async |body: Body| match body.collect().await {
        Ok(_) => StatusCode::OK.into_response(),
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    };
    let app = Router::new().route("/text", post(handler)).layer(layer(&spans));
    let mut client = TcpStream::connect(serve(app).await).await.unwrap();
    client.write_all(b"POST /text HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nno chunk").await.unwrap();
    let mut response = String::new();
    client.read_to_string(&mut response).await.unwrap();
    assert_eq!(
        ended(&spans).await,
        "POST /text Error status=502 error.type=\"502\" | \
         error.type=502,http.request.method=POST,status=502,http.route=/text"
    );
}

async fn connections_that_change_hands<S: Spans>() {
    let app = |spans: &S| {
        let upgrade = async || (StatusCode::SWITCHING_PROTOCOLS, [("upgrade", "websocket")]);
        Router::new()
            .route("/socket", get(upgrade))
            .route("/refused", get(async || StatusCode::UPGRADE_REQUIRED))
            .fallback(any(async || StatusCode::OK))
            .layer(layer(spans))
    };
    let socket = "GET /socket Unset status=101 | http.request.method=GET,status=101,http.route=/socket";
    check(app, to("GET", "/socket"), 101, socket).await;
    let refused = "GET /refused Unset status=426 | http.request.method=GET,status=426,http.route=/refused";
    check(app, to("GET", "/refused"), 426, refused).await;
    let tunnel = "CONNECT Unset status=200 | http.request.method=CONNECT,status=200";
    check(app, to("CONNECT", "elsewhere.example:443"), 200, tunnel).await;
}
