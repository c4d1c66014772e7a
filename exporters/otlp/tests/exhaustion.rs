//! A program that runs out of threads or file descriptors and in which a panic ends everything, as with `panic = "abort"`.
//!
//! Each test runs itself again as a child process, which is the program.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(clippy::disallowed_methods, reason = "a child process is told through its environment")]

mod support;

use std::fs::File;
use std::process::{Command, Output};

use support::http::{Server, Step};
use support::{export, outcome, quick_retries};
use telemark_otlp::{Otlp, Protocol};
use telemark_sdk::signal::Traces;

/// The variable that tells the child where to send.
const TARGET: &str = "TELEMARK_TEST_TARGET";
const TAKEN: &str = "taken, 0 rejected, 0 retries";

/// In the child: the address to send to. Any panic ends the child from here on.
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
    Command::new("sh")
        .args(["-c", &format!("{limits} exec \"$0\" --exact {test} --nocapture")])
        .arg(std::env::current_exe().unwrap())
        .env(TARGET, target)
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

fn exporter(target: &str, protocol: Protocol) -> Otlp<Traces> {
    let builder = Otlp::<Traces>::builder().with_base_endpoint(target).with_protocol(protocol);
    builder.with_retry(quick_retries().with_most(0)).build().unwrap()
}

#[test]
fn without_threads_host_names_are_resolved_all_the_same() {
    if let Some(target) = target() {
        println!("result: {}", outcome(&export(&mut exporter(&target, Protocol::HttpProtobuf), "a")));
        return;
    }
    let server = Server::start([Step::ok()]);
    let target = format!("http://localhost:{}", server.address.port());
    // No thread has that much room for its stack.
    let no_threads = [("RUST_MIN_STACK", "70368744177664"), ("RUST_TEST_THREADS", "1")];
    let output = run("without_threads_host_names_are_resolved_all_the_same", &target, "", &no_threads);
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains(&format!("result: {TAKEN}")), "{output:?}");
}

#[test]
fn with_any_number_of_descriptors_left_an_export_fails_or_not_but_nothing_panics() {
    if let Some(target) = target() {
        check_descriptors(&target, Protocol::HttpProtobuf);
        #[cfg(feature = "grpc")]
        check_descriptors(&target, Protocol::Grpc);
        return;
    }
    // Answers are of no interest, but for the last one of each protocol.
    let server = Server::start(vec![Step::ok(); 100]);
    let name = "with_any_number_of_descriptors_left_an_export_fails_or_not_but_nothing_panics";
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
    // What failed to start is tried again with the next batch.
    println!("{protocol:?}, then: {}", outcome(&export(&mut exporter_of_all, "b")));
}
