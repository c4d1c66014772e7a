//! The shop example's traces are the same at every receiver, over every protocol.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use telemark_tests::{Points, Received, Receiver, Script, Sink, Span, skip};

/// The expected trees. Each span is shown with its kind, status and scope.
const EXPECTED: &str = r#"
"GET /products" server unset in telemark-axum 0.1.0
  "SELECT products" internal unset in telemark-sqlx 0.1.0
"POST /orders" server unset in telemark-axum 0.1.0
  "place" internal unset in telemark-examples 0.1.0
    "SELECT products" internal unset in telemark-sqlx 0.1.0
    "GET" client unset in telemark-reqwest 0.1.0
      "GET /stock/{sku}" server unset in telemark-axum 0.1.0
        "shop.Warehouse/Count" client unset in telemark-tonic 0.1.0
          "shop.Warehouse/Count" server unset in telemark-tonic 0.1.0
            "count" internal unset in telemark-examples 0.1.0
    "charge card" internal unset in telemark-examples 0.1.0
    "INSERT orders" internal unset in telemark-sqlx 0.1.0
"POST /orders" server error in telemark-axum 0.1.0
  "place" internal error: the card was declined in telemark-examples 0.1.0
    "SELECT products" internal unset in telemark-sqlx 0.1.0
    "GET" client unset in telemark-reqwest 0.1.0
      "GET /stock/{sku}" server unset in telemark-axum 0.1.0
        "shop.Warehouse/Count" client unset in telemark-tonic 0.1.0
          "shop.Warehouse/Count" server unset in telemark-tonic 0.1.0
            "count" internal unset in telemark-examples 0.1.0
    "charge card" internal error: the card was declined in telemark-examples 0.1.0
"GET /products/{sku}" server unset in telemark-axum 0.1.0
  "SELECT products" internal unset in telemark-sqlx 0.1.0
"GET /products/{sku}/similar" server unset in telemark-axum 0.1.0
  "same_shelf" internal unset in telemark-examples 0.1.0
  "bought_together" internal unset in telemark-examples 0.1.0
"#;

/// Returns the path to the shop program, which `cargo test` builds when it also tests the examples.
fn program() -> Option<PathBuf> {
    let tests = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    let program = tests.with_file_name("examples").join(format!("shop{}", std::env::consts::EXE_SUFFIX));
    if !program.is_file() {
        skip("there is no shop; `cargo build --package telemark-examples --example shop` builds it");
        return None;
    }
    Some(program)
}

