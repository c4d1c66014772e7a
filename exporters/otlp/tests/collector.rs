//! Exports to a gRPC collector written in Python, which compresses its responses and may limit the size of requests.
#![cfg(all(feature = "grpc", feature = "gzip"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use support::{PATIENCE, export, export_all, numbered, outcome, quick_retries};
use telemark_otlp::{Compression, OtlpExporter, Protocol};
use telemark_sdk::signal::Traces;
use telemark_sdk::time::Deadline;

/// The collector, in its own process.
struct Collector {
    child: Child,
    output: BufReader<ChildStdout>,
    port: u16,
}

impl Collector {
    /// Returns `None` and reports the test as skipped if gRPC for Python is not installed.
    fn start(arguments: &[&str]) -> Option<Self> {
        let Some(folders) = variable("TELEMARK_TEST_GRPCIO") else {
            skip("no grpcio is installed here; `cargo xtask test` installs it");
            return None;
        };
        let mut child = Command::new("python3")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/collector.py"))
            .args(arguments)
            .env("PYTHONPATH", folders)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut collector = Collector { child, output, port: 0 };
        collector.port = collector.line().trim().parse().expect("the collector says its port");
        Some(collector)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line
    }

    /// Returns the names of the spans in the next request.
    fn names(&mut self) -> String {
        let request: serde_json::Value = serde_json::from_str(&self.line()).unwrap();
        request["names"].to_string()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
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

#[test]
fn compressed_responses_of_a_collector_are_read() {
    let Some(mut collector) = Collector::start(&[]) else { return };
    for compression in [Compression::None, Compression::Gzip] {
        let builder = OtlpExporter::<Traces>::builder()
            .with_protocol(Protocol::Grpc)
            .with_endpoint(format!("http://127.0.0.1:{}", collector.port))
            .with_compression(compression)
            .with_retry(quick_retries());
        let mut exporter = builder.build().unwrap();
        let mut check = |name, expected: &str| {
            let result = outcome(&export(&mut exporter, name));
            assert_eq!(collector.names(), format!("[{name:?}]"));
            assert_eq!(result, expected, "{name} with {compression:?}");
        };
        check("take", "taken, 0 rejected, 0 retries");
        check("reject", &format!("taken, 1 rejected, 0 retries ({})", "too old ".repeat(50)));
        check("warn", &format!("taken, 0 rejected, 0 retries ({})", "soon full ".repeat(50)));
    }
}

#[test]
fn a_batch_beyond_the_limit_of_a_collector_arrives_in_parts() {
    for compression in [Compression::None, Compression::Gzip] {
        let Some(mut collector) = Collector::start(&["2000"]) else { return };
        let builder = OtlpExporter::<Traces>::builder()
            .with_protocol(Protocol::Grpc)
            .with_endpoint(format!("http://127.0.0.1:{}", collector.port))
            .with_compression(compression)
            .with_retry(quick_retries());
        let mut exporter = builder.build().unwrap();
        // Span 50 does not fit into any request.
        let spans = numbered((0..100).map(|index| if index == 50 { 3000 } else { 100 }));
        let result = export_all(&mut exporter, &spans, Deadline::after(PATIENCE));
        assert_eq!(outcome(&result), "taken, 1 failed, 0 rejected, 0 retries", "{compression:?}");
        let mut arrived = Vec::new();
        while arrived.len() < 99 {
            let names: Vec<String> = serde_json::from_str(&collector.names()).unwrap();
            arrived.extend(names.iter().map(|name| name.trim_end_matches('-').parse::<usize>().unwrap()));
        }
        assert_eq!(arrived, (0..100).filter(|&index| index != 50).collect::<Vec<_>>(), "{compression:?}");
    }
}
