//! A server with its own graceful shutdown, which drains connections on SIGTERM.
#![allow(clippy::expect_used, reason = "the test sees that the scenario fails")]

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use telemark::Guard;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use super::ends::{init, work};

/// Responds to its only request after receiving SIGTERM.
#[tokio::main]
pub(crate) async fn drains(file: &Path, handler_is_first: bool) {
    let telemetry: Option<Guard>;
    let mut terminated;
    if handler_is_first {
        terminated = signal(SignalKind::terminate()).expect("a handler");
        telemetry = Some(init(file));
    } else {
        telemetry = Some(init(file));
        terminated = signal(SignalKind::terminate()).expect("a handler");
    }
    let draining = Arc::new(Notify::new());
    let released = draining.clone();
    let answer = move || async move {
        say("in flight");
        released.notified().await;
        work();
        "drained"
    };
    let app = Router::new().route("/", get(answer)).layer(telemark::axum::layer());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    println!("port {}", listener.local_addr().expect("an address").port());
    say("ready");
    let served = axum::serve(listener, app).with_graceful_shutdown(async move {
        terminated.recv().await;
        draining.notify_one();
    });
    served.await.expect("it serves");
    say("drained");
    drop(telemetry);
}

/// Prints and flushes a line, because standard output may be buffered and the test waits for it.
fn say(line: &str) {
    println!("{line}");
    drop(std::io::stdout().flush());
}
