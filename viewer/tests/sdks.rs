//! The SDKs of other languages send over gRPC and HTTP, and the store holds what they sent.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests fail by panicking, and read the environment")]

mod support;

use std::io::Write;
use std::process::Command;

use support::receiver;
use telemark_viewer::Store;
use telemark_viewer::model::{Kind, PointData, SpanId, Status, TraceId, Value};

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Returns the folder of a language's packages. Otherwise reports the test as skipped, bypassing the test harness. Fails in continuous
/// integration.
fn packages(variable_name: &str) -> Option<String> {
    let folder = variable(variable_name);
    if folder.is_none() {
        let why = format!("{variable_name} is not set; `cargo xtask test` sets it");
        assert!(variable("CI").as_deref() != Some("true"), "in continuous integration nothing is skipped: {why}");
        let _ = writeln!(std::io::stderr(), "\n!!! SKIPPED: {why}\n");
    }
    folder
}

/// Runs a client that sends to a receiver, and checks what the store holds then.
fn check(program: &str, script: &str, (path, folder): (&str, &str), protocol: &str, service: &str) {
    let (store, _receiver, address) = receiver();
    let output = Command::new(program)
        .arg(format!("{}/tests/support/{script}", env!("CARGO_MANIFEST_DIR")))
        .args([protocol, &format!("http://{address}")])
        .env(path, folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).unwrap();
    let trace: TraceId = printed.trim().parse().unwrap();
    check_store(&store, trace, service);
}

fn check_store(store: &Store, trace: TraceId, service: &str) {
    let spans = store.spans();
    let named = |name: &str| spans.iter().find(|span| &*span.name == name).unwrap();
    let (server, client) = (named("GET /cart"), named("query"));
    assert_eq!((spans.len(), server.trace_id, client.trace_id), (2, trace, trace));
    assert_eq!((server.kind, server.parent), (Kind::Server, SpanId(0)));
    assert_eq!((client.kind, client.parent), (Kind::Client, server.span_id));
    assert_eq!(client.status, Status::Error("timeout".into()));
    assert!(server.start <= client.start && client.start <= client.end);
    assert_eq!((&*server.resource.service, &*server.scope.name, &*server.scope.version), (service, "shop", "1.0"));
    let value = |key: &str| &client.attributes.iter().find(|attribute| &*attribute.key == key).unwrap().value;
    assert_eq!(*value("rows"), Value::Int(3));
    assert_eq!(*value("tags"), Value::Array(["a", "b"].map(|text| Value::String(text.into())).into()));
    let event = &client.events[0];
    assert_eq!((&*event.name, &event.attributes[0].value), ("cache.miss", &Value::String("7".into())));

    let records = store.records();
    let record = &records[0];
    assert_eq!((records.len(), record.severity, &record.body), (1, 13, &Value::String("the cart is empty".into())));
    assert_eq!((record.trace_id, record.span_id), (trace, server.span_id));
    assert_eq!((&*record.resource.service, &*record.scope.name), (service, "cart"));

    let metrics = store.metrics();
    let data = |name: &str| &metrics.iter().find(|metric| &*metric.name == name).unwrap().points.last().unwrap().data;
    assert!(matches!(data("requests"), PointData::Int(2) | PointData::Double(2.0)), "{:?}", data("requests"));
    assert!(matches!(data("duration"), PointData::Histogram { count: 1, sum: 0.25, .. }), "{:?}", data("duration"));
}

#[test]
fn telemetry_of_the_python_sdk_is_received() {
    let Some(folder) = packages("TELEMARK_TEST_PYTHON_SDK") else { return };
    for protocol in ["grpc", "http"] {
        check("python3", "client.py", ("PYTHONPATH", &folder), protocol, "python");
    }
}

#[test]
fn telemetry_of_the_javascript_sdk_is_received() {
    let Some(folder) = packages("TELEMARK_TEST_JAVASCRIPT_SDK") else { return };
    for protocol in ["grpc", "protobuf", "json"] {
        check("node", "client.js", ("NODE_PATH", &folder), protocol, "javascript");
    }
}
