//! Where an exporter may be used: on any plain thread, whatever runtime the program has, and never on one of its threads.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use opentelemetry::Context;
use support::http::{Server, Step};
use support::{export, on_a_thread, outcome, quick_retries};
use telemark_otlp::{JsonLines, Otlp};
use telemark_sdk::signal::Traces;

fn exporter(server: &Server) -> Otlp<Traces> {
    Otlp::<Traces>::builder().with_base_endpoint(server.url()).with_retry(quick_retries()).build().unwrap()
}

/// The runtime of the test has one thread, which is blocked in `join` all the time: an exporter that needs it would hang.
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

#[tokio::test]
async fn on_a_thread_of_a_runtime_it_refuses_instead_of_panicking() {
    let server = Server::start([Step::ok()]);
    let mut exporter = exporter(&server);
    let error = export(&mut exporter, "a").unwrap_err();
    assert!(error.to_string().contains("cannot be called on a thread of an async runtime"), "{error}");
    // One that has connected elsewhere can still be dropped here.
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
    let mut exporter = Otlp::<Traces>::builder().with_base_endpoint(url).with_retry(quick_retries()).build().unwrap();
    assert_eq!(outcome(&export(&mut exporter, "a")), "taken, 0 rejected, 0 retries");
}

#[test]
fn a_file_gets_one_line_per_batch() {
    let path = std::env::temp_dir().join(format!("telemark-otlp-{}.jsonl", std::process::id()));
    for name in ["a", "b"] {
        // The second exporter appends.
        let mut exporter = JsonLines::<Traces>::to_file(&path).unwrap();
        assert!(export(&mut exporter, name).is_ok());
    }
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let names: Vec<_> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|json| json["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["a", "b"]);
    assert!(JsonLines::<Traces>::to_file("/no/such/directory/file").unwrap_err().to_string().contains("/no/such"));
}

#[test]
fn a_writer_that_fails_is_an_error() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    assert_eq!(outcome(&export(&mut JsonLines::to_writer(Full), "a")), "_OTHER, 0 retries");
}
