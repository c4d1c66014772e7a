//! Spans read back from independent receivers match the recorded ones in every attribute, over every protocol.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::{Request, StatusCode};
use axum::routing::{get, post};
use opentelemetry::trace::{FutureExt, Status, TraceContextExt};
use opentelemetry::{Array, Context, KeyValue, StringValue, Value};
use telemark::traced;
use telemark_sdk::config::Env;
use telemark_sdk::install::Telemetry;
use telemark_sdk::time::Deadline;
use telemark_sdk::trace::active;
use telemark_tests::{Received, Receiver, Recorded};
use tower::ServiceExt;

/// A small shop.
fn shop() -> Router {
    Router::new().route("/carts/{id}", get(cart)).route("/orders", post(order)).layer(telemark::axum::layer())
}

async fn cart(Path(id): Path<u64>) -> String {
    let total = price(id, "summer").await;
    telemark::set_attribute("cart.total", total);
    format!("{total}")
}

#[traced(fields(cart.id = id, cart.coupon = coupon))]
async fn price(id: u64, coupon: &str) -> f64 {
    tokio::task::yield_now().await;
    telemark::add_event("cache miss", [KeyValue::new("cache.key", format!("cart-{id}"))]);
    0.1 + 0.2
}

async fn order() -> (StatusCode, String) {
    everything();
    match pay(42).await {
        Ok(()) => (StatusCode::OK, String::new()),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

#[traced(kind = client, fields(amount))]
async fn pay(amount: u64) -> Result<(), std::io::Error> {
    let _span = telemark::span("audit")
        .with_kind(opentelemetry::trace::SpanKind::Producer)
        .with_link(&Context::current())
        .enter();
    Err(std::io::Error::other(format!("no funds for {amount}: \"declined\"")))
}

/// Records a span with every type of value and with strings that need escaping.
fn everything() {
    let text = |text: &'static str| StringValue::from(text);
    let _span = telemark::span("everything käse 🧀").enter();
    let context = Context::current();
    let span = context.span();
    span.set_attributes([
        KeyValue::new("yes", true),
        KeyValue::new("largest", i64::MAX),
        KeyValue::new("smallest", i64::MIN),
        KeyValue::new("tiny", -5e-324),
        KeyValue::new("third", 1.0 / 3.0),
        KeyValue::new("text", "käse \"quoted\" \\ 🧀 tab\t"),
        KeyValue::new("empty", ""),
        KeyValue::new("bools", Value::Array(Array::Bool(vec![true, false]))),
        KeyValue::new("integers", Value::Array(Array::I64(vec![0, -1, i64::MAX]))),
        KeyValue::new("floats", Value::Array(Array::F64(vec![0.5, -1.25]))),
        KeyValue::new("texts", Value::Array(Array::String(vec![text("a"), text("b c")]))),
    ]);
    span.add_event("moment", vec![KeyValue::new("at", 7), KeyValue::new("of", "day")]);
    span.set_status(Status::Ok);
}

/// The shop's spans, without the resource and line numbers.
const EXPECTED: &str = r#"
"GET /carts/{id}" server unset in telemark-axum 0.1.0
  cart.total=0.30000000000000004
  http.request.method="GET"
  http.response.status_code=200
  http.route="/carts/{id}"
  network.protocol.version="1.1"
  server.address="shop.example"
  url.path="/carts/7"
  url.query="coupon=summer"
  url.scheme="http"
  "price" internal unset in telemark-tests 0.1.0
    cart.coupon="summer"
    cart.id=7
    code.file.path="tests/tests/receivers.rs"
    code.function.name="receivers::price"
    event "cache miss" cache.key="cart-7"
"POST /orders" server error in telemark-axum 0.1.0
  error.type="500"
  http.request.method="POST"
  http.response.status_code=500
  http.route="/orders"
  network.protocol.version="1.1"
  server.address="shop.example"
  url.path="/orders"
  url.scheme="http"
  "everything käse 🧀" internal ok in shop
    bools=[true, false]
    empty=""
    floats=[0.5, -1.25]
    integers=[0, -1, 9223372036854775807]
    largest=9223372036854775807
    smallest=-9223372036854775808
    text="käse \"quoted\" \\ 🧀 tab\t"
    texts=["a", "b c"]
    third=0.3333333333333333
    tiny=-5e-324
    yes=true
    event "moment" at=7 of="day"
  "pay" client error: no funds for 42: "declined" in telemark-tests 0.1.0
    amount=42
    code.file.path="tests/tests/receivers.rs"
    code.function.name="receivers::pay"
    error.type="std::io::ErrorKind::Other"
    event "exception" exception.message="no funds for 42: \"declined\"" exception.type="std::io::ErrorKind::Other"
    "audit" producer unset in shop
      link to "pay"
"#;

/// A service that exports to one receiver.
struct Service {
    name: String,
    telemetry: Telemetry,
    recorded: Recorded,
}

impl Service {
    fn start(protocol: &str, receiver: &Receiver) -> Self {
        let name = format!("receivers {protocol} {} {}", receiver.name, std::process::id());
        let endpoint = if protocol == "grpc" { &receiver.grpc } else { &receiver.http };
        // mockotlpserver exits on compressed HTTP requests.
        let compression = if receiver.name == "rotel" { "gzip" } else { "none" };
        let env = Env::from_pairs([
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &**endpoint),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", compression),
            ("OTEL_RESOURCE_ATTRIBUTES", "shop.area=north%20west,shop.open=true"),
            ("OTEL_SERVICE_NAME", &*name),
        ]);
        let recorded = Recorded::default();
        let telemetry = telemark::builder().with_env(env).with_span_processor(recorded.clone()).build().unwrap();
        Service { name, telemetry, recorded }
    }

    /// Serves two requests one after another, so that the order of the trees is fixed.
    async fn serve(&self) {
        let context = active::with_tracer(&Context::new(), self.telemetry.tracer("shop"));
        for (request, expected) in [
            (Request::get("/carts/7?coupon=summer"), StatusCode::OK),
            (Request::post("/orders"), StatusCode::INTERNAL_SERVER_ERROR),
        ] {
            let request = request.header("host", "shop.example").body(Body::empty()).unwrap();
            let answer = async {
                let response = shop().oneshot(request).await.unwrap();
                assert_eq!(response.status(), expected);
                axum::body::to_bytes(response.into_body(), 1000).await.unwrap();
            };
            answer.with_context(context.clone()).await;
        }
        self.telemetry.shutdown(Deadline::after(Duration::from_secs(30))).unwrap();
        let [health] = self.telemetry.health().traces[..] else { unreachable!("one exporter") };
        assert_eq!((health.exported, health.rejected, health.failed), (6, 0, 0));
    }

    fn recorded(&self) -> Received {
        self.recorded.as_received(self.telemetry.tracer_provider().resource())
    }
}

/// Removes the resource, which differs between machines, and line numbers, which change with every edit of this file.
fn lasting(text: &str) -> String {
    let changes = |line: &str| line.starts_with("resource ") || line.contains("code.line.number=");
    text.lines().filter(|line| !changes(line)).map(|line| format!("{line}\n")).collect()
}

#[track_caller]
fn check(protocol: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for receiver in Receiver::running() {
        let service = Service::start(protocol, &receiver);
        runtime.block_on(service.serve());
        let recorded = service.recorded();
        assert_eq!(lasting(&recorded.text()), EXPECTED.trim_start());
        let is_complete = |received: &Received| received.spans.len() >= recorded.spans.len();
        let received = receiver.await_received(&service.name, is_complete);
        assert_eq!(received.text(), recorded.text(), "{protocol} {}", receiver.name);
        assert_eq!(identities(&received), identities(&recorded), "{protocol} {}", receiver.name);
    }
}

/// Returns the fields that the text leaves out: ids and times.
fn identities(received: &Received) -> Vec<String> {
    let one = |span: &telemark_tests::Span| {
        let events: Vec<_> = span.events.iter().map(|event| event.time).collect();
        let links: Vec<_> = span.links.iter().map(|link| (&link.trace_id, &link.span_id)).collect();
        format!(
            "{} {} {} {:?} {}..{} {events:?} {links:?}",
            span.trace_id, span.span_id, span.parent_span_id, span.name, span.start, span.end
        )
    };
    let mut spans: Vec<_> = received.spans.iter().map(one).collect();
    spans.sort();
    spans
}

#[test]
fn over_grpc() {
    check("grpc");
}

#[test]
fn over_http_with_protobuf() {
    check("http/protobuf");
}

#[test]
fn over_http_with_json() {
    check("http/json");
}
