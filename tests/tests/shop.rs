//! The shop example's traces are the same at every receiver, over every protocol.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value as Json;
use telemark_sdk::time::Deadline;
use telemark_tests::{Event, Link, Points, Received, Receiver, Script, Sink, Span, http_get, skip};

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

/// Returns the command that runs the shop, with the name of the run in its resource, and with PostgreSQL if `database` is its URL.
fn shop(program: &PathBuf, run: &str, protocol: &str, endpoint: &str, database: Option<&str>) -> Command {
    let mut command = Command::new(program);
    command.env_remove("DATABASE_URL").envs(database.map(|url| ("DATABASE_URL", url)));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("OTEL_")) {
        command.env_remove(name);
    }
    command
        .env("OTEL_TRACES_EXPORTER", "otlp")
        .env("OTEL_METRICS_EXPORTER", "otlp")
        .env("OTEL_LOGS_EXPORTER", "none")
        .env("RUST_LOG", "off")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
        .env("OTEL_RESOURCE_ATTRIBUTES", format!("test.run={run}"));
    command
}

/// Runs the shop until it ends.
fn visit(program: &PathBuf, run: &str, protocol: &str, endpoint: &str, database: Option<&str>) {
    let output = shop(program, run, protocol, endpoint, database).output().unwrap();
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

/// A shop that keeps serving, ended when dropped.
struct Open(Child);

impl Drop for Open {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The shop's traces in the viewer are those that a receiver gets from the same run, in every field.
#[test]
fn the_viewer_shows_what_a_receiver_gets() {
    let Some(program) = program() else { return };
    let sink = Sink::start(Script::Take).unwrap();
    let mut command = shop(&program, "viewer", "http/protobuf", &sink.endpoint(), None);
    command.env("OTEL_TRACES_EXPORTER", "otlp,viewer").env("OTEL_RUST_VIEWER_ADDRESS", "127.0.0.1:0");
    // The viewer must have everything without a flush of the shop.
    command.env("OTEL_BSP_SCHEDULE_DELAY", "100").arg("--serve");
    let mut shop = Open(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    let lines = BufReader::new(shop.0.stdout.take().unwrap()).lines();
    let link = lines.map(Result::unwrap).find_map(|line| Some(line.split_once("logs at http://")?.1.to_owned()));
    let viewer = link.unwrap().trim_end_matches('/').parse().unwrap();

    let expected = EXPECTED.trim_start().lines().count();
    sink.await_spans(expected);
    let deadline = Deadline::after(Duration::from_secs(30));
    let mut shown = viewed(viewer);
    while shown.spans.len() < expected {
        assert!(!deadline.has_passed(), "the viewer shows {} of {expected} spans", shown.spans.len());
        shown = viewed(viewer);
    }
    let mut received = sink.received();
    for spans in [&mut shown.spans, &mut received.spans] {
        spans.sort_by(|a, b| (&a.trace_id, &a.span_id).cmp(&(&b.trace_id, &b.span_id)));
    }
    // The viewer has no use for the flags.
    received.spans.iter_mut().for_each(|span| span.flags = None);
    assert_eq!(shape(&shown.text()), EXPECTED.trim_start());
    for (shown, received) in shown.spans.iter().zip(&received.spans) {
        assert_eq!(shown, received);
    }
    assert_eq!(shown.spans.len(), received.spans.len());
}

/// Reads all spans from the viewer's JSON.
fn viewed(viewer: SocketAddr) -> Received {
    let get = |path: &str| -> Json {
        let (head, body) = http_get(viewer, path, "").unwrap();
        assert!(head.contains(" 200 "), "{path}: {head}");
        serde_json::from_str(&body).unwrap()
    };
    let text = |json: &Json| json.as_str().unwrap().to_owned();
    let mut spans = Vec::new();
    for trace in get("/traces.json")["traces"].as_array().unwrap() {
        let id = text(&trace["id"]);
        let trace = get(&format!("/trace/{id}.json"));
        let base = trace["t0"].as_u64().unwrap() * 1_000;
        let columns = &trace["columns"];
        for (at, span_id) in columns["id"].as_array().unwrap().iter().enumerate() {
            let span_id = text(span_id);
            let span = get(&format!("/trace/{id}/span/{span_id}.json"));
            let start = base + span["start"].as_u64().unwrap();
            let parent = columns["parent"][at].as_u64().map(|parent| text(&columns["id"][parent as usize]));
            let (code, message) = (text(&span["status"]["code"]), text(&span["status"]["message"]));
            spans.push(Span {
                trace_id: id.clone(),
                parent_span_id: parent.unwrap_or_default(),
                span_id,
                trace_state: text(&span["trace_state"]),
                flags: None,
                name: text(&span["name"]),
                kind: text(&span["kind"]),
                start,
                end: start + span["duration"].as_u64().unwrap(),
                status: if message.is_empty() { code } else { format!("{code}: {message}") },
                attributes: attributes(&span["attributes"]),
                events: list(&span["events"], |event| Event {
                    name: text(&event["name"]),
                    time: base.checked_add_signed(event["at"].as_i64().unwrap()).unwrap(),
                    attributes: attributes(&event["attributes"]),
                }),
                links: list(&span["links"], |link| Link {
                    trace_id: text(&link["trace"]),
                    span_id: text(&link["span"]),
                    attributes: attributes(&link["attributes"]),
                }),
                scope: format!("{} {}", text(&span["scope"]["name"]), text(&span["scope"]["version"])),
                scope_attributes: attributes(&span["scope"]["attributes"]),
                resource: attributes(&span["resource"]),
            });
        }
    }
    Received { spans }
}

fn list<T>(json: &Json, read: impl Fn(&Json) -> T) -> Vec<T> {
    json.as_array().unwrap().iter().map(read).collect()
}

/// Returns the viewer's attributes, `[key, value, type]`, in the notation of the receivers.
fn attributes(json: &Json) -> BTreeMap<String, String> {
    fn notation(value: &Json) -> String {
        match value {
            Json::String(text) => format!("{text:?}"),
            Json::Array(values) => format!("[{}]", values.iter().map(notation).collect::<Vec<_>>().join(", ")),
            other => other.to_string(),
        }
    }
    list(json, |triple| (triple[0].as_str().unwrap().to_owned(), notation(&triple[1]))).into_iter().collect()
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
