//! The real receivers started by `cargo xtask`: their addresses, and the telemetry they accepted.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::received::{Points, Received, Record, mockotlpserver, of_mockotlpserver, of_rotel, rotel};

/// A receiver running on loopback.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// The name of the receiver: `rotel` or `mockotlpserver`.
    pub name: &'static str,
    /// The URL for OTLP over gRPC.
    pub grpc: String,
    /// The base URL for OTLP over HTTP, without `/v1/traces`.
    pub http: String,
    /// The file with the receiver's output.
    output: String,
    reader: Reader,
}

/// Parsers for the output of one receiver.
#[derive(Clone, Copy, Debug)]
struct Reader {
    spans: fn(&str) -> Vec<crate::Span>,
    points: fn(&str) -> Vec<crate::Point>,
    records: fn(&str) -> Vec<Record>,
}

const KNOWN: [(&str, Reader); 2] = [
    ("rotel", Reader { spans: rotel::parse, points: rotel::parse_points, records: of_rotel }),
    (
        "mockotlpserver",
        Reader { spans: mockotlpserver::parse, points: mockotlpserver::parse_points, records: of_mockotlpserver },
    ),
];

impl Receiver {
    /// Returns the running receivers. If one is missing, reports the test as skipped.
    ///
    /// # Panics
    /// Panics under `CI=true` if a receiver is missing.
    pub fn running() -> Vec<Receiver> {
        let (mut running, mut missing) = (Vec::new(), Vec::new());
        for (name, reader) in KNOWN {
            match Receiver::from_env(name, reader) {
                Some(receiver) => running.push(receiver),
                None => missing.push(name),
            }
        }
        if !missing.is_empty() {
            skip(&format!("no {} runs here; `cargo xtask test` starts it", missing.join(" and no ")));
        }
        running
    }

    fn from_env(name: &'static str, reader: Reader) -> Option<Self> {
        let variable = |what: &str| variable(&format!("TELEMARK_TEST_{}_{what}", name.to_uppercase()));
        let (grpc, http, output) = (variable("GRPC")?, variable("HTTP")?, variable("OUTPUT")?);
        Some(Receiver { name, grpc, http, output, reader })
    }

    /// Returns the spans received so far from the service with this name. Each test uses its own name.
    pub fn received(&self, service: &str) -> Received {
        let mut spans = (self.reader.spans)(&self.output());
        let service = format!("{service:?}");
        spans.retain(|span| span.resource.get("service.name") == Some(&service));
        Received { spans }
    }

    /// Returns the metric points received so far from the service with this name.
    pub fn points(&self, service: &str) -> Points {
        let mut points = (self.reader.points)(&self.output());
        let service = format!("{service:?}");
        points.retain(|point| point.resource.get("service.name") == Some(&service));
        Points { points }
    }

    /// Waits until `count` log records have been received from the service, and returns them.
    ///
    /// # Panics
    /// Panics after half a minute and shows the records received so far.
    pub fn await_records(&self, service: &str, count: usize) -> Vec<Record> {
        let ask = || {
            let mut records = (self.reader.records)(&self.output());
            records.retain(|record| record.service == service);
            records
        };
        self.wait(service, ask, |records: &Vec<Record>| records.len() >= count, |records| format!("{records:#?}"))
    }

    fn output(&self) -> String {
        let output = std::fs::read(&self.output).unwrap_or_default();
        String::from_utf8_lossy(&output).into_owned()
    }

    /// Waits until the spans received from the service are complete, and returns them.
    ///
    /// # Panics
    /// Panics after half a minute and shows the spans received so far.
    pub fn await_received(&self, service: &str, is_complete: impl Fn(&Received) -> bool) -> Received {
        self.wait(service, || self.received(service), is_complete, Received::text)
    }

    /// Waits until the metric points received from the service are complete, and returns them.
    ///
    /// # Panics
    /// Panics after half a minute and shows the points received so far.
    pub fn await_points(&self, service: &str, is_complete: impl Fn(&Points) -> bool) -> Points {
        self.wait(service, || self.points(service), is_complete, |points| points.text(&BTreeMap::new()))
    }

    #[allow(clippy::disallowed_methods, reason = "tests have no clock of the sdk")]
    fn wait<T>(
        &self,
        service: &str,
        ask: impl Fn() -> T,
        is_complete: impl Fn(&T) -> bool,
        text: impl Fn(&T) -> String,
    ) -> T {
        let start = Instant::now();
        loop {
            let received = ask();
            if is_complete(&received) {
                return received;
            }
            let waited = start.elapsed();
            assert!(
                waited < Duration::from_secs(30),
                "{} has only this of {service} after {waited:?}:\n{}",
                self.name,
                text(&received)
            );
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }
}

/// Reports the test as skipped, with the reason, on standard error.
///
/// # Panics
/// Panics under `CI=true`, where no test may be skipped.
pub fn skip(why: &str) {
    assert!(variable("CI").is_none_or(|ci| ci != "true"), "{why}");
    // Bypasses `eprintln!`, which the test harness captures for passing tests.
    drop(std::io::Write::write_all(&mut std::io::stderr(), format!("\n!!! SKIPPED: {why}\n").as_bytes()));
}

#[allow(clippy::disallowed_methods, reason = "variables of the tests, not of the library")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
