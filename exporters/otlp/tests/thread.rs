//! The threads that may use an exporter: any plain thread, whichever runtime the program uses, but never a runtime's own
//! thread.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use opentelemetry::Context;
use support::http::{Server, Step};
use support::{export, on_a_thread, outcome, quick_retries};
use telemark_otlp::OtlpExporter;
use telemark_sdk::signal::Traces;

fn exporter(server: &Server) -> OtlpExporter<Traces> {
    OtlpExporter::<Traces>::builder().with_base_endpoint(server.url()).with_retry(quick_retries()).build().unwrap()
}

/// Blocks the runtime's only thread in `join`, so an exporter that needed the runtime would hang.
#[tokio::test]
async fn beside_a_current_thread_runtime() {
    let server = Server::start([Step::ok(), Step::ok()]);
    let mut exporter = exporter(&server);
    let results = on_a_thread(move || {
        let results = [outcome(&export(&mut exporter, "a")), outcome(&export(&mut exporter, "b"))];
        drop(exporter);
        results
    });
    assert_eq!(results.join().unwrap(), ["taken, 0 rejected, 0 retries"; 2]);
    assert_eq!(server.finish().len(), 2);
}

#[cfg(feature = "hyper-client")]
#[tokio::test]
async fn on_a_thread_of_a_runtime_it_refuses_instead_of_panicking() {
    let server = Server::start([Step::ok()]);
    let mut exporter = exporter(&server);
    let error = export(&mut exporter, "a").unwrap_err();
    assert!(error.to_string().contains("cannot be called on a thread of an async runtime"), "{error}");
    // An exporter that has connected on another thread can still be dropped here.
    let exporter = on_a_thread(move || {
        assert!(export(&mut exporter, "a").is_ok());
        exporter
    });
    drop(exporter.join().unwrap());
}

#[test]
fn telemetry_is_not_suppressed_for_longer_than_an_export() {
    let server = Server::start([Step::ok()]);
    assert!(export(&mut exporter(&server), "a").is_ok());
    assert!(!Context::is_current_telemetry_suppressed());
}

#[test]
fn host_names_are_resolved() {
    let server = Server::start([Step::ok()]);
    let url = format!("http://localhost:{}", server.address.port());
    let mut exporter =
        OtlpExporter::<Traces>::builder().with_base_endpoint(url).with_retry(quick_retries()).build().unwrap();
    assert_eq!(outcome(&export(&mut exporter, "a")), "taken, 0 rejected, 0 retries");
}
