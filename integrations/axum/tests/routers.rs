//! Tests the layer in axum's routers: routes, nested routers, fallbacks, addresses, and real connections.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../../tower/tests/support/mod.rs"]
mod support;

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::{ConnectInfo, Path, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Extension, Router};
use bytes::Bytes;
use http_body_util::BodyExt;
use opentelemetry::trace::{TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use support::{Spans, the_span, until};
use telemark_axum::{AxumPolicy, HttpPolicy, HttpServerLayer, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tower::ServiceExt;

on_every_provider!(
    routes,
    route_layers,
    layers_inside_of_nested_routers,
    layers_around_the_router,
    a_whole_request,
    handlers_and_streams_are_inside_of_the_span,
    metrics_have_routes,
    statuses,
    settings_and_policies,
    client_gone,
    a_panic,
);

fn layer<S: Spans>(spans: &S) -> HttpServerLayer<AxumPolicy, S::Tracer> {
    telemark_axum::layer().with_tracer(spans.tracer())
}

async fn call(app: &Router, method: &str, path: &str) -> StatusCode {
    let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let status = response.status();
    response.into_body().collect().await.unwrap();
    status
}

/// Calls each path and compares the span's name, route and path.
async fn check<S: Spans>(app: impl Fn(&S) -> Router, cases: &[(&str, &str, u16, &str)]) {
    for (method, path, status, expected) in cases {
        let spans = S::new();
        assert_eq!(call(&app(&spans), method, path).await.as_u16(), *status, "{method} {path}");
        let seen: Vec<_> = spans.finished().iter().map(|span| span.only(&["http.route", "url.path"])).collect();
        assert_eq!(seen.join("; "), *expected, "{method} {path}");
    }
}

async fn routes<S: Spans>() {
    let app = |spans: &S| {
        let inner = Router::new()
            .route("/items/{id}", get(async |Path((_, id)): Path<(String, u32)>| id.to_string()))
            .nest("/deep", Router::new().route("/{*rest}", any(async || "rest")));
        Router::new()
            .route("/", get(async || "root"))
            .route("/users/{id}", get(async || "user").post(async || StatusCode::CREATED))
            .nest("/api/{version}", inner)
            .nest_service(
                "/files",
                tower::service_fn(async |_request: Request| Ok::<_, std::convert::Infallible>("file".into_response())),
            )
            .layer(layer(spans))
    };
    check(
        app,
        &[
            ("GET", "/", 200, "GET / Unset http.route=\"/\" url.path=\"/\""),
            ("GET", "/users/7", 200, "GET /users/{id} Unset http.route=\"/users/{id}\" url.path=\"/users/7\""),
            ("POST", "/users/7", 201, "POST /users/{id} Unset http.route=\"/users/{id}\" url.path=\"/users/7\""),
            ("DELETE", "/users/7", 405, "DELETE /users/{id} Unset http.route=\"/users/{id}\" url.path=\"/users/7\""),
            ("PURGE", "/users/7", 405, "HTTP /users/{id} Unset http.route=\"/users/{id}\" url.path=\"/users/7\""),
            ("HEAD", "/users/7", 200, "HEAD /users/{id} Unset http.route=\"/users/{id}\" url.path=\"/users/7\""),
            (
                "GET",
                "/api/v1/items/3",
                200,
                "GET /api/{version}/items/{id} Unset http.route=\"/api/{version}/items/{id}\" url.path=\"/api/v1/items/3\"",
            ),
            (
                "GET",
                "/api/v1/items/x",
                400,
                "GET /api/{version}/items/{id} Unset http.route=\"/api/{version}/items/{id}\" url.path=\"/api/v1/items/x\"",
            ),
            (
                "GET",
                "/api/v1/deep/a/b",
                200,
                "GET /api/{version}/deep/{*rest} Unset http.route=\"/api/{version}/deep/{*rest}\" \
                 url.path=\"/api/v1/deep/a/b\"",
            ),
            ("GET", "/files/a.txt", 200, "GET Unset url.path=\"/files/a.txt\""),
            ("GET", "/nowhere", 404, "GET Unset url.path=\"/nowhere\""),
            ("GET", "/api/v1/nowhere", 404, "GET Unset url.path=\"/api/v1/nowhere\""),
        ],
    )
    .await;
}

async fn route_layers<S: Spans>() {
    let app = |spans: &S| {
        let app = Router::new().route("/users/{id}", get(async || "user")).route_layer(layer(spans));
        app.fallback(async || (StatusCode::NOT_FOUND, "nothing here"))
    };
    check(
        app,
        &[
            ("GET", "/users/7", 200, "GET /users/{id} Unset http.route=\"/users/{id}\" url.path=\"/users/7\""),
            ("GET", "/nowhere", 404, ""),
        ],
    )
    .await;
}

async fn layers_inside_of_nested_routers<S: Spans>() {
    let app = |spans: &S| {
        let inner = Router::new().route("/items/{id}", get(async || "item")).layer(layer(spans));
        Router::new().route("/plain", get(async || "plain")).nest("/api", inner)
    };
    let route = "GET /api/items/{id} Unset http.route=\"/api/items/{id}\" url.path=\"/api/items/3\"";
    check(app, &[("GET", "/api/items/3", 200, route), ("GET", "/plain", 200, "")]).await;
}

async fn layers_around_the_router<S: Spans>() {
    let spans = S::new();
    let app = Router::new().route("/users/{id}", get(async || "user"));
    let service = tower::Layer::layer(&layer(&spans), app);
    let response = service.oneshot(Request::get("/users/7").body(Body::empty()).unwrap()).await.unwrap();
    response.into_body().collect().await.unwrap();
    assert_eq!(the_span(&spans).await.only(&["http.route", "url.path"]), "GET Unset url.path=\"/users/7\"");
}

async fn a_whole_request<S: Spans>() {
    let spans = S::new();
    let app = Router::new().route("/users/{id}", get(async || "hello")).layer(layer(&spans));
    let (address, _stop) = serve(app).await;
    let mut client = TcpStream::connect(address).await.unwrap();
    let port = client.local_addr().unwrap().port();
    let request = "GET /users/7?sig=secret HTTP/1.1\r\nHost: shop.example:8080\r\nUser-Agent: curl/8.9.1\r\n\
                   traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\nConnection: close\r\n\r\n";
    client.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    client.read_to_string(&mut response).await.unwrap();
    assert!(response.contains("content-length: 5\r\n") && response.ends_with("\r\n\r\nhello"), "{response}");

    let span = the_span(&spans).await;
    assert_eq!(span.parent, "00f067aa0ba902b7");
    let expected = format!(
        "\
GET /users/{{id}} | Server | Unset
  client.address = \"127.0.0.1\"
  http.request.method = \"GET\"
  http.response.status_code = 200
  http.route = \"/users/{{id}}\"
  network.peer.address = \"127.0.0.1\"
  network.peer.port = {port}
  network.protocol.version = \"1.1\"
  server.address = \"shop.example\"
  server.port = 8080
  url.path = \"/users/7\"
  url.query = \"sig=REDACTED\"
  url.scheme = \"http\"
  user_agent.original = \"curl/8.9.1\"
"
    );
    assert_eq!(span.to_string(), expected);
}

async fn handlers_and_streams_are_inside_of_the_span<S: Spans>() {
    let spans = S::new();
    let tracer = spans.tracer();
    let handler = async move |Extension(name): Extension<&'static str>| {
        tokio::task::yield_now().await;
        Context::current().span().set_attribute(KeyValue::new("handler", name));
        let chunks = futures_util::stream::iter(["a", "b"]);
        Body::from_stream(futures_util::StreamExt::map(chunks, move |chunk| {
            tracer.in_span("chunk", |_| Ok::<_, std::io::Error>(Bytes::from_static(chunk.as_bytes())))
        }))
    };
    let app = Router::new().route("/stream", get(handler)).layer(Extension("mine")).layer(layer(&spans));
    assert_eq!(call(&app, "GET", "/stream").await, 200);
    let finished = spans.finished();
    let server = finished.last().unwrap();
    assert_eq!(server.only(&["handler"]), "GET /stream Unset handler=\"mine\"");
    let id = server.context.span_id().to_string();
    let parents: Vec<_> = finished.iter().map(|span| (span.name.as_str(), span.parent == id)).collect();
    assert_eq!(parents, [("chunk", true), ("chunk", true), ("GET /stream", false)]);
}

async fn metrics_have_routes<S: Spans>() {
    let spans = S::new();
    let config = ServerConfig::new().without_duration().with_body_sizes().with_active_requests();
    let layer = layer(&spans).with_config(config).with_meter(&spans.meter());
    let inner = Router::new().route("/items/{id}", get(async || "item").post(async |body: String| body)).layer(layer);
    let app = Router::new().nest("/api", inner);
    for path in ["/api/items/1", "/api/items/2"] {
        assert_eq!(call(&app, "GET", path).await, 200);
    }
    let request = Request::post("/api/items/3").header("content-length", "5").body(Body::from("hello")).unwrap();
    app.oneshot(request).await.unwrap().into_body().collect().await.unwrap();
    let with = |method| {
        format!(
            "http.request.method={method},http.response.status_code=200,http.route=/api/items/{{id}},\
             network.protocol.version=1.1,url.scheme=http"
        )
    };
    let (get, post) = (with("GET"), with("POST"));
    let expected = format!(
        "http.server.active_requests[{{request}}]{{http.request.method=GET,url.scheme=http}} up-down sum 0\n\
         http.server.active_requests[{{request}}]{{http.request.method=POST,url.scheme=http}} up-down sum 0\n\
         http.server.request.body.size[By]{{{get}}} histogram count=2 sum=0 min=0 max=0 <=0:2\n\
         http.server.request.body.size[By]{{{post}}} histogram count=1 sum=5 min=5 max=5 <=5:1\n\
         http.server.response.body.size[By]{{{get}}} histogram count=2 sum=8 min=4 max=4 <=5:2\n\
         http.server.response.body.size[By]{{{post}}} histogram count=1 sum=5 min=5 max=5 <=5:1\n"
    );
    assert_eq!(spans.metrics(), expected);
}

async fn statuses<S: Spans>() {
    let spans = S::new();
    let app = Router::new()
        .route("/{status}", get(async |Path(status): Path<u16>| StatusCode::from_u16(status).unwrap()))
        .route("/broken", get(async || Body::from_stream(futures_util::stream::iter([Err::<Bytes, _>("broken")]))))
        .layer(layer(&spans));
    for status in [204, 404, 500, 503] {
        assert_eq!(call(&app, "GET", &format!("/{status}")).await, status);
    }
    let broken = app.oneshot(Request::get("/broken").body(Body::empty()).unwrap()).await.unwrap();
    broken.into_body().collect().await.unwrap_err();
    let ends: Vec<_> = spans.finished().iter().map(support::Seen::end).collect();
    let error = "GET /{status} Error { description: \"\" } http.response.status_code";
    assert_eq!(
        ends,
        [
            "GET /{status} Unset http.response.status_code=204".to_owned(),
            "GET /{status} Unset http.response.status_code=404".to_owned(),
            format!("{error}=500 error.type=\"500\""),
            format!("{error}=503 error.type=\"503\""),
            "GET /broken Error { description: \"\" } http.response.status_code=200 error.type=\"axum_core::error::Error\""
                .to_owned(),
        ]
    );
}

#[derive(Clone)]
struct NotFoundIsAnError;

impl HttpPolicy for NotFoundIsAnError {
    fn is_error(&self, status: StatusCode) -> bool {
        status == StatusCode::NOT_FOUND
    }
    fn base(&self) -> &dyn HttpPolicy {
        &AxumPolicy
    }
}

async fn settings_and_policies<S: Spans>() {
    let spans = S::new();
    let config = ServerConfig::new().with_excluded_paths(["/api/health"]).with_trace_response();
    let layer = layer(&spans).with_config(config).with_policy(NotFoundIsAnError);
    let api = Router::new()
        .route("/health", get(async || "ok"))
        .route("/other", get(async || "ok"))
        .route("/gone", get(async || StatusCode::NOT_FOUND))
        .layer(layer);
    let app = Router::new().nest("/api", api);
    let connected = ConnectInfo(SocketAddr::from(([192, 0, 2, 7], 5151)));
    let request = |path: &str| Request::get(path).extension(connected).body(Body::empty()).unwrap();
    let response = app.clone().oneshot(request("/api/health")).await.unwrap();
    assert!(!response.headers().contains_key("traceresponse") && spans.finished().is_empty());
    let response = app.clone().oneshot(request("/api/other")).await.unwrap();
    let header = response.headers()["traceresponse"].to_str().unwrap().to_owned();
    response.into_body().collect().await.unwrap();
    let span = the_span(&spans).await;
    let context = &span.context;
    let flags = context.trace_flags().to_u8();
    assert_eq!(header, format!("00-{}-{}-{flags:02x}", context.trace_id(), context.span_id()));
    assert_eq!(span.only(&["client.address", "error.type"]), "GET /api/other Unset client.address=\"192.0.2.7\"");
    assert_eq!(call(&app, "GET", "/api/gone").await, 404);
    let error = "GET /api/gone Error { description: \"\" } http.response.status_code=404 error.type=\"404\"";
    assert_eq!(spans.finished().last().unwrap().end(), error);
}

async fn client_gone<S: Spans>() {
    let spans = S::new();
    let (started, has_started) = oneshot::channel();
    let started = std::sync::Arc::new(std::sync::Mutex::new(Some(started)));
    let handler = async move || -> Response {
        started.lock().unwrap().take().unwrap().send(()).unwrap();
        std::future::pending().await
    };
    let (address, _stop) = serve(Router::new().route("/slow", get(handler)).layer(layer(&spans))).await;
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    has_started.await.unwrap();
    drop(client);
    assert_eq!(the_span(&spans).await.end(), "GET /slow Unset telemark.outcome=\"cancelled\"");
}

async fn a_panic<S: Spans>() {
    let spans = S::new();
    let handler = async || -> Response { panic!("on purpose") };
    let app = Router::new().route("/", get(handler)).route("/ok", get(async || "ok")).layer(layer(&spans));
    let (address, _stop) = serve(app).await;
    for (path, expected) in [("/", ""), ("/ok", "ok")] {
        let mut client = TcpStream::connect(address).await.unwrap();
        client
            .write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes())
            .await
            .unwrap();
        let mut response = String::new();
        client.read_to_string(&mut response).await.unwrap();
        assert!(response.ends_with(expected) && (expected.is_empty() == response.is_empty()), "{response}");
    }
    let finished = until("two spans", || Some(spans.finished()).filter(|spans| spans.len() == 2)).await;
    let panicked = "GET / Error { description: \"the handler panicked\" } error.type=\"panic\"";
    assert_eq!(finished[0].end(), panicked);
}

/// Serves on a free port until the returned sender is dropped.
async fn serve(app: Router) -> (SocketAddr, oneshot::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move {
        tokio::select! {
            served = axum::serve(listener, app) => served.unwrap(),
            _ = stopped => {}
        }
    });
    (address, stop)
}
