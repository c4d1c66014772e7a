//! Installs Telemark globally. Everything that finds its tracer through the API's globals, through `tracing`'s global
//! subscriber or through `#[traced]` joins the caller's trace. There is only one test, because the installation is global.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use std::collections::HashMap;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::Request;
use axum::routing::get;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::{TraceContextExt, Tracer};
use opentelemetry::{Context, global};
use telemark::config::Env;
use telemark::traced;
use telemark_tests::{Script, Sink};
use tower::ServiceExt;
use tracing::Instrument;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Mixes all ways of creating spans. Returns the headers that an outgoing request would carry.
async fn handler(Path(id): Path<u64>) -> String {
    tokio::spawn(telemark::propagate(in_a_task(id))).await.unwrap()
}

#[traced(fields(id))]
async fn in_a_task(id: u64) -> String {
    by_tracing(id).instrument(tracing::info_span!("by tracing", id)).await
}

async fn by_tracing(id: u64) -> String {
    tokio::task::yield_now().await;
    let thread = telemark::propagate_fn(move || by_a_library(id));
    tokio::task::spawn_blocking(thread).await.unwrap()
}

/// A library that uses only the API.
fn by_a_library(id: u64) -> String {
    global::tracer("library").in_span("by the API", |context| {
        inner();
        let mut headers = HashMap::new();
        global::get_text_map_propagator(|propagator| propagator.inject_context(&context, &mut headers));
        let mut headers: Vec<_> = headers.into_iter().map(|(name, value)| format!("{name}: {value}")).collect();
        headers.sort();
        format!("{id}\n{}", headers.join("\n"))
    })
}

#[traced]
fn inner() {
    // The baggage of the incoming request is still available.
    telemark::set_attribute("tenant", Context::current().baggage().get("tenant").map(ToString::to_string));
}

/// tracing-opentelemetry records unsigned integers as strings, hence `id="7"`.
const EXPECTED: &str = r#"
"GET /things/{id}" server unset in telemark-axum 0.1.0 below an absent parent
  state vendor=state
  "in_a_task" internal unset in telemark-tests 0.1.0
    state vendor=state
    id=7
    "by tracing" internal unset in by tracing
      state vendor=state
      id="7"
      "by the API" internal unset in library
        state vendor=state
        "inner" internal unset in telemark-tests 0.1.0
          state vendor=state
          tenant="north"
"#;

/// Removes attributes that this test does not check: resource, source location, HTTP, and `tracing`'s own.
fn lasting(text: &str) -> String {
    let foreign =
        ["resource ", "code.", "http.", "network.", "server.", "url.", "busy_ns", "idle_ns", "thread.", "target="];
    let own =
        |line: &&str| !foreign.iter().any(|start| line.trim_start().starts_with(start)) && !line.contains("level=");
    text.lines().filter(own).map(|line| format!("{line}\n")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_in_the_callers_trace() {
    // Created before `init`, as in a static or in a library.
    let router = Router::new().route("/things/{id}", get(handler)).layer(telemark::axum::layer());

    let sink = Sink::start(Script::Take).unwrap();
    let endpoint = sink.endpoint();
    let env = Env::from_pairs([("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint)]);
    let telemetry = telemark::builder().with_env(env).init().unwrap();
    let layer = tracing_opentelemetry::layer().with_tracer(global::tracer("by tracing"));
    tracing_subscriber::registry().with(layer).init();

    let request = Request::get("/things/7")
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .header("tracestate", "vendor=state")
        .header("baggage", "tenant=north")
        .body(Body::empty())
        .unwrap();
    let response = router.oneshot(request).await.unwrap();
    let body = axum::body::to_bytes(response.into_body(), 1000).await.unwrap();
    assert!(!Context::current().has_active_span());
    drop(telemetry);

    let received = sink.received();
    assert_eq!(lasting(&received.text()), EXPECTED.trim_start());
    let root = received.span("GET /things/{id}").unwrap();
    assert_eq!((&*root.trace_id, &*root.parent_span_id), ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"));
    let sent = received.span("by the API").unwrap();
    let expected = format!(
        "7\nbaggage: tenant=north\ntraceparent: 00-{}-{}-01\ntracestate: vendor=state",
        sent.trace_id, sent.span_id
    );
    assert_eq!(body, expected);
}
