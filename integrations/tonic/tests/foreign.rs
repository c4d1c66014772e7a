//! Calls to and from gRPC for Python, which reads trace context, sends statuses and names methods independently of tonic.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../../tower/tests/support/mod.rs"]
mod support;
#[path = "support/echo.rs"]
mod support_echo;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use support::{Seen, Spans, Telemark, until};
use support_echo::{Echo, TextCodec, path};
use telemark_tonic::{GrpcClientLayer, GrpcConfig, GrpcServerLayer};
use tonic::Request;
use tonic::transport::{Channel, Server};
use tower::Layer;

/// A Python process, which is killed when it is dropped.
struct Python(Child);

impl Python {
    /// Returns `None` and reports the test as skipped if gRPC for Python is not installed.
    fn start(arguments: &[&str]) -> Option<Self> {
        let Some(folders) = variable("TELEMARK_TEST_GRPCIO") else {
            skip("no grpcio is installed here; `cargo xtask test` installs it");
            return None;
        };
        let mut command = Command::new("python3");
        command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/peer.py")).args(arguments);
        Some(Python(command.env("PYTHONPATH", folders).stdout(Stdio::piped()).spawn().unwrap()))
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[allow(clippy::disallowed_methods, reason = "how tests find what xtask installed")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Reports the test as skipped, bypassing the test harness. Fails in continuous integration.
fn skip(why: &str) {
    assert!(variable("CI").as_deref() != Some("true"), "in continuous integration nothing is skipped: {why}");
    drop(writeln!(std::io::stderr(), "\n!!! SKIPPED: {why}\n"));
}

fn end(span: &Seen) -> String {
    span.only(&["rpc.method", "rpc.status_code", "error.type"])
}

#[tokio::test]
async fn a_client_in_python() {
    let spans = Telemark::new();
    let layer = GrpcServerLayer::new().with_tracer(spans.tracer());
    let server = running!(Server::builder().layer(layer).add_service(Echo));
    let Some(mut python) = Python::start(&["client", &server.address.port().to_string()]) else { return };
    let output = BufReader::new(python.0.stdout.take().unwrap());
    let lines = tokio::task::spawn_blocking(|| output.lines().collect::<Result<Vec<_>, _>>().unwrap());
    assert_eq!(
        lines.await.unwrap(),
        [
            "Unary OK hello",
            "Unary PERMISSION_DENIED",
            "ServerStream DATA_LOSS a b",
            "ClientStream OK a b",
            "Bidi OUT_OF_RANGE a",
            "Nope UNIMPLEMENTED",
        ]
    );
    let finished = until("spans", || Some(spans.finished()).filter(|spans| spans.len() >= 6)).await;
    let error = |text: &str| format!("Error {{ description: {text:?} }}");
    assert_eq!(
        finished.iter().map(end).collect::<Vec<_>>(),
        [
            "test.Echo/Unary Unset rpc.method=\"test.Echo/Unary\" rpc.status_code=\"OK\"".to_owned(),
            "test.Echo/Unary Unset rpc.method=\"test.Echo/Unary\" rpc.status_code=\"PERMISSION_DENIED\"".to_owned(),
            format!(
                "test.Echo/ServerStream {} rpc.method=\"test.Echo/ServerStream\" rpc.status_code=\"DATA_LOSS\" error.type=\"DATA_LOSS\"",
                error("gone")
            ),
            "test.Echo/ClientStream Unset rpc.method=\"test.Echo/ClientStream\" rpc.status_code=\"OK\"".to_owned(),
            "test.Echo/Bidi Unset rpc.method=\"test.Echo/Bidi\" rpc.status_code=\"OUT_OF_RANGE\"".to_owned(),
            format!(
                "grpc {} rpc.method=\"_OTHER\" rpc.status_code=\"UNIMPLEMENTED\" error.type=\"UNIMPLEMENTED\"",
                error("")
            ),
        ]
    );
    let port = server.address.port();
    let address = finished[0].only(&["server.address", "server.port", "network.peer.address"]);
    assert_eq!(
        address,
        format!(
            "test.Echo/Unary Unset server.address=\"127.0.0.1\" server.port={port} network.peer.address=\"127.0.0.1\""
        )
    );
}

#[tokio::test]
async fn a_server_in_python() {
    let spans = Telemark::new();
    let Some(mut python) = Python::start(&["server"]) else { return };
    let mut port = String::new();
    BufReader::new(python.0.stdout.take().unwrap()).read_line(&mut port).unwrap();
    let target = format!("http://127.0.0.1:{}", port.trim());
    let config = GrpcConfig::new().with_captured_response_trailers(["x-last"]);
    let layer = GrpcClientLayer::new(&target).with_config(config).with_tracer(spans.tracer());
    let channel = Channel::from_shared(target).unwrap().connect_lazy();
    let mut client = tonic::client::Grpc::new(layer.layer(channel));

    let mut parents = Vec::new();
    for text in ["hello", "fail"] {
        client.ready().await.unwrap();
        let unary = client.unary(Request::new(text.to_owned()), path("/test.Peer/Unary"), TextCodec).await;
        parents.extend(unary.map(tonic::Response::into_inner));
        client.ready().await.unwrap();
        let stream = client.server_streaming(Request::new(text.to_owned()), path("/test.Peer/Stream"), TextCodec);
        let (messages, _) = support_echo::drained(stream.await.unwrap().into_inner()).await;
        parents.extend(messages);
    }
    client.ready().await.unwrap();
    client.unary(Request::new(String::new()), path("/test.Peer/Nope"), TextCodec).await.unwrap_err();

    let finished = spans.finished();
    let shown: Vec<_> = finished.iter().map(|span| format!("{} {}", span.status, end(span))).collect();
    let ok =
        |method| format!("Unset test.Peer/{method} Unset rpc.method=\"test.Peer/{method}\" rpc.status_code=\"OK\"");
    let failed = |method, description: &str, code| {
        let status = format!("Error {{ description: {description:?} }}");
        format!(
            "{status} test.Peer/{method} {status} rpc.method=\"test.Peer/{method}\" rpc.status_code={code:?} error.type={code:?}"
        )
    };
    assert_eq!(
        shown,
        [
            ok("Unary"),
            ok("Stream"),
            failed("Unary", "on purpose: é", "ABORTED"),
            failed("Stream", "after a message", "DATA_LOSS"),
            failed("Nope", "Method not found!", "UNIMPLEMENTED"),
        ]
    );
    assert_eq!(finished[2].attributes["rpc.response.trailer.x-last"], "[\"z\"]");
    // What the server has received as its parent is the client's span.
    let sent = |span: &Seen| format!("00-{}-{}-01", span.context.trace_id(), span.context.span_id());
    assert_eq!(parents, [sent(&finished[0]), sent(&finished[1]), sent(&finished[3])]);
}