/// Runs the shop until it ends, with the name of the run in its resource, and with PostgreSQL if `database` is its URL.
fn visit(program: &PathBuf, run: &str, protocol: &str, endpoint: &str, database: Option<&str>) {
    let mut command = Command::new(program);
    command.env_remove("DATABASE_URL").envs(database.map(|url| ("DATABASE_URL", url)));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("OTEL_")) {
        command.env_remove(name);
    }
    let output = command
        .env("OTEL_TRACES_EXPORTER", "otlp")
        .env("OTEL_METRICS_EXPORTER", "otlp")
        .env("OTEL_LOGS_EXPORTER", "none")
        .env("RUST_LOG", "off")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
        .env("OTEL_RESOURCE_ATTRIBUTES", format!("test.run={run}"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{run}: {said}");
}

/// Returns the spans of a run.
fn of_run(received: Received, run: &str) -> Received {
    let run = format!("{run:?}");
    let spans = received.spans.into_iter().filter(|span| span.resource.get("test.run") == Some(&run));
    Received { spans: spans.collect() }
}

/// Replaces everything that differs between runs, such as ports and the identity of the process.
fn lasting(received: &Received) -> String {
    const RUN: [&str; 4] = ["test.run", "process.creation.time", "process.pid", "service.instance.id"];
    let mut received = received.clone();
    for span in &mut received.spans {
        span.resource.retain(|key, _| !RUN.contains(&&**key));
        for (key, value) in &mut span.attributes {
            match &**key {
                "client.port" | "server.port" | "network.peer.port" | "code.line.number" => "…".clone_into(value),
                "url.full" => {
                    let (host, path) = value.trim_start_matches("\"http://").split_once('/').unwrap();
                    assert!(host.starts_with("127.0.0.1:"), "{value}");
                    *value = format!("…/{path}");
                }
                _ => {}
            }
        }
    }
    received.text()
}

/// Returns only the lines of spans.
fn shape(text: &str) -> String {
    let is_span = |line: &&str| line.trim_start().starts_with('"');
    text.lines().filter(is_span).map(|line| format!("{line}\n")).collect()
}

/// Checks that each request, call, statement, charge and order was counted, and that every exemplar leads to a span. The shop exports
/// metrics after the visitor has left and again when it ends.
#[track_caller]
fn check_metrics(points: &Points, traces: &Received) {
    let last = points.points.iter().map(|point| point.time).max().unwrap();
    let (mut counts, mut exemplars) = (BTreeMap::new(), 0);
    for point in points.points.iter().filter(|point| point.time == last) {
        let value = point.value.strip_prefix("count=").unwrap_or(&point.value);
        let count: usize = value.split(' ').next().unwrap().parse().unwrap();
        *counts.entry(&*point.name).or_default() += count;
        for exemplar in &point.exemplars {
            let is_same = |span: &&Span| (&span.trace_id, &span.span_id) == (&exemplar.trace_id, &exemplar.span_id);
            assert!(traces.spans.iter().any(|span| is_same(&span)), "{point:?}");
            exemplars += 1;
        }
    }
    let expected = [
        ("db.client.operation.duration", 5),
        ("http.client.request.duration", 2),
        ("http.server.request.duration", 7),
        ("rpc.client.call.duration", 2),
        ("rpc.server.call.duration", 2),
        ("shop.orders", 2),
        ("telemark.function.duration", 2),
    ];
    // Pools and the SDK itself have other metrics too.
    counts.retain(|name, _| name.ends_with(".duration") || *name == "shop.orders");
    counts.retain(|name, _| !name.starts_with("otel."));
    assert_eq!(counts, BTreeMap::from(expected));
    assert!(exemplars >= 12, "{exemplars} exemplars");
}

#[test]
fn the_shop_is_the_same_at_every_receiver() {
    let Some(program) = program() else { return };
    let sink = Sink::start(Script::Take).unwrap();
    visit(&program, "sink", "http/protobuf", &sink.endpoint(), None);
    let decoded = sink.received();
    let expected = lasting(&decoded);
    assert_eq!(shape(&expected), EXPECTED.trim_start());
    check_metrics(&sink.points(), &decoded);
    for receiver in Receiver::running() {
        for protocol in ["grpc", "http/protobuf", "http/json"] {
            let run = format!("{protocol} {}", std::process::id());
            let endpoint = if protocol == "grpc" { &receiver.grpc } else { &receiver.http };
            visit(&program, &run.replace(' ', "%20"), protocol, endpoint, None);
            let is_complete = |received: &Received| of_run(received.clone(), &run).spans.len() >= decoded.spans.len();
            let received = of_run(receiver.await_received("shop", is_complete), &run);
            assert_eq!(lasting(&received), expected, "{protocol} {}", receiver.name);
        }
    }
}

#[test]
fn with_postgresql_the_shop_has_the_same_traces() {
    let Some(program) = program() else { return };
    #[allow(clippy::disallowed_methods, reason = "how `cargo xtask services` tells tests about the server")]
    let Ok(url) = std::env::var("TELEMARK_TEST_POSTGRES_URL") else {
        return skip("there is no PostgreSQL; `cargo xtask services` starts it");
    };
    let sink = Sink::start(Script::Take).unwrap();
    visit(&program, "postgresql", "http/protobuf", &sink.endpoint(), Some(&url));
    let decoded = sink.received();
    // The statements go to a server.
    let expected =
        EXPECTED.replace("products\" internal", "products\" client").replace("orders\" internal", "orders\" client");
    assert_eq!(shape(&lasting(&decoded)), expected.trim_start());
    check_metrics(&sink.points(), &decoded);
    let statements: Vec<_> =
        decoded.spans.iter().filter(|span| span.attributes.contains_key("db.query.text")).collect();
    assert_eq!(statements.len(), 5);
    for span in statements {
        assert_eq!(span.attributes["db.system.name"], "\"postgresql\"");
        assert!(span.attributes.contains_key("server.address"), "{span:?}");
    }
}
