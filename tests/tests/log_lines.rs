//! Log lines contain the current span's ids, regardless of how the span was created, and the installed telemetry's
//! resource. The file has only one test, because the telemetry is global.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::routing::get;
use opentelemetry::trace::{TraceContextExt, Tracer};
use opentelemetry::{Context, global};
use telemark::config::Env;
use telemark::testing::InMemoryExporter;
use telemark::traced;
use telemark::tracing::fmt::{Format, LineLayer};
use tower::ServiceExt;
use tracing_subscriber::layer::SubscriberExt;

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[traced]
fn place() {
    tracing::info!("function");
}

async fn handler() {
    tracing::info!("handler");
    place();
}

#[test]
fn the_ids_are_those_of_the_span_whatever_made_it() {
    let kept = Kept::default();
    let writer = kept.clone();
    let lines = LineLayer::new(Format::JsonFlat).with_writer(move || writer.clone()).with_span_fields();
    let _early = tracing::subscriber::set_default(tracing_subscriber::registry().with(lines));

    tracing::info!("before");
    let exporter = InMemoryExporter::new();
    let env = Env::from_pairs([("OTEL_METRICS_EXPORTER", "none"), ("OTEL_SERVICE_NAME", "shop")]);
    let telemetry = telemark::builder().with_env(env).with_span_exporter(exporter.clone()).init().unwrap();
    tracing::info!("after");
    let bridge = tracing_opentelemetry::layer().with_tracer(global::tracer("bridge"));
    let writer = kept.clone();
    let lines = LineLayer::new(Format::JsonFlat).with_writer(move || writer.clone()).with_span_fields();
    let _subscriber = tracing::subscriber::set_default(tracing_subscriber::registry().with(bridge).with(lines));

    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let router = Router::new().route("/orders", get(handler)).layer(telemark::axum::layer());
    runtime.block_on(router.oneshot(Request::get("/orders").body(Body::empty()).unwrap())).unwrap();
    global::tracer("test").in_span("by api", |_| tracing::info!("api"));
    tracing::info_span!("by tracing", user = "ada").in_scope(|| {
        tracing::info!("tracing");
        assert!(Context::current().span().span_context().is_valid());
    });
    telemetry.flush(std::time::Duration::from_secs(20)).unwrap();

    let spans = exporter.items();
    let lines = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let described: Vec<_> = (lines.iter())
        .map(|line| {
            let is_of = |span: &&telemark::trace::SpanData| line["span_id"] == span.context.span_id().to_string();
            let span = spans.iter().find(is_of);
            if let Some(span) = span {
                assert_eq!(line["trace_id"], span.context.trace_id().to_string());
            }
            let text = |name: &str| line[name].as_str().unwrap_or("-").to_owned();
            let span = span.map_or("-".to_owned(), |span| span.name.to_string());
            [text("body"), span, text("service.name"), text("user")].join(" ")
        })
        .collect();
    assert_eq!(
        described,
        [
            "before - - -",
            "after - shop -",
            "handler GET /orders shop -",
            "function place shop -",
            "api by api shop -",
            "tracing by tracing shop ada"
        ]
    );
}
