//! Exports in a program that runs out of threads or file descriptors and aborts on any panic, as with `panic = "abort"`.
//!
//! Each test runs itself again as a child process, which acts as that program.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(clippy::disallowed_methods, reason = "a child process is told through its environment")]

mod support;

use std::fs::File;
use std::process::{Command, Output};

use support::http::{Server, Step};
use support::{export, outcome, over_http, quick_retries};
use telemark_otlp::{OtlpExporter, Protocol};
use telemark_sdk::signal::Traces;

/// The variable with the address that the child sends to.
const TARGET: &str = "TELEMARK_TEST_TARGET";
const TAKEN: &str = "taken, 0 rejected, 0 retries";

/// In the child, returns the address to send to and makes any later panic abort the process. In the parent, returns
/// `None`.
fn target() -> Option<String> {
    let target = std::env::var(TARGET).ok()?;
    std::panic::set_hook(Box::new(|panic| {
        eprintln!("{panic}");
        std::process::abort();
    }));
    Some(target)
}

/// Runs this test again as a child that sends to `target`, after the shell has run `limits`.
fn run(test: &str, target: &str, limits: &str, environment: &[(&str, &str)]) -> Output {
    // Empty unless another test binary contains this file.
    let module = module_path!().split_once("::").map_or(String::new(), |(_, module)| format!("{module}::"));
    Command::new("sh")
        .args(["-c", &format!("{limits} exec \"$0\" --exact {module}{test} --nocapture")])
        .arg(std::env::current_exe().unwrap())
        .env(TARGET, target)
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

fn exporter(target: &str, protocol: Protocol) -> OtlpExporter<Traces> {
    let builder = if protocol == Protocol::Grpc { OtlpExporter::builder() } else { over_http() };
    let builder = builder.with_base_endpoint(target).with_protocol(protocol);
    builder.with_retry(quick_retries().with_max_retries(0)).build().unwrap()
}

#[test]
fn host_names_are_resolved_without_threads() {
    if let Some(target) = target() {
        println!("result: {}", outcome(&export(&mut exporter(&target, Protocol::HttpProtobuf), "a")));
        return;
    }
    let server = Server::start([Step::ok()]);
    let target = format!("http://localhost:{}", server.address.port());
    // A thread with a stack of this size cannot be created.
    let no_threads = [("RUST_MIN_STACK", "70368744177664"), ("RUST_TEST_THREADS", "1")];
    let output = run("host_names_are_resolved_without_threads", &target, "", &no_threads);
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains(&format!("result: {TAKEN}")), "{output:?}");
}

#[test]
fn an_export_never_panics_however_few_descriptors_are_left() {
    if let Some(target) = target() {
        check_descriptors(&target, Protocol::HttpProtobuf);
        #[cfg(feature = "grpc")]
        check_descriptors(&target, Protocol::Grpc);
        return;
    }
    // Only the last response of each protocol matters.
    let server = Server::start(vec![Step::ok(); 100]);
    let name = "an_export_never_panics_however_few_descriptors_are_left";
    let output = run(name, &server.url(), "ulimit -n 64;", &[]);
    assert!(output.status.success(), "{output:?}");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("HttpProtobuf, 0 left: unavailable, 0 retries"), "{stdout}");
    assert!(stdout.contains(&format!("HttpProtobuf, then: {TAKEN}")), "{stdout}");
}

fn check_descriptors(target: &str, protocol: Protocol) {
    let mut exporter_of_all = exporter(target, protocol);
    for left in 0..8 {
        let mut held: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        held.truncate(held.len() - left);
        println!("{protocol:?}, {left} left: {}", outcome(&export(&mut exporter(target, protocol), "a")));
        if left == 0 {
            drop(export(&mut exporter_of_all, "a"));
        }
    }
    // The exporter tries again with the next batch.
    println!("{protocol:?}, then: {}", outcome(&export(&mut exporter_of_all, "b")));
}
