//! What integrations capture and exclude, changed while the program runs: in code, and by a new version of the configuration file.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "test helpers")]

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fs;

use http::{Request, Response};
use telemark::Control;
use telemark::config::{Env, Printed};
use telemark::sqlx::SqlitePool;
use telemark::testing::TestTelemetry;
use tower::{Layer, Service, ServiceExt, service_fn};

type Body = tonic::body::Body;

/// Sends a request or a call through a layer, whose response has the same headers.
async fn send<L, S>(layer: &L, uri: &str, kind: &str)
where
    L: Layer<EchoService, Service = S>,
    S: Service<Request<Body>>,
    S::Error: std::fmt::Debug,
{
    let request = Request::post(uri).header("content-type", kind).header("x-tenant", "t1").header("x-user", "u1");
    drop(layer.layer(echo_service()).oneshot(request.body(Body::empty()).unwrap()).await.unwrap());
}

type EchoService = tower::util::ServiceFn<fn(Request<Body>) -> std::future::Ready<Result<Response<Body>, Infallible>>>;

fn echo(request: Request<Body>) -> std::future::Ready<Result<Response<Body>, Infallible>> {
    let mut response = Response::new(Body::empty());
    *response.headers_mut() = request.headers().clone();
    response.headers_mut().insert("grpc-status", "0".parse().unwrap());
    std::future::ready(Ok(response))
}

fn echo_service() -> EchoService {
    service_fn(echo as fn(Request<Body>) -> _)
}

/// Makes each kind of call once. Returns what the spans captured, one line for each span that was not excluded.
async fn captured(pool: &SqlitePool) -> String {
    const GRPC: &str = "application/grpc";
    let telemetry = TestTelemetry::new();
    let _attached = telemetry.attach();
    let own = telemark::tower::layer().map_config(|config| config.with_captured_request_headers(["x-user"]));
    send(&own, "/own", "text/plain").await;
    send(&telemark::tower::layer(), "/server", "text/plain").await;
    send(&telemark::tower::client_layer(), "http://client.example/client", "text/plain").await;
    send(&telemark::tonic::server_layer(), "/test.Shop/Buy", GRPC).await;
    send(&telemark::tonic::client_layer("http://shop.example"), "http://shop.example/test.Shop/Sell", GRPC).await;
    sqlx::query("SELECT a FROM t WHERE b = ?").bind(7).fetch_all(pool).await.unwrap();
    let lines = telemetry
        .spans()
        .iter()
        .map(|span| {
            let is_captured = |key: &str| {
                key.contains(".request.header.") || key.contains(".response.header.") || key == "db.query.text"
            };
            let mut values: Vec<_> = (span.attributes())
                .filter(|attribute| is_captured(attribute.key.as_str()))
                .map(|attribute| format!("{}={}", attribute.key, attribute.value))
                .collect();
            values.sort_unstable();
            format!("{}: {}\n", span.name, values.join(" "))
        })
        .collect::<Vec<_>>();
    lines.concat()
}

const NOTHING: &str = "\
POST: http.request.header.x-user=[\"u1\"]
POST: 
POST: 
test.Shop/Buy: 
test.Shop/Sell: 
SELECT t: db.query.text=SELECT a FROM t WHERE b = ?
";

fn set(control: &Control, changes: &[(&str, Option<&str>)]) {
    for (variable, value) in changes {
        control.set_capture(variable, *value).unwrap();
    }
}

#[test]
fn the_integrations_and_the_schema_name_the_same_settings() {
    let properties = telemark_sdk::config::schema::types().into_iter().flat_map(|of| of.properties);
    let live = properties.filter(|property| property.control == "set_capture").filter_map(|property| property.variable);
    let (live, known): (BTreeSet<_>, BTreeSet<_>) =
        (live.collect(), telemark_kit::LIVE_SETTINGS.iter().copied().collect());
    assert_eq!(live, known);
}

