//! The real receivers that `cargo xtask` started: how to reach them, and what they took.

use std::time::{Duration, Instant};

use crate::received::{Received, mockotlpserver, rotel};

/// A receiver that runs on loopback.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// Its name: `rotel` or `mockotlpserver`.
    pub name: &'static str,
    /// The URL for OTLP over gRPC.
    pub grpc: String,
    /// The base URL for OTLP over HTTP, without `/v1/traces`.
    pub http: String,
    /// The file it writes.
    output: String,
    parse: fn(&str) -> Vec<crate::Span>,
}

impl Receiver {
    /// The receivers that run. One that does not is a loud skip, or under `CI=true` a failure.
    ///
    /// # Panics
    /// Under `CI=true`, when one does not run.
    pub fn running() -> Vec<Receiver> {
        let known = [("rotel", rotel::parse as fn(&str) -> _), ("mockotlpserver", mockotlpserver::parse)];
        let (mut running, mut missing) = (Vec::new(), Vec::new());
        for (name, parse) in known {
            match Receiver::from_env(name, parse) {
                Some(receiver) => running.push(receiver),
                None => missing.push(name),
            }
        }
        if !missing.is_empty() {
            skip(&format!("no {} runs here; `cargo xtask test` starts it", missing.join(" and no ")));
        }
        running
    }

    fn from_env(name: &'static str, parse: fn(&str) -> Vec<crate::Span>) -> Option<Self> {
        let variable = |what: &str| variable(&format!("TELEMARK_TEST_{}_{what}", name.to_uppercase()));
        let (grpc, http, output) = (variable("GRPC")?, variable("HTTP")?, variable("OUTPUT")?);
        Some(Receiver { name, grpc, http, output, parse })
    }

    /// What the receiver took so far from the service of that name, which each test has for itself.
    pub fn received(&self, service: &str) -> Received {
        let output = std::fs::read(&self.output).unwrap_or_default();
        let mut spans = (self.parse)(&String::from_utf8_lossy(&output));
        let service = format!("{service:?}");
        spans.retain(|span| span.resource.get("service.name") == Some(&service));
        Received { spans }
    }

    /// Waits until what the receiver took from the service is complete, and answers with it.
    ///
    /// # Panics
    /// When that takes longer than half a minute; the message shows what there is.
    #[allow(clippy::disallowed_methods, reason = "tests have no clock of the sdk")]
    pub fn await_received(&self, service: &str, is_complete: impl Fn(&Received) -> bool) -> Received {
        let start = Instant::now();
        loop {
            let received = self.received(service);
            if is_complete(&received) {
                return received;
            }
            let waited = start.elapsed();
            assert!(
                waited < Duration::from_secs(30),
                "{} has only this of {service} after {waited:?}:\n{}",
                self.name,
                received.text()
            );
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }
}

/// Says loudly that something is not tested, and why.
///
/// # Panics
/// Under `CI=true`, where everything is tested.
pub fn skip(why: &str) {
    assert!(variable("CI").is_none_or(|ci| ci != "true"), "{why}");
    // Not `eprintln!`, which the test harness captures when a test succeeds.
    drop(std::io::Write::write_all(&mut std::io::stderr(), format!("\n!!! SKIPPED: {why}\n").as_bytes()));
}

#[allow(clippy::disallowed_methods, reason = "variables of the tests, not of the library")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
