//! Programs with large spans whose receiver hangs. They measure their own memory.
#![allow(clippy::expect_used, reason = "the test sees that the scenario fails")]
#![allow(clippy::disallowed_methods, reason = "a program that waits for its exporter")]

use std::io::Read;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::{Span, Tracer};
use telemark::config::Env;
use telemark_sdk::trace::SdkSpan;

/// The default of `OTEL_RUST_BSP_MAX_QUEUE_BYTES`.
const BUDGET: u64 = 64 << 20;
/// The memory that the program may use beyond the budget: the encoded request, its copies in the transport, and the span
/// that is being recorded.
const BEYOND: u64 = 16 << 20;

/// Sets 128 attributes of 8 KB.
pub(crate) fn attributes(span: &mut SdkSpan) {
    (0..128).for_each(|n| span.set_attribute(KeyValue::new(format!("key {n}"), "x".repeat(8 << 10))));
}

/// Adds 128 events of 8 KB.
pub(crate) fn events(span: &mut SdkSpan) {
    (0..128).for_each(|_| span.add_event("event", vec![KeyValue::new("key", "x".repeat(8 << 10))]));
}

/// Sets one attribute of 1 MB.
pub(crate) fn one_attribute(span: &mut SdkSpan) {
    span.set_attribute(KeyValue::new("key", "x".repeat(1 << 20)));
}

/// Ends spans until four times the budget has been dropped, while the first request waits for its response.
pub(crate) fn receiver_hangs(fill: fn(&mut SdkSpan), protocol: &str) {
    let receiver = Silent::start();
    let pairs = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*receiver.url),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("OTEL_METRICS_EXPORTER", "none"),
        ("OTEL_LOGS_EXPORTER", "none"),
        // The warnings count what was dropped, which differs from run to run.
        ("OTEL_LOG_LEVEL", "none"),
    ];
    let builder = telemark::builder().with_env(Env::from_pairs(pairs)).with_flush_timeout(Duration::from_millis(300));
    let telemetry = builder.init().expect("the first init of the process");
    let tracer = telemetry.tracer("memory");
    let before = peak();
    let dropped = || {
        let health = &telemetry.health().traces[0];
        health.dropped_queue_full + health.dropped_queue_bytes_full
    };
    // A span of any of these shapes takes about a megabyte.
    while dropped() < 4 * (BUDGET >> 20) || !receiver.has_begun() {
        fill(&mut tracer.start("span"));
    }
    let used = peak() - before;
    let verdict = if used <= BUDGET + BEYOND { "yes".to_owned() } else { format!("no, {} MiB", used >> 20) };
    println!("the budget was used: {}", if used >= BUDGET / 2 { "yes" } else { "no" });
    println!("within the budget: {verdict}");
    eprintln!("{} MiB at the peak, {:?}", used >> 20, telemetry.health().traces);
}

/// A receiver that accepts connections, reads whatever it is sent, and never responds.
struct Silent {
    url: String,
    received: Arc<AtomicUsize>,
}

impl Silent {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let received = Arc::new(AtomicUsize::new(0));
        let counter = received.clone();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("the exporter connects");
            let mut buffer = vec![0; 64 << 10];
            while let Ok(len @ 1..) = stream.read(&mut buffer) {
                counter.fetch_add(len, Ordering::Relaxed);
            }
        });
        Silent { url, received }
    }

    /// Returns true once a request has arrived in part. A gRPC client sends up to 64 KB before the receiver has to respond.
    fn has_begun(&self) -> bool {
        self.received.load(Ordering::Relaxed) > 32 << 10
    }
}

/// Returns the maximum number of bytes that the process has had in memory.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has this file");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line of the file");
    let kilobytes = line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number");
    kilobytes << 10
}