#[test]
fn each_switch_changes_in_code_and_by_the_file() {
    let path = std::env::temp_dir().join(format!("telemark-{}-switches.yaml", std::process::id()));
    let write = |text: &str| fs::write(&path, format!("file_format: \"1.2\"\n{text}")).unwrap();
    write("");
    let env = Env::from_pairs([("OTEL_CONFIG_FILE", path.to_str().unwrap())]);
    let telemetry = telemark::builder().with_env(env).build().unwrap();
    let control = telemetry.control();
    // Versions that apply before the telemetry is installed.
    set(&control, &[("OTEL_RUST_HTTP_CLIENT_CAPTURE_REQUEST_HEADERS", Some("x-user"))]);
    let both = "  general: {http: {server: {request_captured_headers: [x-tenant]}, client: {request_captured_headers: [x-tenant]}}}\n";
    write(&format!("instrumentation/development:\n{both}"));
    assert_eq!(control.reload().unwrap().applied.len(), 2);
    set(&control, &[("OTEL_RUST_HTTP_SERVER_CAPTURE_REQUEST_HEADERS", Some("x-user"))]);
    write(&format!("instrumentation/development:\n{both}  rust: {{db: {{query_text: none}}}}\n"));
    assert_eq!(control.reload().unwrap().applied, ["instrumentation/development.rust.db.query_text"]);
    assert_eq!(Env::process().string("OTEL_RUST_DB_CLIENT_QUERY_TEXT"), None);
    let telemetry = telemetry.install().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let pool = runtime.block_on(async {
        let pool =
            telemark::sqlx::SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap();
        sqlx::query("CREATE TABLE t (a INTEGER, b INTEGER)").execute(&pool).await.unwrap();
        pool
    });
    let check = |expected: &str| assert_eq!(runtime.block_on(captured(&pool)), expected);
    check(
        "\
POST: http.request.header.x-user=[\"u1\"]
POST: http.request.header.x-user=[\"u1\"]
POST: http.request.header.x-tenant=[\"t1\"]
test.Shop/Buy: 
test.Shop/Sell: 
SELECT t: \n",
    );
    assert_eq!(Env::process().string("OTEL_RUST_DB_CLIENT_QUERY_TEXT").as_deref(), Some("none"));
    let shown = Printed::new(&telemetry.config()).to_string();
    assert!(shown.contains("server:\n        request_captured_headers: [x-user] # run-time change, code\n"), "{shown}");
    assert!(
        shown.contains("client:\n        request_captured_headers: [x-tenant] # run-time change, line 3\n"),
        "{shown}"
    );
    write("");
    assert_eq!(control.reload().unwrap().applied.len(), 3);
    check(NOTHING);
    set(
        &control,
        &[
            ("OTEL_RUST_HTTP_SERVER_CAPTURE_REQUEST_HEADERS", Some("x-tenant, X-User")),
            ("OTEL_RUST_HTTP_CLIENT_CAPTURE_RESPONSE_HEADERS", Some("x-tenant")),
            ("OTEL_RUST_GRPC_SERVER_CAPTURE_REQUEST_HEADERS", Some("x-tenant")),
            ("OTEL_RUST_GRPC_CLIENT_CAPTURE_REQUEST_HEADERS", Some("x-user")),
            ("OTEL_RUST_DB_CLIENT_QUERY_TEXT", Some("none")),
        ],
    );
    check(
        "\
POST: http.request.header.x-tenant=[\"t1\"] http.request.header.x-user=[\"u1\"]
POST: http.request.header.x-tenant=[\"t1\"] http.request.header.x-user=[\"u1\"]
POST: http.response.header.x-tenant=[\"t1\"]
test.Shop/Buy: rpc.request.header.x-tenant=[\"t1\"]
test.Shop/Sell: rpc.request.header.x-user=[\"u1\"]
SELECT t: \n",
    );
    set(
        &control,
        &[
            ("OTEL_RUST_HTTP_SERVER_CAPTURE_REQUEST_HEADERS", None),
            ("OTEL_RUST_HTTP_SERVER_EXCLUDED_URLS", Some("/server")),
            ("OTEL_RUST_HTTP_CLIENT_CAPTURE_RESPONSE_HEADERS", None),
            ("OTEL_RUST_HTTP_CLIENT_EXCLUDED_URLS", Some("client.example/client")),
            ("OTEL_RUST_GRPC_SERVER_EXCLUDED_METHODS", Some("test.Shop/*")),
            ("OTEL_RUST_GRPC_CLIENT_EXCLUDED_METHODS", Some("test.Shop/Sell")),
            ("OTEL_RUST_DB_CLIENT_QUERY_TEXT", None),
        ],
    );
    check("POST: http.request.header.x-user=[\"u1\"]\nSELECT t: db.query.text=SELECT a FROM t WHERE b = ?\n");
    for name in ["HTTP_SERVER_EXCLUDED_URLS", "HTTP_CLIENT_EXCLUDED_URLS", "GRPC_SERVER_EXCLUDED_METHODS"] {
        set(&control, &[(&format!("OTEL_RUST_{name}"), None)]);
    }
    set(
        &control,
        &[
            ("OTEL_RUST_GRPC_CLIENT_EXCLUDED_METHODS", None),
            ("OTEL_RUST_GRPC_SERVER_CAPTURE_REQUEST_HEADERS", None),
            ("OTEL_RUST_GRPC_CLIENT_CAPTURE_REQUEST_HEADERS", None),
        ],
    );
    check(NOTHING);

    // What cannot be used changes nothing.
    let refused = |variable: &str, value: &str| control.set_capture(variable, Some(value)).unwrap_err().to_string();
    let error = refused("OTEL_RUST_HTTP_SERVER_METRICS", "none");
    assert!(
        error.starts_with("set_capture=\"OTEL_RUST_HTTP_SERVER_METRICS\" cannot be used: expected one of OTEL_RUST_"),
        "{error}"
    );
    let error = refused("OTEL_RUST_DB_CLIENT_QUERY_TEXT", "all");
    assert!(error.contains("ignored \"all\", expected `safe`, `sanitized` or `none`"), "{error}");
    let error = refused("OTEL_RUST_HTTP_SERVER_CAPTURE_REQUEST_HEADERS", "x-tenant,a b");
    assert!(error.contains("ignored \"a b\", expected the name of an HTTP header"), "{error}");
    check(NOTHING);

    write(
        "instrumentation/development:\n  general: {http: {server: {request_captured_headers: [x-tenant]}}}\n  rust:\n    \
         http: {client: {excluded_urls: [\"client.example/*\"]}}\n    grpc: {server: {excluded_methods: [\"test.Shop/Buy\"]}}\n    \
         db: {query_text: none}\n",
    );
    let mut applied = control.reload().unwrap().applied;
    applied.sort_unstable();
    assert_eq!(
        applied,
        [
            "instrumentation/development.general.http.server.request_captured_headers",
            "instrumentation/development.rust.db.query_text",
            "instrumentation/development.rust.grpc.server.excluded_methods",
            "instrumentation/development.rust.http.client.excluded_urls",
        ]
    );
    check(
        "\
POST: http.request.header.x-tenant=[\"t1\"] http.request.header.x-user=[\"u1\"]
POST: http.request.header.x-tenant=[\"t1\"]
test.Shop/Sell: 
SELECT t: \n",
    );
    // Layers that are made later read the same.
    assert_eq!(Env::process().string("OTEL_RUST_DB_CLIENT_QUERY_TEXT").as_deref(), Some("none"));
    // A setting of the same integration that needs a restart is not read by later layers either.
    write("instrumentation/development: {rust: {http: {server: {metrics: [none]}}}}\n");
    let reload = control.reload().unwrap();
    assert_eq!(reload.needs_restart, ["instrumentation/development.rust.http.server.metrics"]);
    assert_eq!(Env::process().string("OTEL_RUST_HTTP_SERVER_METRICS"), None);
    check(NOTHING);
    fs::remove_file(path).unwrap();
}
